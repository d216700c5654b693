"""Lives a rollback down: etcd was restored from a snapshot, and what was granted since is missing from it.

The law of this file: a promise outlives the store's memory of it. The view from before becomes a set of ghosts; what
they were promised is written back where it is absent or an offer stands in its place, and until the longest lifetime
has passed an address without a record goes only to a client that asks for that very address (`core.situation`,
`restored`). Who was not there, or has forgotten it by a restart, learns from the others' presence until when; only if
all are restarted does nobody know.
A restored backup is lived down in the same way, without ghosts: `config/current` says until when, to everybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from everlease import logs
from everlease.core.actions import GRANT, RENEW, Change
from everlease.core.changes import displaced
from everlease.core.lifecycle import BOUND, MAX_GRACE, OFFERED, Lease, Row
from everlease.core.model import Config
from everlease.runtime.rooms import Rooms
from everlease.store.ghosts import Ghosts

SLICE: Final = 50
PAUSE: Final = 0.05
"""Seconds between two slices: a thousand records a second, beside serving."""


class Restorer:
    """`rolled_back` is the loader's to call; `run` lives as long as the node. lifetime: the longest told, seconds."""

    def __init__(self, rooms: Rooms, loaded: asyncio.Event, lifetime: Callable[[], float]) -> None:
        self._rooms = rooms
        self._loaded = loaded
        self._lifetime = lifetime
        self._news = asyncio.Event()
        self._rollback = self._order = 0.0
        rooms.membership.on_restored = self.told
        rooms.configuration.on_recovery = self.ordered
        self.ordered(rooms.configuration.recover_until)

    @property
    def until(self) -> float:
        """When all of it is over, by CLOCK_BOOTTIME."""
        return max(self._rollback, self._order)

    def doubt(self) -> None:
        """The store went back in time, and the view does not know it yet: nobody is served, and no change leaves."""
        self._rooms.committer.hold()
        self._rooms.lifeline.doubt(self._rooms.clock.boot())

    def rolled_back(self) -> None:
        """The store went back in time, and the view is empty: serve nobody until it is loaded and proved again."""
        rooms = self._rooms
        now = rooms.clock.boot()
        self._live_down(now + self._longest())
        rooms.lifeline.doubt(now)
        logs.get().error("the store went back in time", ghosts=len(rooms.view.ghosts or ()))

    def told(self, restored: float) -> None:
        """Another node lives a rollback down until then (cluster time): so do we, without ghosts of our own."""
        rooms = self._rooms
        now = rooms.clock.boot()
        until = min(restored - rooms.clock.later, now + self._longest())
        if until > max(now, self.until):
            if rooms.view.ghosts is None:
                rooms.view.ghosts = Ghosts({})
                logs.get().warning("another node tells that the store went back in time", seconds=round(until - now))
            self._live_down(until)

    def ordered(self, until: float) -> None:
        """A backup was restored: unrecorded addresses may be somebody's until then (cluster time; 0 = not any more)."""
        rooms, before = self._rooms, self._order
        now = rooms.clock.boot()
        self._order = until - rooms.clock.later if until else 0.0
        if self._order > now and rooms.view.ghosts is None:
            rooms.view.ghosts = Ghosts({})
            logs.get().warning("a backup was restored; it is being lived down", seconds=round(self._order - now))
        elif before > now > self.until:
            self._end()
        self._news.set()

    def _longest(self) -> float:
        return self._lifetime() + MAX_GRACE

    def _live_down(self, until: float) -> None:
        self._rollback = until
        self._rooms.membership.restored = self._rooms.clock.wall_of(until)
        self._news.set()

    async def run(self) -> None:
        """Write back, and wait, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._loaded.wait()
            self._rooms.committer.release()
            await self.write_back()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self.until - self._rooms.clock.boot())
            if not self._news.is_set() and self._rooms.view.ghosts is not None:
                self._end()

    def _end(self) -> None:
        self._rooms.view.ghosts = None
        self._rooms.membership.restored = 0.0
        logs.get().info("it has been lived down")

    async def write_back(self) -> None:
        """Commit again what the ghosts were promised, in slices."""
        ghosts = self._rooms.view.ghosts
        entries = iter(list(ghosts)) if ghosts is not None else iter(())
        while part := list(islice(entries, SLICE)):
            config = self._rooms.configuration.current
            if config is not None and ghosts is not None:
                for change in self._lost(ghosts, part):
                    self._rooms.committer.submit(change, config, self._rooms.clock.boot(), _whatever)
            await asyncio.sleep(PAUSE)

    def _lost(self, ghosts: Ghosts, keys: list[tuple[str, int]]) -> Iterator[Change]:
        now = self._rooms.clock.now()
        for space, address in keys:
            ghost = ghosts.get((space, address))
            if ghost is not None and ghost.state == BOUND and ghost.expires_at > now:
                change = self._again(space, address, ghost)
                if change is not None:
                    yield change

    def _again(self, space: str, address: int, ghost: Row) -> Change | None:
        view = self._rooms.view
        row = view.row(space, address)
        granted_at = int(min(self._rooms.clock.now(), ghost.expires_at - ghost.valid))
        lease = Lease(ghost.client, b"", BOUND, granted_at, ghost.expires_at, ghost.valid, ghost.subnet)
        if row is None or row.state == OFFERED:  # an offer is no promise, and may be declined by now
            return self._anew(space, address, ghost, row, lease)
        if row.client == ghost.client and row.state == BOUND and row.expires_at < ghost.expires_at:
            return Change(RENEW, space, address, ghost.subnet, ghost.client, row.revision, lease)
        return None

    def _anew(self, space: str, address: int, ghost: Row, row: Row | None, lease: Lease) -> Change | None:
        """Bind it as if for the first time; unless what was restored has another address of this client's."""
        view = self._rooms.view
        held = view.address_of(space, ghost.subnet, ghost.client)
        if held not in (0, address):
            return None
        expected = row.revision if row is not None else 0
        indexes = ((ghost.subnet, held),)
        change = Change(GRANT, space, address, ghost.subnet, ghost.client, expected, lease, indexes, puts_index=True)
        change.displaced = displaced(view, space, address, row, ghost.client, ghost.subnet)
        return change


def _whatever(_outcome: int) -> None:
    """Refused: somebody was faster, a client or another node. Lost: the client will ask."""


def longest_lifetime(config: Config | None) -> float:
    """Seconds for which a client may still use what it was told."""
    if config is None:
        return 0.0
    parameters = [config.parameters, *(subnet.parameters for subnet in config.subnets.values())]
    return float(max(each.max_valid_lifetime or each.valid_lifetime or 0 for each in parameters))
