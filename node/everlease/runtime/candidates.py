"""For each link and relay: which nodes answer a packet, in which order, and whose addresses are whose to offer.

The law of this file: who answers may be a guess, and may change at any moment; who offers an address from memory may
not. So addresses are divided between all who may have some on offer, and, while a relay is new, between all who might
hear it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final

from everlease.core.answering import Order, owned_mask, rendezvous
from everlease.core.situation import ALL_BUCKETS, Peers
from everlease.runtime.members import Member
from everlease.runtime.relays import Relays
from everlease.runtime.takeovers import place_of

OFFERS_LAST: Final = 30.0
"""Seconds for which a node that fell silent, or is skipped, may still have addresses on offer in its memory (default of
offer-lifetime): so long nobody else offers addresses of its buckets without a commit."""

CACHED: Final = 4096

Place = tuple[str, int]
"""(link, 0), or ("", relay)."""


class Candidates:
    """Answers `peers` from a table that is made anew after each change.

    members: the others by name; identifiers: whom each server identifier names; both are asked when needed.
    eligible: who may answer; skipped: (node, place); times are CLOCK_BOOTTIME.
    """

    def __init__(
        self, name: str, members: Mapping[str, Member], relays: Relays, identifiers: Callable[[], dict[int, str]]
    ) -> None:
        self.eligible = frozenset({name})
        self.skipped: frozenset[tuple[str, str]] = frozenset()
        self._name = name
        self._members = members
        self._relays = relays
        self._identifiers = identifiers
        self._offerers: dict[str, float] = {}
        self._peers: dict[Place, Peers] = {}
        self._orders: dict[Place, tuple[Order, float]] = {}
        self._changed_at = 0.0

    def elect(self, eligible: frozenset[str], now: float) -> None:
        """These may answer from now on."""
        if eligible != self.eligible:
            self.eligible = eligible
            self.change(now)
        self._offerers.update(dict.fromkeys(eligible, now))
        silent = [name for name, at in self._offerers.items() if now - at > OFFERS_LAST]
        for name in silent:
            del self._offerers[name]
        if silent:
            self.change(now)

    def told_at(self) -> float:
        """The oldest presence of those that may have something on offer: what all hear is known up to then."""
        members = [member for name in self._offerers if (member := self._members.get(name)) is not None]
        return min((member.told_at for member in members), default=inf)

    def skip(self, skipped: frozenset[tuple[str, str]], now: float) -> None:
        """These come last from now on."""
        if skipped != self.skipped:
            self.skipped = skipped
            self.change(now)

    def change(self, now: float) -> None:
        """Something that the table is made of has changed."""
        self._changed_at = now
        self._peers.clear()

    def hear(self, relay: int) -> None:
        """A relay is new: nobody knows who hears it."""
        self._peers.pop(("", relay), None)

    def peers(self, place: Place) -> Peers:
        """The hot path's question."""
        found = self._peers.get(place)
        if found is None:
            if len(self._peers) >= CACHED:
                self._peers.clear()
            found = self._peers[place] = self._make(place)
        return found

    def _make(self, place: Place) -> Peers:
        names = self._hearing(self.eligible, place)
        order = self._order(names, place_of(*place))
        settled = self._relays.is_settled(place[1])
        offerers = self._hearing(self._offerers, place) if settled else {self._name, *self._offerers}
        owned = owned_mask(rendezvous(frozenset(offerers)), self._name) if len(offerers) > 1 else ALL_BUCKETS
        since = self._since(place, order)
        return Peers(self._name, frozenset(names), order, owned, self._identifiers(), settled, since)

    def _order(self, names: set[str], where: str) -> Order:
        """The skipped ones come last: they still are candidates for a third copy."""
        active = {name for name in names if (name, where) not in self.skipped} or names
        order = rendezvous(frozenset(active))
        if active == names:
            return order
        rest = rendezvous(frozenset(names - active))
        return tuple(first + last for first, last in zip(order, rest, strict=True))

    def _since(self, place: Place, order: Order) -> float:
        """Since when this is the order; 0 = as long as anybody asked."""
        before, since = self._orders.get(place, (order, 0.0))
        if before != order:
            since = self._changed_at
        if len(self._orders) >= CACHED:
            self._orders.clear()
        self._orders[place] = order, since
        return since

    def _hearing(self, names: Iterable[str], place: Place) -> set[str]:
        """Those that hear this link or relay as far as we know, and we."""
        link, relay = place
        members = [member for name in names if (member := self._members.get(name)) is not None]
        return {
            self._name,
            *(each.name for each in members if (relay in each.relays if relay else link in each.links)),
        }
