"""A range of keys page by page, for who does not know how much it holds.

Law: etcd counts whatever a range holds beyond its limit, for every page anew, and lets no writer in meanwhile. So where
a page brought something the next range ends with a block of addresses; where there was nothing it is all that is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from everlease.store.api import KeyValue, Store
from everlease.store.keys import end_of_block


async def pages(
    store: Store, start: bytes, end: bytes, *, revision: int, limit: int, deadline: float
) -> AsyncIterator[Sequence[KeyValue]]:
    """The records of [start, end) at a revision, at most `limit` at a time, or none. Raises Unavailable, Compacted."""
    found = True
    while start < end:
        block = end_of_block(start)
        bound = block if found and start < block < end else end
        page = await store.get_range(start, bound, revision=revision, limit=limit, deadline=deadline)
        yield page.records
        found = bool(page.records)
        start = page.records[-1].key + b"\0" if page.more else bound
