"""The etcd client against members that hang, refuse, ask for users and certificates."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest

from everlease.errors import ConfigError
from everlease.lab.etcd import EtcdCluster, EtcdOptions, free_ports
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.api import Compacted, NoSpace, Report, Unavailable
from everlease.store.channel import target_of
from everlease.store.etcd import EtcdStore, report_of
from everlease.store.keys import Keys
from everlease.store.txn import Leaf, single
from lab.scope import EtcdScope
from store.makers import ALICE, grant, request

pytestmark = pytest.mark.etcd
KEYS = Keys("/test")
A, B = 0x0A4D0001, 0x0A4D0002
HARMLESS = single(Leaf({b"/nothing": 0}))


def test_endpoints_are_written_with_or_without_a_scheme() -> None:
    assert target_of("http://a:2379/") == ("a:2379", False)
    assert target_of("https://[fd00::1]:2379") == ("[fd00::1]:2379", True)
    assert target_of("a:2379") == ("a:2379", False)
    with pytest.raises(ConfigError):
        target_of("ftp://a:2379")


async def test_a_hanging_member_costs_one_deadline_and_is_then_passed_over(
    start_etcd: Callable[..., EtcdCluster],
) -> None:
    cluster = start_etcd(members=3)
    victim = (cluster.leader() + 1) % 3
    store = EtcdStore(cluster.endpoints)
    store.start_probing()
    name = cluster.endpoints[victim]
    cluster.pause(victim)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await store.batch(HARMLESS, 0.4, name)
    assert time.monotonic() - started < 2
    assert store.rank()[0] != name
    assert (await store.batch(HARMLESS, 2.0)).results[0].succeeded
    page = await store.get_range(KEYS.watched, KEYS.watched_end)
    assert page.records == []
    await until(lambda: not store.is_up(name))
    cluster.resume(victim)
    await until(lambda: store.is_up(name), 20)
    await store.close()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_nobody_there_is_unavailable_at_once() -> None:
    store = EtcdStore([f"http://127.0.0.1:{port}" for port in free_ports(2)])
    with pytest.raises(Unavailable):
        await store.batch(HARMLESS, 2.0)
    with pytest.raises(Unavailable):
        await store.get_range(KEYS.watched, KEYS.watched_end, deadline=2.0)
    with pytest.raises(Unavailable):
        await anext(aiter(store.watch(KEYS.watched, KEYS.watched_end, 1)))
    assert not await store.has_no_leader()
    await store.close()


async def test_a_member_without_its_majority_says_that_there_is_no_leader(
    start_etcd: Callable[..., EtcdCluster],
) -> None:
    cluster = start_etcd(members=3)
    store = EtcdStore(cluster.endpoints)
    assert not await store.has_no_leader()
    cluster.kill(0)
    cluster.kill(1)
    leaderless = False
    async with asyncio.timeout(10):
        while not leaderless:
            leaderless = await store.has_no_leader(0.5)
    with pytest.raises(Unavailable):
        await store.batch(HARMLESS, 0.5, cluster.endpoints[2])
    await store.close()


async def test_a_full_quota_is_no_space_and_not_a_bad_request(start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=1, options=EtcdOptions(quota=1 << 20))
    store = EtcdStore(cluster.endpoints)
    flat = pb.TxnRequest(success=[pb.RequestOp(request_put=pb.PutRequest(key=b"/big", value=b"x" * 300_000))])
    with pytest.raises(NoSpace):
        for _ in range(50):
            await store.batch(flat.SerializeToString(), 5.0)
            await asyncio.sleep(0.1)  # etcd looks at its size only when it writes, every 100 ms
    assert (await store.status(cluster.endpoints[0])).errors
    assert store.report(cluster.endpoints[0]) is None
    store.start_probing()
    await until(lambda: store.report(cluster.endpoints[0]) is not None)
    report = store.report(cluster.endpoints[0])
    assert report is not None
    assert (report.alarms, report.size > 0) == (frozenset({"NOSPACE"}), True)
    assert report.version.startswith("3.")
    await store.close()


def test_an_alarm_is_told_of_the_member_that_raised_it() -> None:
    header = pb.ResponseHeader(member_id=7)
    texts = ["memberID:7 alarm:NOSPACE ", "memberID:8 alarm:CORRUPT ", "etcdserver: no leader"]
    report = report_of(pb.StatusResponse(header=header, version="3.5.9", db_size=9, errors=texts))
    assert report == Report("3.5.9", 9, frozenset({"NOSPACE"}))


async def test_reads_are_not_taken_for_stale_because_commits_overtake_them(etcd: EtcdScope) -> None:
    store, keys = EtcdStore(etcd.endpoints), Keys(etcd.prefix)

    async def commit(number: int) -> None:
        await store.batch(request(keys, grant(A + number, b"\x01%d" % number)), 5.0)

    async def read() -> int:
        return (await store.get_range(keys.watched, keys.watched_end)).revision

    commits = asyncio.gather(*(commit(number) for number in range(100)))
    revisions = [await read() for _ in range(30)]
    await commits
    assert revisions == sorted(revisions)
    assert store.freshness.rollbacks == 0
    await store.close()


async def test_records_are_readable_with_etcdctl(etcd: EtcdScope) -> None:
    store, keys = EtcdStore(etcd.endpoints), Keys(etcd.prefix)
    await store.batch(request(keys, grant(A)), 2.0)
    told = json.loads(etcd.cluster.etcdctl("get", keys.lease("default", A).decode(), "--print-value-only"))
    assert (told["state"], told["client"], told["hw"]) == ("bound", ALICE.hex(), "02:00:00:00:00:01")
    await store.close()


async def test_a_leader_hands_over_when_asked(start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=3)
    store = EtcdStore(cluster.endpoints)
    leader = cluster.leader()
    heir = cluster.endpoints[(leader + 1) % 3]
    target = (await store.status(heir)).header.member_id
    await store.move_leader(cluster.endpoints[leader], target)
    async with asyncio.timeout(30):
        while (await store.status(heir)).leader != target:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await store.close()


async def test_compacting_twice_is_said(etcd: EtcdScope) -> None:
    store = EtcdStore(etcd.endpoints)
    revision = (await store.batch(request(Keys(etcd.prefix), grant(A)), 2.0)).revision
    await store.compact(revision)
    with pytest.raises(Compacted):
        await store.compact(revision)
    await store.close()
