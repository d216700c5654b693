"""Looks at the store: asks every member how it is, times a commit through it, reads disks; makes the `Facts` of a look.

The law of this file: looking leaves no trace. A transaction that compares and writes nothing goes through the log of a
majority as any commit does, and makes no revision. Disks are read at every look only while commits are slow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from everlease.errors import StoreError
from everlease.runtime.keeper.acts import NOTHING
from everlease.runtime.keeper.facts import QUICK, Facts, Member
from everlease.store.api import NoSpace, Store
from everlease.store.upkeep import Disk, MemberStatus, Upkeep

COMMIT: Final = 2.0
"""Seconds for a commit through a member: while the leader's disk is slow it waits for that."""

COMMITS: Final = 5
"""Commits that are remembered of each member."""

OLD: Final = 15.0
"""Seconds after which a remembered commit says nothing any more."""

DISKS_EVERY: Final = 30.0
MEMBERS_EVERY: Final = 30.0


@dataclass(slots=True)
class _Seen:
    """What is remembered of one endpoint. commits: (when, seconds); disk: the last two readings."""

    status: MemberStatus | None = None
    answers: bool = False
    commits: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=COMMITS))
    disk: tuple[Disk, Disk] | None = None
    fsync: float | None = None


class Observer:
    """One keeper's eyes. boot: CLOCK_BOOTTIME; quota: bytes of a member that does not tell its own, 0 = unlimited."""

    def __init__(self, store: Store, upkeep: Upkeep, boot: Callable[[], float]) -> None:
        self._store = store
        self._upkeep = upkeep
        self._boot = boot
        self._seen = {endpoint: _Seen() for endpoint in sorted(store.rank())}
        self._ids: frozenset[int] = frozenset()
        self._disks_at = self._members_at = float("-inf")
        self._proved_at = float("-inf")
        self.quota = 0

    def moved(self) -> None:
        """The leadership has changed: what was measured under the last leader says nothing any more."""
        for seen in self._seen.values():
            seen.commits.clear()

    def versions(self) -> dict[str, str]:
        """What each endpoint's member says it is, of those that have answered."""
        return {name: seen.status.version for name, seen in self._seen.items() if seen.status is not None}

    async def look(self, *, closely: bool) -> Facts:
        """Ask everybody. closely: commits were slow, so that disks are of interest."""
        now = self._boot()
        await asyncio.gather(*map(self._ask, self._seen))
        if closely or now - self._disks_at >= DISKS_EVERY:
            self._disks_at = now
            await asyncio.gather(*map(self._read_disk, self._seen))
        if now - self._members_at >= MEMBERS_EVERY or not self._ids:
            await self._ask_for_members(now)
        return self._facts()

    async def _ask(self, endpoint: str) -> None:
        seen = self._seen[endpoint]
        status, commits = await asyncio.gather(self._status(endpoint), self._commits(endpoint, seen))
        seen.answers = status is not None and commits
        seen.status = status or seen.status

    async def _status(self, endpoint: str) -> MemberStatus | None:
        try:
            return await self._upkeep.status(endpoint, QUICK)
        except StoreError:
            return None

    async def _commits(self, endpoint: str, seen: _Seen) -> bool:
        """Whether the member can commit; one that is full says so, and that is an answer."""
        started = self._boot()
        try:
            await self._store.batch(NOTHING, COMMIT, endpoint)
        except NoSpace:
            return True
        except StoreError:
            seen.commits.clear()
            return False
        now = self._boot()
        self._proved_at = max(self._proved_at, started)
        seen.commits.append((now, now - started))
        return True

    async def _read_disk(self, endpoint: str) -> None:
        seen = self._seen[endpoint]
        try:
            disk = await self._upkeep.disk(endpoint, COMMIT)
        except StoreError:
            seen.disk = seen.fsync = None
            return
        before = seen.disk[1] if seen.disk else disk
        seen.disk = (before, disk)
        if disk.fsyncs > before.fsyncs:
            seen.fsync = (disk.seconds - before.seconds) / (disk.fsyncs - before.fsyncs)
        elif disk.fsyncs < before.fsyncs:
            seen.fsync = None  # it was started again

    async def _ask_for_members(self, now: float) -> None:
        answering = [name for name, seen in self._seen.items() if seen.answers]
        try:
            self._ids = await self._upkeep.members(answering[0], COMMIT) if answering else self._ids
        except StoreError:
            return
        self._members_at = now

    def _facts(self) -> Facts:
        statuses = [seen.status for seen in self._seen.values() if seen.status is not None]
        newest = max(statuses, key=lambda status: status.applied, default=None)
        return Facts(
            self._boot(),
            self._members(),
            self._ids,
            newest.alarms if newest else frozenset(),
            newest.revision if newest else 0,
            self._proved_at,
        )

    def _members(self) -> tuple[Member, ...]:
        """One for each member; two endpoints of one member are one."""
        found: dict[int | str, Member] = {}
        for endpoint, seen in self._seen.items():
            member = self._member(endpoint, seen)
            before = found.get(member.id or endpoint)
            if before is None or (member.answers and not before.answers):
                found[member.id or endpoint] = member
        return tuple(found.values())

    def _member(self, endpoint: str, seen: _Seen) -> Member:
        status, now = seen.status, self._boot()
        commits = tuple(seconds for at, seconds in seen.commits if now - at <= OLD)
        if status is None:
            return Member(endpoint, commits=commits)
        return Member(
            endpoint,
            status.id,
            seen.answers,
            status.size,
            status.in_use,
            self._quota(seen, status),
            status.leader == status.id,
            status.learner,
            status.applied,
            commits,
            seen.fsync,
        )

    def _quota(self, seen: _Seen, status: MemberStatus) -> int:
        """As it measures it (before 3.6.6 Status may be wrong), as it says, or as configured."""
        measured = seen.disk[1].quota if seen.disk else 0
        return measured or status.quota or self.quota
