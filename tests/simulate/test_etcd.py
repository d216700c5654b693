"""The model of etcd is as nasty as etcd is: what was unknown may have happened, watches end, history can go back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from everlease.store import txn
from everlease.store.api import Compacted, KeyValue, NoSpace, Unavailable
from everlease.store.etcd import EtcdStore
from simulate.channel import connect
from simulate.etcd import Cluster
from simulate.members import HUNG, Member
from simulate.world import World

FIRST = "m1:2379"
ALL = (b"a", b"z")


class Ward:
    """A cluster and a client of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.etcd: Cluster = world.etcd
        self.paths = {member: world.path("client", member) for member in world.etcd.members}
        self.store = EtcdStore(list(self.paths), connect=connect(self.paths), clock=world.loop.time)

    @property
    def first(self) -> Member:
        return self.etcd.members[FIRST]

    async def put(self, key: bytes, value: bytes = b"1", member: str = FIRST, deadline: float = 1.0) -> bool:
        result = await self.store.batch(txn.single(txn.put(key, value, 0)), deadline, member)
        return result.results[0].succeeded

    async def keys(self) -> list[bytes]:
        return [record.key for record in (await self.store.get_range(*ALL)).records]


def live(work: Callable[[Ward], Awaitable[None]], seed: int = 1) -> World:
    """Let `work` live in a world of its own."""
    world = World(seed)

    async def begin() -> None:
        await work(Ward(world))

    world.loop.run_until_complete(begin())
    world.loop.close()
    return world


def test_what_a_frozen_member_was_sent_may_be_done_when_nobody_waits_for_it_any_more() -> None:
    done = []

    async def work(ward: Ward) -> None:
        ward.etcd.freeze(ward.etcd.members["m2:2379"])
        with pytest.raises(Unavailable):
            await ward.put(b"late", member="m2:2379")
        await asyncio.sleep(9)
        assert await ward.keys() == []
        ward.etcd.thaw(ward.etcd.members["m2:2379"])
        await asyncio.sleep(1)
        done.append(await ward.keys())

    for seed in range(10):
        live(work, seed)
    assert done.count([b"late"]) + done.count([]) == 10
    assert 0 < done.count([]) < 10


@pytest.mark.parametrize("lose", [Cluster.kill, Cluster.freeze])
def test_without_its_leader_nothing_commits_until_another_one_is_elected(lose: Callable[..., None]) -> None:
    async def work(ward: Ward) -> None:
        lose(ward.etcd, ward.first)
        with pytest.raises(Unavailable):
            await ward.put(b"a", member="m2:2379", deadline=0.9)
        assert await ward.put(b"b", member="m2:2379", deadline=3.0)
        assert 0.9 < ward.world.now < 2.2

    live(work)


def test_a_leader_whose_disk_hangs_loses_the_lead_and_its_clients_wait() -> None:
    async def work(ward: Ward) -> None:
        ward.first.disk = HUNG
        ward.etcd.reconsider()
        await asyncio.sleep(3)
        assert ward.etcd.leader not in (None, ward.first)
        with pytest.raises(Unavailable):
            await ward.put(b"a")
        assert await ward.put(b"b", member="m3:2379")

    live(work)


def test_a_full_member_stops_the_puts_of_all_but_not_nested_ones_as_3_4_does() -> None:
    async def work(ward: Ward) -> None:
        ward.first.full = True
        assert await ward.put(b"nested")
        ward.etcd.nested_pass = False
        with pytest.raises(NoSpace):
            await ward.put(b"later", member="m2:2379")

    live(work)


async def watched(ward: Ward, events: list[KeyValue], revision: int = 2) -> None:
    async for batch in ward.store.watch(*ALL, revision):
        events.extend(batch.events)


def test_a_watch_tells_every_event_once_and_in_order_whatever_its_delays() -> None:
    async def work(ward: Ward) -> None:
        events: list[KeyValue] = []
        watching = asyncio.create_task(watched(ward, events))
        for number in range(30):
            ward.paths[FIRST].watch_delay = number % 3 * 0.05
            await ward.put(b"k%02d" % number)
        ward.paths[FIRST].hold()
        await ward.put(b"last")
        await asyncio.sleep(1)
        assert len(events) == 30
        ward.paths[FIRST].let_go()
        await asyncio.sleep(1)
        assert [event.revision for event in events] == list(range(2, 33))
        watching.cancel()

    live(work)


def test_a_watch_behind_a_compaction_ends_and_says_so() -> None:
    async def work(ward: Ward) -> None:
        for number in range(5):
            await ward.put(b"k%d" % number)
        await ward.store.compact(5)
        with pytest.raises(Compacted):
            await watched(ward, [], 2)

    live(work)


def test_a_watch_on_a_member_that_lost_its_leader_ends() -> None:
    async def work(ward: Ward) -> None:
        watching = asyncio.create_task(watched(ward, []))
        await asyncio.sleep(0.1)
        ward.first.apart = True
        ward.etcd.separated(ward.first)
        with pytest.raises(Unavailable, match="no leader"):
            await asyncio.wait_for(watching, 5)

    live(work)


def test_a_restored_snapshot_takes_back_what_came_after_it_and_its_reader_is_told() -> None:
    async def work(ward: Ward) -> None:
        for number in range(5):
            await ward.put(b"k%d" % number)
        ward.etcd.restore(3, ward.etcd.id)
        for member in ward.etcd.members.values():
            ward.etcd.start(member)
        await asyncio.sleep(3)
        told: list[int] = []
        ward.store.freshness.on_rollback = lambda: told.append(1)
        await ward.put(b"after", member="m2:2379")
        assert told == [1]
        assert await ward.keys() == [b"after", b"k0", b"k1"]

    live(work)
