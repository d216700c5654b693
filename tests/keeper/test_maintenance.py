"""Upkeep calls on real members: what they do, what they cost when a member hangs, and what a sink gets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from everlease.errors import ConfigError
from everlease.lab.etcd import EtcdCluster, EtcdOptions, free_ports
from everlease.store.api import Compacted, NoSpace, Unavailable
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.maintenance import Maintenance, disk_of
from everlease.store.txn import Leaf, single
from everlease.store.versions import warnings
from keeper.stage import fill, flat_put, writes
from lab.scope import EtcdScope

pytestmark = pytest.mark.etcd


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def upkeep_of(stack: AsyncExitStack, endpoints: list[str]) -> tuple[Maintenance, EtcdStore]:
    store = EtcdStore(endpoints)
    upkeep = Maintenance(store)
    stack.push_async_callback(store.close)
    stack.callback(upkeep.close)
    return upkeep, store


async def test_members_tell_their_status_and_who_they_are(stack: AsyncExitStack, etcd3_members: EtcdScope) -> None:
    upkeep, store = upkeep_of(stack, etcd3_members.endpoints)
    statuses = [await upkeep.status(endpoint, 5.0) for endpoint in etcd3_members.endpoints]
    ids = await upkeep.members(etcd3_members.endpoints[0], 5.0)
    assert {status.id for status in statuses} == ids
    assert {status.leader for status in statuses} < ids
    assert all(0 < status.in_use <= status.size for status in statuses)
    assert all(status.applied and status.revision and not status.learner for status in statuses)
    assert await writes(store)


async def test_a_members_disk_is_measured_by_itself(stack: AsyncExitStack, etcd3_members: EtcdScope) -> None:
    upkeep, store = upkeep_of(stack, etcd3_members.endpoints)
    before = await upkeep.disk(etcd3_members.endpoints[0], 5.0)
    assert await writes(store)
    after = await upkeep.disk(etcd3_members.endpoints[0], 5.0)
    assert after.fsyncs > before.fsyncs
    assert after.seconds > before.seconds
    assert after.quota == 2 << 30


async def test_what_is_no_measurement_is_unavailable(stack: AsyncExitStack) -> None:
    (port,) = free_ports(1)
    upkeep, _ = upkeep_of(stack, [f"http://127.0.0.1:{port}"])
    with pytest.raises(Unavailable):
        await upkeep.disk(f"http://127.0.0.1:{port}", 1.0)
    with pytest.raises(ValueError, match="no etcd_disk_wal_fsync"):
        disk_of(b"process_start_time_seconds 1\n")


async def test_history_is_compacted_once(stack: AsyncExitStack, etcd: EtcdScope) -> None:
    upkeep, store = upkeep_of(stack, etcd.endpoints)
    revision = (await store.batch(flat_put(b"/a", 8), 2.0)).revision
    await upkeep.compact(etcd.endpoints[0], revision, 5.0)
    with pytest.raises(Compacted):
        await upkeep.compact(etcd.endpoints[0], revision, 5.0)
    with pytest.raises(Compacted):
        await store.get_range(b"/", b"0", revision=revision - 1)


async def test_a_full_member_writes_again_after_compaction_defragmentation_and_disarming(
    stack: AsyncExitStack, start_etcd: Callable[..., EtcdCluster]
) -> None:
    cluster = start_etcd(members=1, options=EtcdOptions(quota=4 << 20))
    upkeep, store = upkeep_of(stack, cluster.endpoints)
    endpoint = cluster.endpoints[0]
    await fill(store)
    full = await upkeep.status(endpoint, 5.0)
    assert full.alarms == {(full.id, "NOSPACE")}
    await upkeep.compact(endpoint, full.revision, 5.0)
    await upkeep.defragment(endpoint, 10.0)
    assert (await upkeep.status(endpoint, 5.0)).size < full.size / 4
    assert not await writes(store)
    await upkeep.disarm(endpoint, full.id, 5.0)
    assert await writes(store)


async def test_under_the_alarm_nested_puts_pass_where_the_version_is_known_for_it(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    cluster = EtcdCluster(tmp_path / "etcd", 3)
    cluster.members[1].flags = (f"--quota-backend-bytes={4 << 20}",)
    with cluster:
        upkeep, store = upkeep_of(stack, cluster.endpoints)
        await fill(store)
        version = (await upkeep.status(cluster.endpoints[0], 5.0)).version
        passes = True
        try:
            await store.batch(single(Leaf({}, [(b"/nested", b"x")])), 2.0, cluster.endpoints[0])
        except NoSpace:
            passes = False
        assert passes is any("pass its quota" in words for words in warnings(version))
        assert not await writes(store)  # flat ones never do


async def test_a_member_that_hangs_costs_its_deadline(
    stack: AsyncExitStack, start_etcd: Callable[..., EtcdCluster]
) -> None:
    cluster = start_etcd(members=1)
    cluster.pause(0)
    upkeep, _ = upkeep_of(stack, cluster.endpoints)
    started = time.monotonic()
    for call in (upkeep.members, upkeep.defragment, upkeep.status, upkeep.disk):
        with pytest.raises(Unavailable):
            await call(cluster.endpoints[0], 0.4)
    assert time.monotonic() - started < 10


async def test_only_the_leader_can_hand_over(stack: AsyncExitStack, start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=3)
    upkeep, _ = upkeep_of(stack, cluster.endpoints)
    leader = cluster.leader()
    other, third = cluster.endpoints[leader - 1], cluster.endpoints[leader - 2]
    target = (await upkeep.status(other, 5.0)).id
    with pytest.raises(Unavailable):
        await upkeep.move_leader(third, target, 5.0)
    await upkeep.move_leader(cluster.endpoints[leader], target, 5.0)
    assert cluster.endpoints[cluster.leader()] == other


async def test_certificates_that_cannot_be_read_are_told_and_not_thrown(stack: AsyncExitStack, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    endpoint = f"https://127.0.0.1:{port}"
    store = EtcdStore([f"http://127.0.0.1:{port}"])
    stack.push_async_callback(store.close)
    upkeep = Maintenance(store, Credentials(ca=tmp_path / "none.pem"))
    stack.callback(upkeep.close)
    with pytest.raises(ConfigError):
        EtcdStore([endpoint], Credentials(ca=tmp_path / "none.pem"))
    for call in (upkeep.members, upkeep.disk):
        with pytest.raises(Unavailable, match=r"none\.pem|No such file"):
            await call(endpoint, 1.0)
