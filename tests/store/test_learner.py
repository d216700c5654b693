"""A learner knows everything and answers nothing (F14): it is passed over until it is promoted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from everlease.lab.etcd import EtcdCluster, free_ports
from everlease.lab.processes import Process, wait_until
from everlease.store.api import Unavailable
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from everlease.store.txn import Leaf, single
from store.makers import grant, request

pytestmark = pytest.mark.etcd
KEYS = Keys("/test")
A = 0x0A4D0001
HARMLESS = single(Leaf({b"/nothing": 0}))


@pytest.fixture
def joined(start_etcd: Callable[..., EtcdCluster], tmp_path: Path) -> Iterator[tuple[EtcdCluster, str]]:
    """A cluster of one, and the endpoint of a learner that has caught up with it."""
    cluster = start_etcd(members=1)
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    cluster.etcdctl("member", "add", "learner", "--learner", f"--peer-urls={peer}")
    first = cluster.members[0]
    argv = [
        "etcd", "--name=learner", f"--data-dir={tmp_path / 'learner'}", "--initial-cluster-state=existing",
        f"--initial-cluster={first.name}={first.peer},learner={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--listen-peer-urls={peer}", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
    ]  # fmt: skip
    process = Process(argv, tmp_path / "learner.log")
    wait_until(lambda: "published" in process.log.read_text(), 20, "the learner has joined")
    yield cluster, client
    process.kill()


async def test_a_learner_is_passed_over_until_it_is_promoted(joined: tuple[EtcdCluster, str]) -> None:
    cluster, learner = joined
    store = EtcdStore([learner, cluster.endpoints[0]])
    with pytest.raises(Unavailable):
        await store.batch(HARMLESS, 2.0, learner)
    revision = (await store.batch(request(KEYS, grant(A)), 2.0)).revision
    page = await store.get_range(KEYS.watched, KEYS.watched_end)
    assert len(page.records) == 1
    events = store.watch(KEYS.watched, KEYS.watched_end, revision)
    assert (await asyncio.wait_for(anext(aiter(events)), 5)).revision == revision
    store.start_probing()
    await until(lambda: not store.is_up(learner))
    listed = cluster.etcdctl("member", "list").splitlines()
    await asyncio.to_thread(
        cluster.etcdctl, "member", "promote", next(x.split(",")[0] for x in listed if "learner" in x)
    )
    await until(lambda: store.is_up(learner))
    assert (await store.batch(HARMLESS, 2.0, learner)).results[0].succeeded
    await store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
