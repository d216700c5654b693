"""etcd with users: one sign-in for many calls, and again when the token is gone or a role has changed (F18)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from everlease.lab.etcd import EtcdCluster
from everlease.store.api import Unavailable, WatchBatch
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from store.makers import ALICE, BOB, grant, request

pytestmark = pytest.mark.etcd
KEYS = Keys("/test")
A, B = 0x0A4D0001, 0x0A4D0002


@pytest.fixture
async def guarded(start_etcd: Callable[..., EtcdCluster]) -> AsyncIterator[EtcdCluster]:
    cluster = start_etcd(members=1)
    for words in ("user add root:secret", "user grant-role root root", "user add node:word", "role add lease"):
        cluster.etcdctl(*words.split())
    cluster.etcdctl("role", "grant-permission", "lease", "readwrite", "/test/", "--prefix=true")
    cluster.etcdctl("user", "grant-role", "node", "lease")
    cluster.etcdctl("auth", "enable")
    yield cluster


async def first_event(store: EtcdStore, revision: int) -> WatchBatch:
    async for batch in store.watch(KEYS.watched, KEYS.watched_end, revision):
        return batch
    raise AssertionError("the watch ended")


async def test_a_user_signs_in_once_for_many_calls_and_again_when_its_token_is_gone(guarded: EtcdCluster) -> None:
    store = EtcdStore(guarded.endpoints, Credentials(username="node", password="word"))
    changes = [grant(A + n, b"\x01%d" % n) for n in range(5)]
    results = await asyncio.gather(*(store.batch(request(KEYS, change), 2.0) for change in changes))
    assert all(one.results[0].succeeded for one in results)
    assert len((await first_event(store, results[0].revision)).events) >= 1
    store._token = "gone.1"  # what a member that restarted from a snapshot makes of it
    with pytest.raises(Unavailable):
        await first_event(store, results[0].revision)
    assert await first_event(store, results[0].revision)
    store._token = "gone.2"
    assert (await store.batch(request(KEYS, grant(B + 9, BOB)), 2.0)).results[0].succeeded
    await store.close()


async def test_a_wrong_password_or_no_user_is_unavailable_and_says_why(guarded: EtcdCluster) -> None:
    wrong = EtcdStore(guarded.endpoints, Credentials(username="node", password="guess"))
    with pytest.raises(Unavailable, match="authentication"):
        await wrong.batch(request(KEYS, grant(A, ALICE)), 2.0)
    nobody = EtcdStore(guarded.endpoints)
    with pytest.raises(Unavailable, match="asks for a user"):
        await nobody.batch(request(KEYS, grant(A, ALICE)), 2.0)
    for store in (wrong, nobody):
        await store.close()


def counted(store: EtcdStore) -> list[object]:
    """What was asked of the members for a token from now on."""
    asked: list[object] = []

    def ask(sign_in: Callable[..., object], request: object, *how: object) -> object:
        asked.append(request)
        return sign_in(request, *how)

    for channel in store._channels.values():
        channel.authenticate = partial(ask, channel.authenticate)
    return asked


async def test_many_calls_with_a_token_that_is_gone_sign_in_once(guarded: EtcdCluster) -> None:
    store = EtcdStore(guarded.endpoints, Credentials(username="node", password="word"))
    asked = counted(store)
    for token in ("", "gone.1"):
        store._token = token
        pages = await asyncio.gather(*(store.get_range(KEYS.watched, KEYS.watched_end) for _ in range(50)))
        assert len(pages) == 50
        assert len(asked) == 1
        asked.clear()
    await store.close()


async def test_a_change_of_roles_costs_no_commit(guarded: EtcdCluster) -> None:
    store = EtcdStore(guarded.endpoints, Credentials(username="node", password="word"))
    root = ("--user", "root:secret")
    for number in range(6):
        assert (await store.batch(request(KEYS, grant(A + number, b"\x01%d" % number)), 5.0)).results[0].succeeded
        words = ("role", "grant-permission", "lease", "readwrite", f"/other{number}/", "--prefix=true")
        await asyncio.to_thread(guarded.etcdctl, *root, *words)
    await store.close()


async def test_who_may_not_read_does_not_sign_in_again_and_again(guarded: EtcdCluster) -> None:
    store = EtcdStore(guarded.endpoints, Credentials(username="node", password="word"))
    asked = counted(store)
    started = time.monotonic()
    for _ in range(4):
        with pytest.raises(Unavailable):
            await anext(aiter(store.watch(b"/forbidden/", b"/forbidden0", 1)))
    assert len(asked) <= 2 + time.monotonic() - started
    await store.close()


async def test_a_restart_of_etcd_costs_no_more_than_signing_in_again(guarded: EtcdCluster) -> None:
    store = EtcdStore(guarded.endpoints, Credentials(username="node", password="word"))
    first = await store.batch(request(KEYS, grant(A, ALICE)), 5.0)
    guarded.kill(0)
    guarded.start_member(0)
    await asyncio.to_thread(guarded.wait_healthy)
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await store.batch(request(KEYS, grant(B, BOB)), 2.0)).revision > first.revision
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    await store.close()
