"""Deletes lease records that ended long ago; nobody else does, ever.

The law of this file: a record stays for an hour after its end, and longer for affinity, so that a delayed old write
finds a record, not a hole. It is deleted by compare, so that what is alive again survives. Every node sweeps the
addresses of the buckets that it owns: to save work, never for safety.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Final

from everlease.core.answering import owned_mask, rendezvous
from everlease.core.identity import address_bucket
from everlease.core.lifecycle import BOUND, RELEASED, Row
from everlease.core.model import Config
from everlease.runtime.committer import COMMITTED, OFFERED, Ticket
from everlease.runtime.lifeline import SERVING
from everlease.runtime.rooms import Rooms
from everlease.store import txn

KEEP: Final = 3600.0
"""Seconds after a record's end before it may go: no write is delayed that long (a batch is fenced after 10 s)."""

AROUND: Final = 300.0
"""Seconds between two rounds over all records."""

SLICE: Final = 200
PAUSE: Final = 0.05
PER_SLICE: Final = 10
"""Removals per slice, 200 per second: a sweep never fills a batch by itself."""

BUSY: Final = 50
"""Changes waiting above which the sweep has time."""


class Sweeper:
    """Walks the view in slices and commits removals in the lowest rank."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(AROUND)
            await self.sweep()

    async def sweep(self) -> None:
        """One round over all records; the loop turns between two slices."""
        rooms = self._rooms
        for space in rooms.view.spaces():
            addresses = iter(rooms.view.rows(space))
            while part := list(islice(addresses, SLICE)):
                config = rooms.configuration.current
                if config is None or rooms.lifeline.state != SERVING or rooms.view.ghosts is not None:
                    return
                if rooms.committer.length < BUSY:
                    for gone in islice(self._ended(space, part, config), PER_SLICE):
                        self._remove(gone, config)
                await asyncio.sleep(PAUSE)

    def _ended(self, space: str, addresses: list[int], config: Config) -> Iterator[txn.Removal]:
        view, now = self._rooms.view, self._rooms.clock.reuse_now()
        mine = owned_mask(rendezvous(self._rooms.membership.eligible), self._rooms.name)
        for address in addresses:
            row = view.row(space, address)
            if row is not None and mine >> address_bucket(address) & 1 and now >= keep_until(row, config):
                indexed = view.address_of(space, row.subnet, row.client) == address
                yield txn.Removal(space, address, row.subnet, row.client, row.revision, indexed)

    def _remove(self, gone: txn.Removal, config: Config) -> None:
        leaf = txn.removal(self._rooms.keys, gone)
        now = self._rooms.clock.boot()

        def settled(outcome: int) -> None:
            if outcome == COMMITTED:
                self._rooms.counters.swept += 1
                self._rooms.view.removed(gone.space, gone.address, ticket.revision)

        ticket = Ticket(leaf, OFFERED, config.mod_revision, now, settled)
        self._rooms.committer.enter(ticket)


def keep_until(row: Row, config: Config) -> float:
    """Cluster time after which a record may be deleted: an hour, or for as long as any level keeps affinity."""
    kept = KEEP
    if row.state in (BOUND, RELEASED):
        levels = [config.parameters]
        if row.subnet in config.subnets:
            levels += [config.network_of[row.subnet].parameters, config.subnets[row.subnet].parameters]
        kept = max(KEEP, *(level.affinity or 0 for level in levels))
    return row.expires_at + kept
