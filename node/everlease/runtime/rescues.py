"""Clients that had to ask twice because their owner did not answer, from the OFFER until a commit proves it.

The law of this file: only a commit counts against a node, and only against the one that was first when the client asked
*first*. Anybody can send the same DISCOVER twice; few can make a node commit a lease for it. Whoever came to be first
since then has answered the copy that it was asked. And nobody is blamed for a flood that was too much for the one who
blames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everlease.core.actions import GRANT, OFFER, RENEW, Change
from everlease.core.answering import rank
from everlease.core.identity import client_bucket
from everlease.runtime.counters import Counters
from everlease.runtime.exchange import Exchange
from everlease.runtime.membership import Membership

CAPACITY: Final = 4096

_SERVER_IDENTIFIER: Final = 54


class Rescues:
    """Tells membership about takeovers. The table of offers made in another's place is bounded."""

    def __init__(self, membership: Membership, counters: Counters, was_behind: Callable[[], bool]) -> None:
        self._membership = membership
        self._was_behind = was_behind
        self._counters = counters
        self._offered: dict[bytes, str] = {}

    def offered(self, client: bytes, exchange: Exchange) -> None:
        """This node offered an address to a client."""
        silent = _silent(client, exchange)
        if not silent:
            self._offered.pop(client, None)
            return
        if len(self._offered) >= CAPACITY:
            del self._offered[next(iter(self._offered))]
        self._offered[client] = silent

    def committed(self, change: Change, exchange: Exchange) -> None:
        """A change was committed."""
        if change.kind == OFFER:
            self.offered(change.client, exchange)
            return
        silent = self._offered.pop(change.client, "")
        if change.kind in (GRANT, RENEW):
            silent = silent or _silent(change.client, exchange)
        if silent and not self._was_behind():
            link = exchange.endpoint.label or ""
            self._counters.took_over(link or "relay", silent)
            self._membership.take_over(link, exchange.packet.giaddr, silent)


def _silent(client: bytes, exchange: Exchange) -> str:
    """The node that left the first copy unanswered; "" = it was we, or who was first then is not known any more."""
    peers = exchange.peers
    if exchange.copies < 2 or exchange.asked_at <= peers.since:
        return ""
    named = exchange.packet.options.get(_SERVER_IDENTIFIER)
    selected = peers.identifiers.get(int.from_bytes(named, "big")) if named else None
    first = rank(peers, client_bucket(client), selected)[0]
    return "" if first == peers.me else first
