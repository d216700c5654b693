"""The view is compared with etcd itself from time to time: what a watch has lost is repaired, and counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from everlease.core.lifecycle import BOUND, RELEASED
from everlease.store import loader as loading
from everlease.store.api import KeyValue, WatchBatch
from everlease.store.keys import Keys
from everlease.store.loader import Loader
from everlease.store.memory import MemoryStore
from everlease.store.records import encode_lease
from everlease.store.txn import Leaf, put, single
from everlease.store.view import View
from store.makers import ALICE, BOB, NOW, lease

KEYS = Keys("/test")
A, B, C = 0x0A4D0001, 0x0A4D0002, 0x0A4D0003


class Forgetful(MemoryStore):
    """Its watch loses the events of some keys, as etcd 3.4.23 may after a compaction."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[bytes] = set()

    async def watch(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[WatchBatch]:
        """As it is, but for what is lost."""
        async for batch in super().watch(start, end, revision):
            kept = [event for event in batch.events if event.key not in self.lost]
            yield WatchBatch(kept, batch.revision, batch.cluster)

    async def lease(self, address: int, client: bytes, state: int = BOUND) -> None:
        """Put a record, whatever was there."""
        leaf = Leaf({}, [(KEYS.lease("default", address), encode_lease(lease(client, state)))])
        await self.batch(single(leaf), 1.0)


@contextlib.asynccontextmanager
async def following(store: MemoryStore) -> AsyncIterator[View]:
    view = View(KEYS, NOW)
    loader = Loader(store, KEYS, view, lambda: [("default", 0x0A4D0000, 0x0A4DFFFF)])
    task = asyncio.create_task(loader.run())
    await loader.loaded.wait()
    yield view
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(view: View, *, loads: int) -> None:
    async with asyncio.timeout(10):
        while view.loads < loads:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "RELIST_EVERY", 0.1)


async def test_lost_grants_changes_and_deletions_are_repaired_and_counted() -> None:
    store = Forgetful()
    for address in (A, B):
        await store.lease(address, ALICE)
    async with following(store) as view:
        store.lost = {KEYS.lease("default", address) for address in (A, B, C)}
        await store.batch(single(Leaf({}, deletes=[KEYS.lease("default", A)])), 1.0)
        await store.lease(B, BOB, RELEASED)
        await store.lease(C, BOB)
        await store.batch(single(put(KEYS.node("n1"), b"", 0)), 1.0)  # the watch has passed them all
        await until(view, loads=view.loads + 2)
        assert view.row("default", A) is None
        assert [view.row("default", address).client for address in (B, C)] == [BOB, BOB]
        assert view.address_of("default", 1, ALICE) == 0
        assert view.repairs == 3
        await until(view, loads=view.loads + 2)
        assert view.repairs == 3


async def test_what_happens_while_it_is_compared_is_no_difference() -> None:
    store = MemoryStore()
    async with following(store) as view:
        before = view.loads
        for number in range(200):
            address = A + number % 20
            row = view.row("default", address)
            if row is not None and number % 3 == 0:
                await store.batch(single(Leaf({}, deletes=[KEYS.lease("default", address)])), 1.0)
            else:
                leaf = Leaf({}, [(KEYS.lease("default", address), encode_lease(lease(b"\x01%d" % number)))])
                await store.batch(single(leaf), 1.0)
            await asyncio.sleep(0.005)
        await until(view, loads=before + 3)
        assert view.repairs == 0
        page = await store.get_range(KEYS.watched, KEYS.watched_end)
        assert {kv.key: kv.revision for kv in page.records} == rows_of(view)


def rows_of(view: View) -> dict[bytes, int]:
    return {KEYS.lease("default", address): row.revision for address, row in view.rows("default").items()}


def test_an_event_that_the_view_has_already_makes_no_difference_when_it_comes_again() -> None:
    view = View(KEYS, NOW)
    value = encode_lease(lease(ALICE))
    assert view.apply(KeyValue(KEYS.lease("default", A), value, 5, 1))
    assert not view.apply(KeyValue(KEYS.lease("default", A), value, 5, 1))
    assert not view.apply(KeyValue(KEYS.lease("default", A), value, 4, 1))
