"""When the leadership should be elsewhere: a slow disk of the leader slows every write, and etcd elects nobody for it.

The law of this file: only evidence moves a leader. Writes are slow through every member that answers, several in a row;
the leader's own disk is slow, and another's is not. Where disks cannot be read, every member must be there, and one
that was left is not chosen again. And it moves rarely: an election costs more than a bad second. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from everlease.runtime.keeper.facts import Facts, Member, MoveLeader, Step, Wait

SLOW_COMMIT: Final = 0.1
"""Seconds of a write that are not normal on any disk: a spinning one takes 0.03, two round trips of 20 ms 0.04."""

SAMPLES: Final = 3
"""Writes in a row, through each member."""

SLOW_FSYNC: Final = 0.05
"""Mean seconds of an fsync; etcd's own advice is a 99th percentile below 0.01."""

BETTER: Final = 3.0
"""How many times faster the other disk must be."""

PAUSE: Final = 60.0
WINDOW, MOST = 600.0, 3
"""At most one move in a minute, and three in ten."""

LAG: Final = 5000
"""Raft entries that the next leader may lack: a second or two of full load, sent to it before it takes over."""


@dataclass(slots=True)
class LeadershipMemory:
    """moves: (when, id of the member that was left), CLOCK_BOOTTIME, oldest first."""

    moves: list[tuple[float, int]] = field(default_factory=list)

    def moved(self, leader: int, now: float) -> None:
        """The leadership was handed over by the member with this id."""
        self.moves = [*self._recent(now), (now, leader)]

    def _recent(self, now: float) -> list[tuple[float, int]]:
        return [move for move in self.moves if now - move[0] < WINDOW]

    def may_move(self, now: float) -> bool:
        """Whether the limit allows a move now."""
        recent = self._recent(now)
        return len(recent) < MOST and all(now - at >= PAUSE for at, _ in recent)

    def left(self, now: float) -> frozenset[int]:
        """Members that were left not long ago."""
        return frozenset(leader for _, leader in self._recent(now))


def is_slow(member: Member) -> bool:
    """Whether the last writes through a member were slow, one after the other."""
    return len(member.commits) >= SAMPLES and median(member.commits[-SAMPLES:]) >= SLOW_COMMIT


def suspicious(facts: Facts) -> bool:
    """Whether it is worth looking closer: the last write was slow, wherever it went through."""
    return any(member.commits and member.commits[-1] >= SLOW_COMMIT for member in facts.members)


def next_step(facts: Facts, memory: LeadershipMemory) -> Step | None:
    """What to do now about the leadership; None = nothing."""
    leader, answering = facts.leader, [member for member in facts.members if member.answers]
    if leader is None or not answering or not all(map(is_slow, answering)):
        return None
    target = _better(facts, leader, memory.left(facts.now))
    if target is None:
        return None
    if not memory.may_move(facts.now):
        return Wait(f"{leader.endpoint} leads with a slow disk, and the leadership was moved only just now")
    return MoveLeader(leader, target, _words(leader, target))


def _better(facts: Facts, leader: Member, left: frozenset[int]) -> Member | None:
    candidates = _candidates(facts, leader)
    if leader.fsync is not None:
        measured = [member for member in candidates if member.fsync is not None]
        best = min(measured, key=lambda member: member.fsync or 0.0, default=None)
        if leader.fsync < SLOW_FSYNC or best is None or (best.fsync or 0.0) * BETTER > leader.fsync:
            return None
        return best
    if not facts.ids or facts.ids != {member.id for member in facts.members if member.answers}:
        return None  # a member that is missing may be the reason
    return next((member for member in candidates if member.id not in left), None)


def _candidates(facts: Facts, leader: Member) -> list[Member]:
    """Who could lead instead, the one that lags least first."""
    return sorted(
        (
            member
            for member in facts.members
            if member.answers and not member.leads and not member.learner and leader.entries - member.entries <= LAG
        ),
        key=lambda member: (-member.entries, member.endpoint),
    )


def heir(facts: Facts, leader: Member) -> Member | None:
    """Who takes over from a leader that has to stop for a while."""
    return next(iter(_candidates(facts, leader)), None)


def _words(leader: Member, target: Member) -> str:
    if leader.fsync is None or target.fsync is None:
        return "writes are slow through every member"
    return f"its fsync takes {leader.fsync * 1000:.0f} ms, that of {target.endpoint} {target.fsync * 1000:.1f} ms"
