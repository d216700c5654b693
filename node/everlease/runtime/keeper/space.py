"""What to do next so that the store has room: pure decisions from one look and what was done before.

The law of this file: NOSPACE on one member stops the writes of all, and nothing in etcd takes it back. So room is made
before a member is full; and when one is, then to head, defragment, disarm, in that order, without a person. What comes
back in spite of that is told, and tried ever more rarely.

A member is stopped for its defragmentation only while all others answer, a commit was just confirmed, and nobody else
is being stopped; the leader last, and after it has handed over if anybody can take it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from everlease.runtime.keeper import leadership
from everlease.runtime.keeper.facts import (
    RECLAIMABLE,
    Compact,
    Defragment,
    Disarm,
    Facts,
    Member,
    MoveLeader,
    Step,
    Wait,
)
from everlease.runtime.keeper.trail import MARGIN, Trail

WARN: Final = 0.7
"""Share of a quota from which the keeper warns, and acts."""

CALM: Final = 0.6
"""Share below which it stops warning."""

COMPACT_EVERY: Final = 60.0
PRESSED_EVERY: Final = 10.0
PRESSED_MARGIN: Final = 30.0
"""Seconds of history that are left while a member is nearly full."""

DEFRAGMENT_EVERY: Final = 3600.0
PRESSED_DEFRAGMENT_EVERY: Final = 300.0
"""Seconds between two defragmentations of one member: it answers nobody meanwhile."""

WORTHWHILE: Final = 0.25
"""Share of the quota below which a database is left alone, however much of it is free: etcd uses that again."""

SETTLE: Final = 5.0
"""Seconds after a compaction in which the members, one after the other, may still be freeing what it released."""

PROVED: Final = 1.0
"""Seconds: a member is stopped only if a commit was confirmed no longer ago than this."""

RELAPSE: Final = 600.0
"""Seconds after an alarm was disarmed in which its return means that disarming did not help."""

FIRST_REST, LONGEST_REST = 30.0, 900.0
"""Seconds until an alarm that has returned is tried again; doubles each time."""

SLOWEST: Final = 10 << 20
"""Bytes per second at which the slowest disk that we think of rewrites a database."""

ECHO: Final = 2.0
"""Seconds after an alarm was disarmed in which a member that lags may still tell of it."""

HAND_OVER_EVERY: Final = 60.0
"""Seconds after the leader was asked to hand over; if it still leads it is defragmented as it is."""

LIVE_SHARE: Final = 0.95
"""Share of a quota that living data may take for defragmentation to end an alarm."""


@dataclass(slots=True)
class SpaceMemory:
    """What was done, and when (CLOCK_BOOTTIME). trail: of revisions; defragmented: by member id.

    compacted: the revision, at compacted_at; since: when the alarm that is being healed was seen, 0 = none; relapses:
    how often in a row it came back; rest_until: nothing is tried before; handed_at: when a leader was last asked to
    hand over; in_use: of the last look, by member id.
    """

    trail: Trail = field(default_factory=Trail)
    compacted: int = 0
    compacted_at: float = float("-inf")
    defragmented: dict[int, float] = field(default_factory=dict)
    since: float = 0.0
    disarmed_at: float = float("-inf")
    relapses: int = 0
    rest_until: float = float("-inf")
    handed_at: float = float("-inf")
    in_use: dict[int, int] = field(default_factory=dict)

    def look(self, facts: Facts) -> None:
        """Learn from a look, before `next_step` is asked."""
        largest = max((member.in_use for member in facts.members), default=0)
        self.trail.note(facts.now, facts.head, largest)
        if not facts.full():
            self.since = 0.0
        elif not self.since and facts.now - self.disarmed_at >= ECHO:
            self._begin(facts.now)

    def _begin(self, now: float) -> None:
        """An alarm is there: new, or back."""
        self.since = now
        if now - self.disarmed_at < RELAPSE:
            self.relapses += 1
            self.rest_until = now + min(FIRST_REST * 2 ** (self.relapses - 1), LONGEST_REST)
        else:
            self.relapses = 0

    def compacted_to(self, revision: int, now: float) -> None:
        """A compaction was done."""
        self.compacted, self.compacted_at = max(revision, self.compacted), now

    def disarmed(self, now: float) -> None:
        """An alarm was taken back; if it is still there at the next look, it is there again."""
        self.since, self.disarmed_at = 0.0, now


def next_step(facts: Facts, memory: SpaceMemory) -> Step | None:
    """What to do now about room; None = nothing. `memory.look(facts)` comes before."""
    step = _heal(facts, memory) if memory.since else _prevent(facts, memory)
    memory.in_use = {member.id: member.in_use for member in facts.members}
    return step


def _heal(facts: Facts, memory: SpaceMemory) -> Step:
    full = facts.full()
    if facts.now < memory.rest_until:
        return Wait(f"NOSPACE has returned {memory.relapses} times: the living data is too large for the quota")
    begun = max(memory.since, memory.rest_until)
    if memory.compacted_at < begun:
        return Compact(facts.head, "a member has no space left")
    for member in _leader_last(facts):
        if memory.defragmented.get(member.id, -1.0) < begun and _helps(member, member.id in full):
            return _stop(facts, memory, member)
    if not _settled(facts, memory):
        return Wait("the members are still freeing what compaction released")
    return Disarm(tuple(sorted(full)))


def _helps(member: Member, full: bool) -> bool:
    """Whether rewriting it makes room: for one that is full also when it frees little, if that is enough."""
    if not member.answers or not (full or member.fullness >= WARN):
        return False
    return member.reclaimable > RECLAIMABLE or (full and 0 < member.in_use < LIVE_SHARE * (member.quota or member.size))


def _settled(facts: Facts, memory: SpaceMemory) -> bool:
    """Whether what the last compaction released has been freed on all members, as far as can be seen."""
    since = facts.now - memory.compacted_at
    if since >= SETTLE:
        return True
    return since >= PROVED and all(memory.in_use.get(each.id, each.in_use) <= each.in_use for each in facts.members)


def _prevent(facts: Facts, memory: SpaceMemory) -> Step | None:
    pressed = facts.fullness >= WARN
    return _compact(facts, memory, pressed) or _defragment(facts, memory, pressed)


def _compact(facts: Facts, memory: SpaceMemory, pressed: bool) -> Step | None:
    waited = facts.now - memory.compacted_at >= (PRESSED_EVERY if pressed else COMPACT_EVERY)
    if not waited and not memory.trail.overflows(memory.compacted, facts.quota):
        return None
    target = memory.trail.target(facts.now, PRESSED_MARGIN if pressed else MARGIN, facts.quota)
    if target <= memory.compacted:
        return None
    return Compact(target, "a member is nearly full" if pressed else "every minute")


def _defragment(facts: Facts, memory: SpaceMemory, pressed: bool) -> Step | None:
    every = PRESSED_DEFRAGMENT_EVERY if pressed else DEFRAGMENT_EVERY
    for member in _leader_last(facts):
        large = member.fullness >= WORTHWHILE or not member.quota
        rested = facts.now - memory.defragmented.get(member.id, float("-inf")) >= every
        if large and rested and member.answers and member.reclaimable > RECLAIMABLE:
            return _stop(facts, memory, member)
    return None


def _leader_last(facts: Facts) -> list[Member]:
    return sorted(facts.members, key=lambda member: (member.leads, member.endpoint))


def _stop(facts: Facts, memory: SpaceMemory, member: Member) -> Step:
    """Defragment this member, or what has to come before, or why not now."""
    refused = why_not(facts, member)
    if refused:
        return Wait(f"{member.endpoint} is not defragmented yet: {refused}")
    if not _settled(facts, memory):
        return Wait(f"{member.endpoint} is still freeing what compaction released")
    asked = facts.now - memory.handed_at < HAND_OVER_EVERY
    heir = leadership.heir(facts, member) if member.leads and not asked else None
    if heir is not None:
        return MoveLeader(member, heir, "it is to be defragmented")
    return Defragment(member, 30.0 + member.size / SLOWEST)


def why_not(facts: Facts, member: Member) -> str:
    """Why a member must not be stopped now; "" = it may be."""
    unseen = facts.ids - {each.id for each in facts.members}
    if unseen or not facts.ids:
        return "not every member of the cluster is named by --etcd" if unseen else "the members are not known yet"
    silent = [each.endpoint for each in facts.members if each.id != member.id and not each.answers]
    if silent:
        return f"{', '.join(silent)} did not answer within 0.5 s"
    if facts.now - facts.proved_at >= PROVED:
        return "no commit was confirmed within the last second"
    return ""
