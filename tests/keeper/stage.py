"""Keepers on real members: nodes put together and not started, so that a test turns them by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from everlease.node import Node
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.runtime.counters import Counters
from everlease.runtime.keeper import Keeper
from everlease.runtime.rooms import Rooms
from everlease.settings import Settings
from everlease.store.api import NoSpace, StoreError
from everlease.store.etcd import EtcdStore
from everlease.store.maintenance import Maintenance

LISTEN = ((0x7F000001, 31067),)
"""Never bound: these nodes answer nobody."""


class Keeping:
    """One node's keeper, its rooms, and its ways to etcd."""

    def __init__(self, endpoints: Sequence[str], name: str = "n1", prefix: str = "/everlease") -> None:
        self.node = Node(Settings(name, tuple(endpoints), listens=LISTEN, prefix=prefix), Counters())
        assert self.node.keeper is not None
        self.keeper: Keeper = self.node.keeper
        self.rooms: Rooms = self.node.rooms
        self.store: EtcdStore = self.node._store
        self.upkeep = Maintenance(self.store)

    async def turn_until(self, done: Callable[[], object], seconds: float = 30.0, pause: float = 0.2) -> None:
        """Let it keep until that is true."""
        async with asyncio.timeout(seconds):
            while not done():
                await self.keeper.turn()
                await asyncio.sleep(pause)

    async def put(self, key: bytes, size: int) -> bool:
        """Whether the cluster took it; False when it has no space."""
        try:
            await self.store.batch(flat_put(key, size), 5.0)
        except NoSpace:
            return False
        return True

    async def close(self) -> None:
        self.upkeep.close()
        await self.node.close()


async def keeping(stack: AsyncExitStack, endpoints: Sequence[str], name: str = "n1") -> Keeping:
    made = Keeping(endpoints, name)
    stack.push_async_callback(made.close)
    return made


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 30.0) -> None:
    """Ask until it is true."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def flat_put(key: bytes, size: int) -> bytes:
    """A put that every version of etcd counts against its quota (nested ones pass 3.4's)."""
    put = pb.PutRequest(key=key, value=bytes(size))
    return pb.TxnRequest(success=[pb.RequestOp(request_put=put)]).SerializeToString()


async def writes(store: EtcdStore) -> bool:
    """Whether the cluster takes a put."""
    try:
        await store.batch(flat_put(b"/probe", 8), 2.0)
    except StoreError:
        return False
    return True


async def fill(store: EtcdStore, size: int = 100_000, most: int = 2000) -> int:
    """Overwrite one key until the cluster refuses; how many times it did not."""
    for count in range(most):
        try:
            await store.batch(flat_put(b"/filler", size), 5.0)
        except NoSpace:
            return count
    raise AssertionError("the quota was never used up")
