"""Other nodes as their presence shows them, and the addresses by which clients name them: the dead ones' as well.

The law of this file: a server identifier names a living member before a dead one, and nobody where several share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from everlease.core.answering import NOBODY
from everlease.store.records import Presence, undotted


@dataclass(slots=True)
class Member:
    """Another node, as its presence shows it. told_at: when it last changed, seconds of CLOCK_BOOTTIME.

    seen_at: the same, less the time in which nobody could be judged.
    offset: its wall clock less our CLOCK_BOOTTIME, as of the last presence that came in time; None = none has yet.
    identifiers: its own addresses, by which clients select it.
    """

    name: str
    presence: Presence
    seen_at: float
    offset: float | None
    links: frozenset[str]
    relays: frozenset[int]
    identifiers: frozenset[int]
    told_at: float

    def says(self) -> object:
        """What of its presence others act upon at once."""
        presence = self.presence
        return presence.state, presence.restored, self.links, self.relays, presence.takeovers


def member_of(name: str, presence: Presence, now: float, offset: float | None) -> Member:
    """A member whose presence changed at `now`. Raises BadRecord."""
    identifiers = frozenset(undotted(address) for own in presence.links.values() for address in own)
    relays = frozenset(map(undotted, presence.relays))
    return Member(name, presence, now, offset, frozenset(presence.links), relays, identifiers, now)


class Identifiers:
    """Which node an address belonged to, and until when (CLOCK_BOOTTIME) a client may still name it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, float]] = {}

    def remember(self, member: Member, until: float) -> None:
        """These addresses name this node, also when it is gone."""
        for address in member.identifiers:
            self._known[address] = member.name, until

    def forget(self, now: float) -> None:
        """Nobody can have been told of these any more."""
        for address in [address for address, (_, until) in self._known.items() if until < now]:
            del self._known[address]

    def table(self, living: Iterable[tuple[str, frozenset[int]]]) -> dict[int, str]:
        """Address -> node, NOBODY where several use it. living: (name, addresses)."""
        known = {address: name for address, (name, _) in self._known.items()}
        claimed: set[int] = set()
        for name, addresses in living:
            known.update({address: NOBODY if address in claimed else name for address in addresses})
            claimed |= addresses
        return known
