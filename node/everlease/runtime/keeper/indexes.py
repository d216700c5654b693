"""Entries of the clients' index that name an address which is another client's by now.

An offer that is committed takes an ended binding's address by a change on that one record, and leaves the entry of the
client that had it. Nobody is misled by it, for every grant compares what it reads; but it would lie there for ever.

The law of this file: the view says where to look, the store what is so, and the delete compares both keys with that.
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
PAGES: Final = 50
"""At a time: a cluster of 10,000 clients is gone through at once, one of a million within a day."""

PAUSE: Final = 0.05
DEADLINE: Final = 5.0


class Indexes:
    """Goes through all entries, a piece at a time."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._next = rooms.keys.clients

    async def purge(self) -> list[str]:
        """Look at the next piece; the keys that were deleted. Raises Unavailable, NoSpace."""
        gone: list[str] = []
        keys, store = self._rooms.keys, self._rooms.store
        for _ in range(PAGES):
            page = await store.get_range(self._next, range_end(keys.clients), limit=PAGE, deadline=DEADLINE)
            gone += [entry.key.decode() for entry in self._suspects(page.records) if await self._delete(entry)]
            self._next = page.records[-1].key + b"\0" if page.more else keys.clients
            if not page.more:
                break
            await asyncio.sleep(PAUSE)
        return gone

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
