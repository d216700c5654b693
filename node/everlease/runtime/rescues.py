"""Clients that had to ask twice because their owner did not answer, from the OFFER until a commit proves it.

The law of this file: only a commit counts against an owner. Anybody can send the same DISCOVER twice; few can make a
node commit a lease for it. And nobody is blamed for a flood that was too much for the one who blames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everlease.core.actions import GRANT, OFFER, Change
from everlease.core.identity import client_bucket
from everlease.core.situation import Peers
from everlease.runtime.counters import Counters
from everlease.runtime.membership import Membership

CAPACITY: Final = 4096


class Rescues:
    """Tells membership about takeovers. The table of offers made in another's place is bounded."""

    def __init__(self, membership: Membership, counters: Counters, was_behind: Callable[[], bool]) -> None:
        self._membership = membership
        self._was_behind = was_behind
        self._counters = counters
        self._offered: dict[bytes, str] = {}

    def offered(self, client: bytes, peers: Peers, copies: int) -> None:
        """This node offered an address to a client that was heard `copies` times."""
        owner = _owner(client, peers)
        if copies < 2 or owner == peers.me:
            self._offered.pop(client, None)
            return
        if len(self._offered) >= CAPACITY:
            del self._offered[next(iter(self._offered))]
        self._offered[client] = owner

    def committed(self, change: Change, peers: Peers, copies: int, where: tuple[str, int]) -> None:
        """A change was committed. where: (link's label, relay) that the packet came by."""
        if change.kind == OFFER:
            self.offered(change.client, peers, copies)
            return
        owner = self._offered.pop(change.client, "")
        if change.kind == GRANT and copies >= 2:
            owner = owner or _owner(change.client, peers)
        if owner and owner != peers.me and not self._was_behind():
            self._counters.took_over(where[0] or "relay", owner)
            self._membership.take_over(*where, owner)


def _owner(client: bytes, peers: Peers) -> str:
    order = peers.order[client_bucket(client)]
    return order[0] if order else peers.me
