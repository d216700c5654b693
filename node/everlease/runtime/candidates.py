"""For each link and relay: which nodes answer a packet, in which order, and whose addresses are whose to offer.

The law of this file: who answers may be a guess, and may change at any moment; who offers an address from memory may
not. So addresses are divided between all who may have some on offer, and, while a relay is new, between all who might
hear it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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

OVERLAP: Final = 0.5
"""Seconds for which a node also answers the clients that another one has come to own. What the other heard
before it served, it dropped; the same copy may lie in our socket until after we have learned that it serves: for as
long as a wake-up takes on a busy machine, or the rest of half a second until each node has noticed that a skip is over.
"""

CHANGES: Final = 4
"""Changes in that time which are remembered; more at once are news of who is not there."""

CACHED: Final = 4096

NOBODY: Final[frozenset[str]] = frozenset()

Place = tuple[str, int]
"""(link, 0), or ("", relay)."""


@dataclass(frozen=True, slots=True)
class _Company:
    """All that an order follows from: who may answer, who is skipped where, and by their presence what others hear."""

    eligible: frozenset[str]
    skipped: frozenset[tuple[str, str]]
    members: Mapping[str, Member]


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
        self._elected = False
        self._company = _Company(NOBODY, frozenset(), {})
        self._past: deque[tuple[float, _Company]] = deque(maxlen=CHANGES)

    def elect(self, eligible: frozenset[str], now: float) -> None:
        """These may answer from now on."""
        if eligible != self.eligible or not self._elected:
            self.eligible, self._elected = eligible, True
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
        self._past.append((now, self._company))
        self._company = _Company(self.eligible if self._elected else NOBODY, self.skipped, dict(self._members))
        self._peers.clear()

    def part(self, now: float) -> float:
        """What passed to others a moment ago is theirs alone from now on; returns when there will be more of that."""
        while self._past and now - self._past[0][0] >= OVERLAP:
            self._past.popleft()
            self._peers.clear()
        return self._past[0][0] + OVERLAP if self._past else inf

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
        names = self._hearing(self.eligible, place, self._members)
        order = _order(names, self.skipped, place_of(*place))
        settled = self._relays.is_settled(place[1])
        offerers = self._hearing(self._offerers, place, self._members) if settled else {self._name, *self._offerers}
        owned = owned_mask(rendezvous(frozenset(offerers)), self._name) if len(offerers) > 1 else ALL_BUCKETS
        since, lately = self._since(place, order), self._lately(place, order)
        return Peers(self._name, frozenset(names), order, owned, self._identifiers(), settled, since, lately)

    def _since(self, place: Place, order: Order) -> float:
        """Since when this is the order; 0 = as long as anybody asked."""
        before, since = self._orders.get(place, (order, 0.0))
        if before != order:
            since = self._changed_at
        if len(self._orders) >= CACHED:
            self._orders.clear()
        self._orders[place] = order, since
        return since

    def _lately(self, place: Place, order: Order) -> int:
        """Bit mask of the client buckets that were ours a moment ago, and are not any more."""
        mask = 0
        for _, past in self._past:
            if self._name in past.eligible:
                # Who tells that it hears a relay has answered it; else two offers to everybody behind a new relay.
                names = self._hearing(past.eligible, place, self._members if place[1] else past.members)
                mask |= owned_mask(_order(names, past.skipped, place_of(*place)), self._name)
        return mask & ~owned_mask(order, self._name) if mask else 0

    def _hearing(self, names: Iterable[str], place: Place, known: Mapping[str, Member]) -> set[str]:
        """Those that hear this link or relay as far as we know, and we."""
        link, relay = place
        members = [member for name in names if (member := known.get(name)) is not None]
        return {
            self._name,
            *(each.name for each in members if (relay in each.relays if relay else link in each.links)),
        }


def _order(names: set[str], skipped: frozenset[tuple[str, str]], where: str) -> Order:
    """The skipped ones come last: they still are candidates for a third copy."""
    active = {name for name in names if (name, where) not in skipped} or names
    order = rendezvous(frozenset(active))
    if active == names:
        return order
    rest = rendezvous(frozenset(names - active))
    return tuple(first + last for first, last in zip(order, rest, strict=True))
