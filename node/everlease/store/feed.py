"""What the node's own watch brings, told on to others: each in its own time, none of whom can hold it up.

Law: a reader gets every event of its range after a revision, in order and once; or it is ended, and knows from where it
would have gone on. What it has not taken yet is bounded. Pure: nothing here waits but the readers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from everlease.errors import StoreError
from everlease.store.api import KeyValue, WatchBatch

ROOM: Final = 10_000
"""Events that may wait for one reader: a few seconds at full speed, 4 MB."""

KEPT: Final = 8_000
"""Events that stay for those who come back after a moment: they need no watch of their own."""


class Interrupted(StoreError):
    """A reader was ended; `revision`: it has been told everything before, and would go on from there."""

    reason = "interrupted"

    def __init__(self, message: str, revision: int) -> None:
        super().__init__(message)
        self.revision = revision


class Slow(Interrupted):
    """It took its events more slowly than they came."""

    reason = "slow_reader"


class RolledBack(Interrupted):
    """etcd went back in time: what comes now does not follow from what was told."""

    reason = "rolled_back"


@dataclass(slots=True)
class Portion:
    """Some events for a reader; it has been told everything up to `revision`. more: others wait already."""

    events: Sequence[KeyValue]
    revision: int
    more: bool


class Reader:
    """Events of the keys in [start, end) after `revision`; closed by `Feed.leave`.

    pulled: who feeds it looks after its room (`roomy`) itself; else it is ended when that is used up.
    """

    def __init__(self, start: bytes, end: bytes, revision: int, *, pulled: bool = False) -> None:
        self._start, self._end = start, end
        self._pulled = pulled
        self._taken = asyncio.Event()
        self._told = self._passed = revision
        self._events: deque[KeyValue] = deque()
        self._failure: StoreError | None = None
        self._news = asyncio.Event()

    @property
    def passed(self) -> int:
        """Everything up to this revision has been taken in."""
        return self._passed

    @property
    def roomy(self) -> bool:
        """Whether it may be told more."""
        return len(self._events) < ROOM // 2

    async def drained(self) -> None:
        """Wait until it is roomy."""
        while not self.roomy:
            self._taken.clear()
            await self._taken.wait()

    def take(self, batch: WatchBatch) -> None:
        """Complete revisions, the next ones; without effect once it has failed."""
        if self._failure is not None or batch.revision <= self._passed:
            return
        after, self._passed = self._passed, batch.revision
        fresh = [each for each in batch.events if self._start <= each.key < self._end and each.revision > after]
        if len(self._events) + len(fresh) > ROOM and not self._pulled:
            self.interrupt(Slow, "the reader is too slow: its events were dropped")
        else:
            self._events.extend(fresh)
            self._news.set()

    def fail(self, error: StoreError) -> None:
        """The next `read` raises this."""
        if self._failure is None:
            self._failure = error
            self._events.clear()
            self._news.set()

    def interrupt(self, kind: type[Interrupted], message: str) -> None:
        """Fail with the revision to go on from."""
        self.fail(kind(message, self._told + 1))

    async def read(self, most: int, patience: float) -> Portion:
        """What comes next, at most so many events; after `patience` seconds also nothing. Raises StoreError."""
        if not self._events and self._failure is None:
            self._news.clear()
            try:
                async with asyncio.timeout(patience):
                    while not self._events and self._failure is None:
                        await self._news.wait()
                        self._news.clear()
            except TimeoutError:
                pass
        if self._failure is not None:
            raise self._failure
        events = [self._events.popleft() for _ in range(min(most, len(self._events)))]
        self._taken.set()
        more = bool(self._events)
        self._told = self._events[0].revision - 1 if more else self._passed
        return Portion(events, self._told, more)


class Feed:
    """revision: everything up to it has been published; 0 = nothing yet."""

    def __init__(self) -> None:
        self.revision = 0
        self._floor = 0
        self._kept: deque[WatchBatch] = deque()
        self._count = 0
        self._readers: set[Reader] = set()
        self._others: set[Reader] = set()

    def enter(self, start: bytes, end: bytes, revision: int) -> Reader | None:
        """A reader of what comes after `revision` (later ones than the newest, too); None: that is too long ago."""
        if revision < self._floor or not self.revision:
            return None
        reader = Reader(start, end, revision)
        for batch in self._kept:
            reader.take(batch)
        self._readers.add(reader)
        return reader

    def enter_apart(self, start: bytes, end: bytes, revision: int) -> Reader:
        """A reader that somebody else feeds; a rollback ends it as well."""
        reader = Reader(start, end, revision, pulled=True)
        self._others.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Tell it no more."""
        self._readers.discard(reader)
        self._others.discard(reader)

    def publish(self, batch: WatchBatch) -> None:
        """Complete revisions that have been applied to the view."""
        self.revision = batch.revision
        self._kept.append(batch)
        self._count += len(batch.events)
        while self._count > KEPT:
            old = self._kept.popleft()
            self._count -= len(old.events)
            self._floor = old.revision
        for reader in self._readers:
            reader.take(batch)

    def resume(self, revision: int) -> None:
        """The watch goes on after `revision`; what it leaves out was lost to those who read here."""
        if revision != self.revision:
            for reader in self._readers:
                reader.interrupt(Interrupted, "this node lost its place in etcd's history")
            self._begin(revision)

    def roll_back(self) -> None:
        """etcd went back in time."""
        for reader in (*self._readers, *self._others):
            reader.interrupt(RolledBack, "etcd was restored from a snapshot: start again with a snapshot of the leases")
        self._begin(0)

    def _begin(self, revision: int) -> None:
        self.revision = self._floor = revision
        self._kept.clear()
        self._count = 0
