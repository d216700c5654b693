"""What the keeper asks of the simulated etcd, in place of `store.maintenance` and its threads.

Law: each request goes the way that a node's other requests go; it is lost, late or refused as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everlease.errors import StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.channel import store_error
from everlease.store.maintenance import status_of
from everlease.store.rpc import RpcError
from everlease.store.upkeep import Disk, MemberStatus
from simulate.channel import Path, SimulatedChannel


class SimulatedUpkeep:
    """`store.upkeep.Upkeep` of one host, but for snapshots: they write to disks."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._channels = {member: SimulatedChannel(path) for member, path in paths.items()}

    async def _ask(self, endpoint: str, kind: str, request: Any, deadline: float) -> Any:
        try:
            return await self._channels[endpoint].ask(kind, request, deadline)
        except RpcError as error:
            failure: StoreError = store_error(error)
            raise failure from error

    async def status(self, endpoint: str, deadline: float) -> MemberStatus:
        return status_of(endpoint, await self._ask(endpoint, "status", None, deadline))

    async def disk(self, endpoint: str, deadline: float) -> Disk:
        return Disk(*await self._ask(endpoint, "disk", None, deadline))

    async def members(self, endpoint: str, deadline: float) -> frozenset[int]:
        ids: frozenset[int] = await self._ask(endpoint, "members", None, deadline)
        return ids

    async def compact(self, endpoint: str, revision: int, deadline: float) -> None:
        await self._ask(endpoint, "compact", pb.CompactionRequest(revision=revision), deadline)

    async def defragment(self, endpoint: str, deadline: float) -> None:
        await self._ask(endpoint, "defragment", None, deadline)

    async def disarm(self, endpoint: str, member: int, deadline: float) -> None:
        await self._ask(endpoint, "disarm", member, deadline)

    async def move_leader(self, leader: str, target: int, deadline: float) -> None:
        await self._ask(leader, "move", target, deadline)

    def close(self) -> None:
        """There is nothing on its way."""
