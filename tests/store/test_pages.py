"""A range read page by page: everything once, and no question that has much behind its limit."""

from __future__ import annotations

from typing import Any

from everlease.store.api import Page
from everlease.store.keys import BLOCK, Keys, range_end
from everlease.store.memory import MemoryStore
from everlease.store.pages import pages
from everlease.store.txn import Leaf, single

KEYS = Keys("/test")
OFFICE = 0x0A4D0000
LIMIT = 100


class Counting(MemoryStore):
    """How many records each question had in its range."""

    def __init__(self) -> None:
        super().__init__()
        self.behind: list[int] = []

    async def get_range(self, start: bytes, end: bytes, **more: Any) -> Page:
        self.behind.append(len((await super().get_range(start, end)).records))
        return await super().get_range(start, end, **more)


async def filled(*addresses: int) -> Counting:
    store = Counting()
    for address in addresses:
        await store.batch(single(Leaf({}, [(KEYS.lease("default", address), b"x")])), 1.0)
    return store


async def read(store: Counting, start: bytes, end: bytes) -> list[bytes]:
    revision = (await MemoryStore.get_range(store, start, end)).revision
    store.behind.clear()
    return [
        record.key
        async for records in pages(store, start, end, revision=revision, limit=LIMIT, deadline=1.0)
        for record in records
    ]


async def test_every_record_comes_once_and_in_order() -> None:
    addresses = [1, *range(OFFICE, OFFICE + 3 * LIMIT, 2), OFFICE + BLOCK, OFFICE + 9 * BLOCK, (1 << 32) - 1]
    store, prefix = await filled(*addresses), KEYS.leases("default")
    assert await read(store, prefix, range_end(prefix)) == [KEYS.lease("default", each) for each in addresses]


async def test_from_the_second_page_on_a_question_ends_with_its_block() -> None:
    store, prefix = await filled(*range(OFFICE, OFFICE + 2 * BLOCK)), KEYS.leases("default")
    assert len(await read(store, prefix, range_end(prefix))) == 2 * BLOCK
    assert store.behind[0] == 2 * BLOCK  # it may be somewhere in four thousand million
    assert max(store.behind[1:]) <= BLOCK


async def test_where_nothing_is_left_the_rest_is_looked_at_at_once() -> None:
    store = await filled(OFFICE)
    start, end = KEYS.lease_range("default", OFFICE, (1 << 32) - 1)
    assert len(await read(store, start, end)) == 1
    assert store.behind == [1, 0, 0]
