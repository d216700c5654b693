"""Snapshots on a schedule: of all nodes that are told to, one takes each, and none of them serves a client less for it.

The law of this file: a snapshot is streamed in a thread, from a member that does not lead where there is one. Who takes
it is settled by compare-and-put; a node that fails leaves it to the next one after `RETRY`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from everlease import logs
from everlease.errors import ConfigError, StoreError
from everlease.runtime.rooms import Rooms
from everlease.store.api import NoSpace, Unavailable
from everlease.store.keeping import Taken, decode, encode
from everlease.store.snapshots import Directory, Sink, Tar
from everlease.store.txn import Leaf, single
from everlease.store.upkeep import Upkeep

STDOUT: Final = "-"
LOOK_EVERY: Final = 5.0
DEADLINE: Final = 2.0

RETRY: Final = 60.0
"""Seconds that a node which failed leaves it to the others, and that one which takes it has at least."""

HABIT: Final = 0.1
"""Share of the interval for which the others leave it to the node that took the last one: they stay in one place."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """place: a directory, or "-" for a tar stream on standard output; every: seconds; keep: files."""

    place: str
    every: float = 3600.0
    keep: int = 24

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError("--snapshot-every: 1s or more")
        if self.keep < 1:
            raise ConfigError("--snapshot-keep: 1 or more")

    def open(self) -> Sink:
        """Where they go. Raises ConfigError."""
        if self.place == STDOUT:
            return Tar()
        folder = Path(self.place)
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"--snapshots {self.place}: not a directory that this user can write to")
        return Directory(folder, self.keep)


def due(last: Taken, node: str, now: float, every: float) -> bool:
    """Whether this node should take a snapshot at `now` (cluster time)."""
    if last.taker and 0 <= now - last.begun < max(every, RETRY):
        return False
    return now - last.at >= every * (1 if last.node in (node, "") else 1 + HABIT)


class Snapshots:
    """One node's part. Raises ConfigError when it is made, if there is no place for them."""

    def __init__(self, rooms: Rooms, upkeep: Upkeep, schedule: Schedule) -> None:
        self._rooms = rooms
        self._upkeep = upkeep
        self._schedule = schedule
        self._sink = schedule.open()
        self._key = rooms.keys.keeper + b"snapshot"
        self._rest_until = 0.0

    async def run(self) -> None:
        """Take those that are due until cancelled."""
        while True:
            with suppress(Unavailable, NoSpace):  # the next one will be due still
                await self.turn()
            await asyncio.sleep(min(LOOK_EVERY, self._schedule.every / 2))

    async def turn(self) -> None:
        """See when the last one was taken; take the next one if that is due. Raises Unavailable, NoSpace."""
        page = await self._rooms.store.get_range(self._key, self._key + b"\0", deadline=DEADLINE)
        record = page.records[0] if page.records else None
        last = (record and decode(Taken, record.value)) or Taken()
        self._rooms.condition.snapshot = last
        now = self._rooms.clock.now()
        if self._rooms.clock.boot() < self._rest_until or not due(last, self._rooms.name, now, self._schedule.every):
            return
        claim = msgspec.structs.replace(last, taker=self._rooms.name, begun=now)
        revision = await self._put(claim, record.revision if record else 0)
        if revision:
            await self._take(last, now, revision)

    async def _take(self, last: Taken, now: float, revision: int) -> None:
        name = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        counters, started, after = self._rooms.counters, self._rooms.clock.boot(), last
        member = await self._choose()
        try:
            size = await self._upkeep.snapshot(member, self._sink, name)
        except (StoreError, OSError) as failed:
            self._rest_until = self._rooms.clock.boot() + RETRY
            counters.upkeep["snapshot", "failed"] += 1
            logs.get().error("snapshot failed", member=member, reason=str(failed))
        else:
            after = self._rooms.condition.snapshot = Taken(self._rooms.name, now, size, name)
            counters.upkeep["snapshot", "done"] += 1
            seconds = round(self._rooms.clock.boot() - started, 3)
            logs.get().info("snapshot", member=member, name=name, bytes=size, seconds=seconds)
        await self._put(after, revision)

    async def _choose(self) -> str:
        """A member that does not lead, the slowest that is up: reading its database costs the others nothing."""
        names = [name for name in reversed(self._rooms.store.rank()) if self._rooms.store.is_up(name)]
        for name in names:
            with suppress(StoreError):
                status = await self._upkeep.status(name, DEADLINE)
                if status.leader and status.leader != status.id:
                    return name
        return (names or self._rooms.store.rank())[0]

    async def _put(self, record: Taken, expected: int) -> int:
        """Write by compare; the record's revision, 0 = somebody else was faster."""
        leaf = Leaf({self._key: expected}, [(self._key, encode(record))])
        answer = await self._rooms.store.batch(single(leaf), DEADLINE)
        return answer.revision if answer.results[0].succeeded else 0
