"""What the keeper saw at one look, and what it may do next: values, nothing else.

All times are seconds of CLOCK_BOOTTIME, all sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

QUICK: Final = 0.5
"""Seconds within which a healthy member answers Status."""

RECLAIMABLE: Final = 0.3
"""Share of a database that is not in use, above which giving it back is worth stopping the member for."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member, as it is reached through one endpoint.

    id: 0 = it has never answered; answers: Status came within QUICK, and a commit through it was confirmed (one that is
    stuck in fdatasync, or is being defragmented, answers Status); quota: 0 = unlimited; commits: seconds of the last
    few commits through it, oldest first; fsync: mean seconds of its log's since the last look, None = not known;
    entries: raft entries that it has applied.
    """

    endpoint: str
    id: int = 0
    answers: bool = False
    size: int = 0
    in_use: int = 0
    quota: int = 0
    leads: bool = False
    learner: bool = False
    entries: int = 0
    commits: tuple[float, ...] = ()
    fsync: float | None = None

    @property
    def fullness(self) -> float:
        """Share of its quota that the database takes."""
        return self.size / self.quota if self.quota else 0.0

    @property
    def reclaimable(self) -> float:
        """Share of the database that defragmentation would give back; 0 where the member does not tell."""
        return (self.size - self.in_use) / self.size if self.size and self.in_use else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """One look. members: one for each endpoint that leads to a different member; ids: of the whole cluster.

    alarms: (member id, kind); head: the newest revision; proved_at: when the last commit that was confirmed was sent.
    """

    now: float
    members: tuple[Member, ...]
    ids: frozenset[int] = frozenset()
    alarms: frozenset[tuple[int, str]] = frozenset()
    head: int = 0
    proved_at: float = 0.0

    @property
    def quota(self) -> int:
        """The smallest member's; 0 = all unlimited."""
        return min((member.quota for member in self.members if member.quota), default=0)

    @property
    def fullness(self) -> float:
        """Of the fullest member."""
        return max((member.fullness for member in self.members), default=0.0)

    @property
    def leader(self) -> Member | None:
        """The member that leads, if an endpoint leads to it."""
        return next((member for member in self.members if member.leads), None)

    def full(self) -> frozenset[int]:
        """Ids of the members that have raised NOSPACE."""
        return frozenset(member for member, kind in self.alarms if kind == "NOSPACE")


@dataclass(frozen=True, slots=True)
class Compact:
    """Forget everything before a revision."""

    revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class Defragment:
    """Stop one member for as long as it takes to rewrite its database. seconds: how long that may be."""

    member: Member
    seconds: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """Take back the NOSPACE alarms of these members."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MoveLeader:
    """Hand the leadership over."""

    leader: Member
    target: Member
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Something should be done, and may not be done now."""

    reason: str


Step = Compact | Defragment | Disarm | MoveLeader | Wait
