"""What the watch brings is told on in order, once, without a gap; and nobody who reads slowly holds anything up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.store import feed as feeds
from everlease.store.api import KeyValue, WatchBatch
from everlease.store.feed import Feed, Interrupted, Reader, RolledBack, Slow
from everlease.store.keys import Keys, range_end
from everlease.store.loader import Loader
from everlease.store.memory import MemoryStore
from everlease.store.view import View
from store.makers import ALICE, grant, request

START, END = b"/v/leases/", b"/v/leases0"


def batch(revision: int, count: int = 1, key: bytes = b"/v/leases/a") -> WatchBatch:
    return WatchBatch([KeyValue(key, b"x", revision) for _ in range(count)], revision)


def fed(first: int = 1, last: int = 10) -> Feed:
    feed = Feed()
    feed.resume(first - 1)
    for revision in range(first, last + 1):
        feed.publish(batch(revision))
    return feed


async def all_of(reader: Reader, most: int = 3) -> list[int]:
    found: list[int] = []
    while (portion := await reader.read(most, 0)).events:
        found += [event.revision for event in portion.events]
    return found


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), max_size=30), st.integers(0, 40), st.integers(1, 7))
def test_a_reader_gets_each_later_event_once_and_its_revision_never_splits_a_transaction(
    steps: list[tuple[int, int]], after: int, most: int
) -> None:
    async def story() -> None:
        feed, published = Feed(), []
        feed.resume(5)
        reader = feed.enter(START, END, max(after, 5))
        assert reader is not None
        revision, told, got = 5, max(after, 5), []
        for step, count in steps:
            revision += step
            feed.publish(batch(revision, count) if count else batch(revision, 1, b"/v/nodes/n1"))
            published += [revision] * count
            portion = await reader.read(most, 0)
            got += [event.revision for event in portion.events]
            assert portion.revision >= told
            told = portion.revision
            assert [each for each in published if max(after, 5) < each <= told] == [
                each for each in got if each <= told
            ]
        got += await all_of(reader)
        assert got == [each for each in published if each > max(after, 5)]

    asyncio.run(story())


async def test_who_comes_back_after_a_moment_misses_nothing() -> None:
    reader = fed(1, 10).enter(START, END, 4)
    assert reader is not None
    assert await all_of(reader) == [5, 6, 7, 8, 9, 10]


async def test_what_is_no_longer_kept_is_not_told_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "KEPT", 4)
    feed = fed(1, 10)
    assert feed.enter(START, END, 5) is None
    reader = feed.enter(START, END, 6)
    assert reader is not None
    assert await all_of(reader) == [7, 8, 9, 10]
    assert Feed().enter(START, END, 0) is None  # before the first watch nothing is known


async def test_a_reader_that_is_too_slow_is_ended_with_the_revision_to_go_on_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "ROOM", 6)
    feed = fed(1, 1)
    slow, quick = feed.enter(START, END, 1), feed.enter(START, END, 1)
    assert slow is not None
    assert quick is not None
    for revision in range(2, 10):
        feed.publish(batch(revision, 2))
        if revision == 2:
            assert (await slow.read(2, 0)).revision == 2
        assert len((await quick.read(9, 0)).events) == 2
    with pytest.raises(Slow) as ended:
        await slow.read(9, 0)
    assert ended.value.revision == 3


async def test_a_gap_in_the_watch_ends_its_readers_and_none_that_has_one_of_its_own() -> None:
    feed = fed(1, 10)
    reader, apart = feed.enter(START, END, 10), feed.enter_apart(START, END, 2)
    assert reader is not None
    feed.resume(10)  # nothing was missed
    assert not (await reader.read(9, 0)).events
    feed.resume(40)
    with pytest.raises(Interrupted) as ended:
        await reader.read(9, 0)
    assert ended.value.revision == 11
    apart.take(batch(3))
    assert await all_of(apart) == [3]
    assert feed.enter(START, END, 10) is None


async def test_a_rollback_ends_everybody() -> None:
    feed = fed(1, 10)
    reader, apart = feed.enter(START, END, 10), feed.enter_apart(START, END, 2)
    assert reader is not None
    feed.roll_back()
    for each in (reader, apart):
        with pytest.raises(RolledBack):
            await each.read(9, 1)


async def test_a_reader_wakes_for_an_event_and_after_its_patience() -> None:
    feed = fed(1, 1)
    reader = feed.enter(START, END, 1)
    assert reader is not None
    waiting = asyncio.create_task(reader.read(9, 30))
    await asyncio.sleep(0)
    feed.publish(batch(2, 1, b"/v/nodes/n1"))
    feed.publish(batch(3))
    assert [event.revision for event in (await waiting).events] == [3]
    assert (await reader.read(9, 0.01)).revision == 3
    feed.leave(reader)
    feed.publish(batch(4))
    assert not (await reader.read(9, 0)).events


async def test_a_reader_that_is_pulled_for_is_never_ended_and_says_when_it_has_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "ROOM", 6)
    reader = fed(1, 1).enter_apart(START, END, 1)
    for revision in range(2, 10):
        reader.take(batch(revision))
    assert not reader.roomy
    waiting = asyncio.create_task(reader.drained())
    assert [event.revision for event in (await reader.read(4, 0)).events] == [2, 3, 4, 5]
    await asyncio.sleep(0)
    assert not waiting.done()
    await reader.read(4, 0)
    await waiting


async def test_a_node_tells_on_what_its_watch_brings_until_the_store_goes_back_in_time() -> None:
    store, keys, feed = MemoryStore(), Keys("/test"), Feed()
    view = View(keys)
    loader = Loader(store, keys, view, list, feed)
    task = asyncio.create_task(loader.run())
    await asyncio.wait_for(loader.loaded.wait(), 20)
    while not feed.revision:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    start = keys.leases("default")
    reader = feed.enter(start, range_end(start), feed.revision)
    assert reader is not None
    await store.batch(request(keys, grant(0x0A4D0001, ALICE)), 2.0)
    (event,) = (await reader.read(9, 20)).events
    assert event.key == keys.lease("default", 0x0A4D0001)
    assert view.row("default", 0x0A4D0001) is not None  # whoever is told of it finds it in the view
    store.freshness.contradict(1, 1)
    with pytest.raises(RolledBack):
        await reader.read(9, 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
