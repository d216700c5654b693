"""Entries of the clients' index that name an address which is another client's by now.

An offer that is committed takes an ended binding's address by a change on that one record, and leaves the entry of the
client that had it. Nobody is misled by it, for every grant compares what it reads; but it would lie there for ever.

The law of this file: the view says where to look, the store what is so, and the delete compares both keys with that.
A range that is asked for holds few entries: etcd counts what a limit leaves out, and lets no writer in meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import parse_address, range_end
from everlease.store.records import BadRecord, decode_lease
from everlease.store.txn import Leaf, single

PAGE: Final = 200
PAGES: Final = 100
"""At a time: a cluster of 10,000 clients is gone through at once, one of a million within a day."""

SLICE: Final = 2_000
"""Rows of the view between two turns of the loop."""

PAUSE: Final = 0.05
DEADLINE: Final = 5.0


class Indexes:
    """Goes through all entries, a piece at a time."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._next = rooms.keys.clients
        self._ends: list[bytes] = []  # of the pieces that are left, the last first

    async def purge(self) -> list[str]:
        """Look at the next piece; the keys that were deleted. Raises Unavailable, NoSpace."""
        gone: list[str] = []
        keys, store = self._rooms.keys, self._rooms.store
        self._ends = self._ends or await self._pieces()
        for _ in range(PAGES):
            page = await store.get_range(self._next, self._ends[-1], limit=PAGE, deadline=DEADLINE)
            gone += [entry.key.decode() for entry in self._suspects(page.records) if await self._delete(entry)]
            self._next = page.records[-1].key + b"\0" if page.more else self._ends.pop()
            if not self._ends:
                self._next = keys.clients
                break
            await asyncio.sleep(PAUSE)
        return gone

    async def _pieces(self) -> list[bytes]:
        """Where pieces of about half a page end, the last first: every so many clients of the view, in order."""
        keys, view = self._rooms.keys, self._rooms.view
        ends = {range_end(keys.clients)}
        for space in view.spaces():
            for number, address in enumerate(view.rows(space), 1):
                row = view.row(space, address) if number % (PAGE // 2) == 0 else None
                if row is not None:
                    ends.add(keys.client(space, row.subnet, row.client))
                if number % SLICE == 0:
                    await asyncio.sleep(0)
        return sorted(ends, reverse=True)

    def _suspects(self, entries: Sequence[KeyValue]) -> list[KeyValue]:
        """Those that the view does not know as their client's binding."""
        return [entry for entry in entries if not self._is_known(entry)]

    def _is_known(self, entry: KeyValue) -> bool:
        named, address = self._rooms.keys.parse_client(entry.key), parse_address(entry.value or b"")
        if named is None or address is None:  # not ours to judge: a newer version's, perhaps
            return True
        space, subnet, client = named
        row = self._rooms.view.row(space, address)
        return row is not None and (row.client, row.subnet) == (client, subnet)

    async def _delete(self, entry: KeyValue) -> bool:
        """Delete the entry, if the record that it names really is another client's, or is not there."""
        named, address = self._rooms.keys.parse_client(entry.key), parse_address(entry.value or b"")
        assert named is not None and address is not None
        space, subnet, client = named
        key, store = self._rooms.keys.lease(space, address), self._rooms.store
        found = (await store.get_range(key, key + b"\0", deadline=DEADLINE)).records
        if found and _holder(found[0]) in ((client, subnet), None):
            return False
        leaf = Leaf({entry.key: entry.revision, key: found[0].revision if found else 0}, deletes=[entry.key])
        return (await store.batch(single(leaf), DEADLINE)).results[0].succeeded


def _holder(record: KeyValue) -> tuple[bytes, int] | None:
    """(client, subnet) of a record; None = it cannot be read."""
    try:
        lease = decode_lease(record.value or b"")
    except BadRecord:
        return None
    return lease.client, lease.subnet
