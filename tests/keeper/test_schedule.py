"""Snapshots on a schedule from real members, and clusters restored from them with etcd's own tool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from admin.furnished import lease
from everlease.lab.etcd import EtcdCluster
from everlease.lab.processes import run
from everlease.runtime.keeper import Schedule, Snapshots
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys, range_end
from everlease.store.maintenance import Maintenance
from everlease.store.records import encode_lease
from everlease.store.snapshots import Sink
from everlease.store.txn import Leaf, single
from keeper.stage import Keeping, flat_put, keeping, until

pytestmark = pytest.mark.etcd
KEYS = Keys()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path / "etcd", 3) as started:
        yield started


async def put_leases(store: EtcdStore, count: int) -> None:
    for start in range(0, count, 100):
        puts = [(KEYS.lease("default", 0x0A4D0000 + n), encode_lease(lease(n))) for n in range(start, start + 100)]
        await store.batch(single(Leaf({}, puts)), 5.0)


async def leases(endpoints: list[str]) -> list[tuple[bytes, bytes | None]]:
    store = EtcdStore(endpoints)
    prefix = KEYS.leases("default")
    try:
        page = await store.get_range(prefix, range_end(prefix), deadline=10.0)
    finally:
        await store.close()
    return [(record.key, record.value) for record in page.records]


def restore(snapshot: Path, folder: Path) -> EtcdCluster:
    """A new cluster on what `etcdctl snapshot restore` makes of the file; it checks the digest."""
    restored = EtcdCluster(folder, 3)
    everyone = ",".join(f"{member.name}={member.peer}" for member in restored.members)
    for member in restored.members:
        argv = ["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "restore", str(snapshot)]
        who = [f"--name={member.name}", f"--data-dir={member.data}", f"--initial-advertise-peer-urls={member.peer}"]
        run([*argv, *who, f"--initial-cluster={everyone}"])
    return restored


async def test_a_cluster_that_is_restored_from_a_snapshot_has_the_same_leases(
    stack: AsyncExitStack, cluster: EtcdCluster, tmp_path: Path
) -> None:
    keeper = await keeping(stack, cluster.endpoints)
    await put_leases(keeper.store, 1000)
    before = await leases(cluster.endpoints)
    (tmp_path / "snapshots").mkdir()
    snapshots = Snapshots(keeper.rooms, keeper.upkeep, Schedule(str(tmp_path / "snapshots")))
    await snapshots.turn()
    (file,) = (tmp_path / "snapshots").iterdir()
    taken = keeper.rooms.condition.snapshot
    assert (taken.node, taken.bytes, f"everlease-{taken.name}.db") == ("n1", file.stat().st_size, file.name)
    cluster.stop()
    with restore(file, tmp_path / "restored") as restored:
        assert await leases(restored.endpoints) == before
    assert len(before) == 1000


async def test_of_three_nodes_one_takes_each_snapshot_and_all_know_of_it(
    stack: AsyncExitStack, cluster: EtcdCluster, tmp_path: Path
) -> None:
    nodes = [await keeping(stack, cluster.endpoints, name) for name in ("n1", "n2", "n3")]
    folders = [tmp_path / each.rooms.name for each in nodes]
    for each, folder in zip(nodes, folders, strict=True):
        folder.mkdir()
        snapshots = Snapshots(each.rooms, each.upkeep, Schedule(str(folder), every=2.0, keep=2))
        stack.callback(asyncio.create_task(snapshots.run()).cancel)

    async def three() -> bool:
        return sum(each.rooms.counters.upkeep["snapshot", "done"] for each in nodes) >= 3

    await until(three)
    takers = [each for each in nodes if each.rooms.counters.upkeep["snapshot", "done"]]
    assert len(takers) == 1  # who took the last one takes the next
    assert sorted(len(list(folder.iterdir())) for folder in folders) == [0, 0, 2]

    async def known() -> bool:
        return all(each.rooms.condition.snapshot.node == takers[0].rooms.name for each in nodes)

    await until(known)


async def test_a_snapshot_that_fails_is_counted_and_left_to_another_node(
    stack: AsyncExitStack, cluster: EtcdCluster, tmp_path: Path
) -> None:
    broken, good = [await keeping(stack, cluster.endpoints, name) for name in ("n1", "n2")]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = Snapshots(broken.rooms, broken.upkeep, Schedule(str(tmp_path / "a")))
    (tmp_path / "a").rmdir()  # unmounted meanwhile
    await first.turn()
    assert broken.rooms.counters.upkeep["snapshot", "failed"] == 1
    await first.turn()
    assert broken.rooms.counters.upkeep["snapshot", "failed"] == 1  # not at once again
    await Snapshots(good.rooms, good.upkeep, Schedule(str(tmp_path / "b"))).turn()
    assert good.rooms.counters.upkeep["snapshot", "done"] == 1


class Slow:
    """A sink that takes its time, as a disk that is full of other people's work does."""

    def begin(self, name: str, size: int) -> None:
        self.bytes = 0

    def write(self, part: bytes) -> None:
        time.sleep(0.02)
        self.bytes += len(part)

    def finish(self) -> None:
        os.sync()

    def abandon(self) -> None:
        self.bytes = -1

    def close(self) -> None:
        """Nothing."""


async def test_the_loop_turns_and_commits_go_on_while_a_snapshot_is_streamed(
    stack: AsyncExitStack, cluster: EtcdCluster
) -> None:
    keeper = await keeping(stack, cluster.endpoints)
    for number in range(40):
        await keeper.store.batch(flat_put(b"/big/%d" % number, 100_000), 5.0)
    sink: Sink = Slow()
    streaming = asyncio.create_task(keeper.upkeep.snapshot(cluster.endpoints[0], sink, "x"))
    commits, turns = 0, 0
    while not streaming.done():
        await asyncio.sleep(0.001)
        turns += 1
        if turns % 20 == 0:
            await keeper.store.batch(flat_put(b"/beside", 8), 1.0)
            commits += 1
    assert await streaming > 4_000_000
    assert commits >= 5
    assert turns >= 120  # of the 120 pieces that took 20 ms each, none held the loop


async def test_closing_ends_a_snapshot_that_is_on_its_way(cluster: EtcdCluster) -> None:
    keeper = Keeping(cluster.endpoints)
    for number in range(50):
        await keeper.store.batch(flat_put(b"/big/%d" % number, 100_000), 5.0)
    upkeep = Maintenance(keeper.store)
    sink = Slow()
    streaming = asyncio.create_task(upkeep.snapshot(cluster.endpoints[0], sink, "x"))
    async with asyncio.timeout(10):
        while not getattr(sink, "bytes", 0):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    upkeep.close()
    with contextlib.suppress(Exception):
        await streaming
    assert sink.bytes == -1
    await keeper.close()
