"""The view is filled from a real etcd and stays right: blocks, gaps, compaction, restarts, fragments, rollback."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from everlease.lab.etcd import EtcdCluster
from everlease.lab.processes import run
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import loader as loading
from everlease.store.api import Compacted, KeyValue, Page, Unavailable, WatchBatch
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys, end_of_block
from everlease.store.loader import Loader, regions
from everlease.store.memory import MemoryStore
from everlease.store.records import decode_row, encode_lease
from everlease.store.txn import Leaf, put, single
from everlease.store.view import View
from everlease.store.watching import complete_revisions
from lab.scope import EtcdScope
from store.makers import ALICE, BOB, NOW, grant, lease, request

A, B = 0x0A4D0001, 0x0A4D0002
PREFIXES = [("default", 0x0A4D0000, 0x0A4DFFFF)]


class Running:
    """A view that a loader keeps."""

    def __init__(self, store: EtcdStore | MemoryStore, prefix: str) -> None:
        self.store = store
        self.keys = Keys(prefix)
        self.view = View(self.keys, NOW)
        self.loader = Loader(store, self.keys, self.view, lambda: PREFIXES)

    async def grant(self, address: int, client: bytes) -> int:
        return (await self.store.batch(request(self.keys, grant(address, client)), 2.0)).revision

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  (conditions of many kinds)
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(endpoints: list[str], prefix: str) -> AsyncIterator[Running]:
    store = EtcdStore(endpoints)
    store.start_probing()
    node = Running(store, prefix)
    task = asyncio.create_task(node.loader.run())
    try:
        yield node
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


def test_each_configured_sixteen_is_one_region() -> None:
    prefixes = [
        ("b", 0, 255),
        ("a", 0x0A000000, 0x0A01FFFF),
        ("a", 0x0A020000, 0x0A0200FF),
        ("a", 0x0A000000, 0x0A0000FF),
    ]
    assert regions(prefixes) == [
        ("a", 0x0A000000, 0x0A00FFFF),
        ("a", 0x0A010000, 0x0A01FFFF),
        ("a", 0x0A020000, 0x0A02FFFF),
        ("b", 0, 0xFFFF),
    ]
    assert regions([("a", 0, 0xFFFFFFFF)])[-1] == ("a", 0xFFFF0000, 0xFFFFFFFF)


def test_the_end_of_a_block_is_the_next_multiple_of_2048() -> None:
    keys = Keys()
    assert end_of_block(keys.lease("default", A) + b"\0") == keys.lease("default", 0x0A4D0800)
    last = keys.lease("default", 0xFFFFFFFF)
    assert end_of_block(last + b"\0") == b"/everlease/v/leases/default/40"
    assert end_of_block(keys.node("n1")) == keys.node("n1")


async def fill(store: EtcdStore | MemoryStore, keys: Keys, addresses: list[int]) -> None:
    for at in range(0, len(addresses), 100):
        leaves = [
            put(keys.lease("default", address), encode_lease(lease(b"\x01%d" % address)), 0)
            for address in addresses[at : at + 100]
        ]
        await store.batch(b"".join(single(leaf) for leaf in leaves), 5.0)


async def test_every_record_is_loaded_inside_the_prefixes_and_in_the_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PAGE", 64)
    node = Running(MemoryStore(), "/test")
    inside = [0x0A4D0000 + 7 * n for n in range(1300)]
    outside = [0x01000000 + n for n in range(100)] + [0xC0A80000 + n for n in range(100)] + [0xFFFFFFFF]
    await fill(node.store, node.keys, inside + outside)
    await node.loader.load()
    assert sorted(node.view.rows("default")) == sorted(inside + outside)
    assert node.view.revision == node.store.revision


class Failing(MemoryStore):
    """Cannot read the range in which the key `refused` lies."""

    def __init__(self, refused: bytes) -> None:
        super().__init__()
        self.refused = refused
        self.asked = 0

    async def get_range(
        self, start: bytes, end: bytes, *, revision: int = 0, limit: int = 0, deadline: float = 5.0
    ) -> Page:
        self.asked += 1
        if start <= self.refused < end:
            raise Compacted("gone", revision)
        return await super().get_range(start, end, revision=revision, limit=limit, deadline=deadline)


async def test_a_range_that_cannot_be_read_ends_the_load_and_leaves_nothing_behind() -> None:
    keys = Keys("/test")
    node = Running(Failing(keys.lease("default", A)), "/test")
    with pytest.raises(Compacted):
        await node.loader.load()
    asked = node.store.asked
    await asyncio.sleep(0)
    assert (node.store.asked, node.loader.loaded.is_set(), len(asyncio.all_tasks())) == (asked, False, 1)
    node.store.refused = b"/"
    await node.loader.load()
    assert node.loader.loaded.is_set()


async def test_a_reload_beside_the_watch_drops_only_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PAGE", 64)
    node = Running(MemoryStore(), "/test")
    addresses = [0x0A4D0000 + 3 * n for n in range(3000)]
    await fill(node.store, node.keys, addresses)
    await node.loader.load()
    ghost, late = 0x0A4D0001, 0x0A4D0002
    node.view.table("default").put(ghost, decode_row(encode_lease(lease(ALICE)), 1)[0])  # what a lost event left behind
    reload = asyncio.create_task(node.loader.load())
    await asyncio.sleep(0)
    revision = await node.grant(late, BOB)
    value = encode_lease(lease(BOB))
    while not reload.done():
        node.view.apply(KeyValue(node.keys.lease("default", late), value, revision))
        await asyncio.sleep(0)
    assert sorted(node.view.rows("default")) == sorted([*addresses, late])


@pytest.mark.etcd
async def test_a_block_with_more_records_than_a_page_is_loaded_whole(etcd: EtcdScope) -> None:
    store = EtcdStore(etcd.endpoints)
    node = Running(store, etcd.prefix)
    addresses = [0x0A4D0000 + n for n in range(4500)] + [0x0A4F0000]
    await fill(store, node.keys, addresses)
    await node.loader.load()
    assert sorted(node.view.rows("default")) == addresses
    assert node.view.used(1) == len(addresses)
    await store.close()


@pytest.mark.etcd
async def test_a_view_follows_the_watch(etcd: EtcdScope) -> None:
    async with running(etcd.endpoints, etcd.prefix) as node:
        await node.loader.loaded.wait()
        revision = await node.grant(A, ALICE)
        await node.until(lambda: node.view.revision >= revision)
        assert node.view.row("default", A).client == ALICE


@pytest.mark.etcd
async def test_a_compaction_under_the_watch_leads_to_a_reload(start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=1)
    async with running(cluster.endpoints, "/test") as node:
        await node.loader.loaded.wait()
        await node.grant(A, ALICE)
        await node.until(lambda: node.view.row("default", A))
        cluster.kill(0)
        cluster.start_member(0)
        cluster.wait_healthy()
        other = EtcdStore(cluster.endpoints)
        newest = (await other.batch(request(node.keys, grant(B, BOB)), 2.0)).revision
        for _ in range(5):
            newest = (await other.batch(single(Leaf({}, [(b"/elsewhere", b"x")])), 2.0)).revision
        await other.compact(newest)
        await other.close()
        await node.until(lambda: node.view.row("default", B))
        await node.until(lambda: node.view.loads == 2)


async def test_a_watch_from_a_compacted_revision_leads_to_a_reload() -> None:
    node = Running(MemoryStore(), "/test")
    await node.loader.load()
    await node.grant(A, ALICE)
    await node.store.compact(await node.grant(B, BOB))
    task = asyncio.create_task(node.loader.run())
    await node.until(lambda: node.view.loads == 2)
    assert len(node.view) == 2
    task.cancel()


async def commits_again(store: EtcdStore) -> None:
    """A leader may have to be elected first."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Unavailable):
                await store.batch(single(Leaf({}, [(b"/elsewhere", b"x")])), 1.0)
                return


@pytest.mark.etcd
async def test_a_watch_survives_the_loss_of_its_member(start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=3)
    async with running(cluster.endpoints, "/test") as node:
        await node.loader.loaded.wait()
        for number in range(3):
            cluster.kill(number)
            await commits_again(node.store)
            client = b"\x01%d" % number
            revision = await node.grant(A + number, client)
            await node.until(lambda due=revision: node.view.revision >= due)
            assert node.view.row("default", A + number).client == client
            cluster.start_member(number)
            cluster.wait_healthy()
        assert node.view.loads == 1


@pytest.mark.etcd
async def test_a_watch_leaves_a_member_that_hangs_long_before_keepalive_would(
    start_etcd: Callable[..., EtcdCluster],
) -> None:
    cluster = start_etcd(members=3)
    victim = (cluster.leader() + 1) % 3
    others = [cluster.endpoints[number] for number in range(3) if number != victim]
    async with running([cluster.endpoints[victim], *others], "/test") as node:
        node.store._members.answered(cluster.endpoints[victim], 0.0)  # the best: the watch goes there
        await node.loader.loaded.wait()
        await asyncio.sleep(0.2)
        cluster.pause(victim)
        other = EtcdStore(others)
        revision = (await other.batch(request(node.keys, grant(A)), 2.0)).revision
        await node.until(lambda: node.view.revision >= revision, seconds=6)
        cluster.resume(victim)
        await other.close()


@pytest.mark.etcd
async def test_a_catch_up_larger_than_a_message_arrives_complete(etcd: EtcdScope) -> None:
    store = EtcdStore(etcd.endpoints)
    keys = Keys(etcd.prefix)
    sent = []
    for number in range(12):
        leaf = Leaf({}, [(keys.node(f"n{number}{letter}"), b"x" * 300_000) for letter in "ab"])
        sent.append((await store.batch(single(leaf), 5.0)).revision)
    seen: list[WatchBatch] = []
    async for batch in store.watch(keys.watched, keys.watched_end, sent[0]):
        seen.append(batch)
        if batch.revision == sent[-1]:
            break
    revisions = [event.revision for batch in seen for event in batch.events]
    assert revisions == [revision for revision in sent for _ in "ab"]
    for one, following in itertools.pairwise(seen):
        assert one.revision < following.events[0].revision  # no revision is torn
    await store.close()


async def test_a_revision_is_told_when_its_last_fragment_has_come() -> None:
    def answer(revision: int, *, fragment: bool) -> pb.WatchResponse:
        event = pb.Event(kv=pb.KeyValue(key=b"/k", value=b"v", mod_revision=revision))
        return pb.WatchResponse(fragment=fragment, events=[event])

    told = [answer(5, fragment=True), answer(6, fragment=True), answer(6, fragment=False), answer(7, fragment=True)]

    async def answers() -> AsyncIterator[pb.WatchResponse]:
        for one in told:
            yield one

    batches = [batch async for batch in complete_revisions(answers())]
    assert [(len(batch.events), batch.revision) for batch in batches] == [(3, 6)]


@pytest.mark.etcd
async def test_a_restored_snapshot_is_noticed_as_a_rollback(
    start_etcd: Callable[..., EtcdCluster], tmp_path: Path
) -> None:
    cluster = start_etcd(members=1)
    async with running(cluster.endpoints, "/test") as node:
        await node.loader.loaded.wait()
        await node.grant(A, ALICE)
        saved = tmp_path / "saved.db"
        cluster.etcdctl("snapshot", "save", str(saved))
        for number in range(20):
            await node.grant(B + number, b"\x01%d" % number)
        await node.until(lambda: len(node.view) == 21)
        restore(cluster, saved)
        await answered(node.store, single(Leaf({}, [(node.keys.node("n1"), b"{}")])))
        await node.until(lambda: node.view.ghosts is not None and node.loader.loaded.is_set())
        assert list(node.view.rows("default")) == [A]
        assert len(node.view.ghosts) == 21
        assert node.view.ghosts["default", B].client == b"\x010"


async def answered(store: EtcdStore, request: bytes) -> None:
    """A transaction, as often as it takes: the first one finds the old connection dead."""
    for _ in range(100):
        with contextlib.suppress(Unavailable):
            await store.batch(request, 2.0)
            return
        await asyncio.sleep(0.02)
    raise AssertionError("no answer")


def restore(cluster: EtcdCluster, saved: Path) -> None:
    """What an operator does: the member's data from the snapshot, same name, same addresses."""
    cluster.kill(0)
    member = cluster.members[0]
    shutil.rmtree(member.data)
    own = [f"--name={member.name}", f"--initial-cluster={member.name}={member.peer}"]
    urls = [f"--initial-advertise-peer-urls={member.peer}", f"--data-dir={member.data}"]
    run(["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "restore", str(saved), *own, *urls])
    cluster.start_member(0)
    cluster.wait_healthy()
