"""The admin API, asked from within: the console shows what its methods answer, and so cannot say anything else.

The law of this file: nothing is asked but what only reads, and an answer is JSON as protobuf maps it.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from everlease.admin.answers import Refusal
from everlease.admin.cluster import ClusterService
from everlease.admin.leases import LeaseService
from everlease.admin.subnets import SubnetService
from everlease.pb.admin.v1 import cluster_service_pb2, lease_service_pb2, subnet_service_pb2
from everlease.runtime.rooms import Rooms

FOUND: Final = 100
"""Leases of one page of a walk."""

_NOT_FOUND: Final = 5


class _Within:
    """The context of a call that comes from within: its errors are raised as they are."""

    async def abort_with_status(self, _status: object) -> None:
        """Nobody is to be told: the error itself goes on."""


class Desk:
    """Each method raises `Refusal` or `StoreError`, as the admin API's own do."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._cluster = ClusterService(rooms)
        self._subnets = SubnetService(rooms)
        self._leases = LeaseService(rooms)
        self._within = _Within()

    async def status(self) -> Message:
        """ClusterStatus."""
        answer: Message = await self._cluster.GetStatus(cluster_service_pb2.GetStatusRequest(), self._within)
        return answer

    async def subnets(self, size: int, token: str) -> Message:
        """ListSubnetsResponse."""
        request = subnet_service_pb2.ListSubnetsRequest(page_size=size, page_token=token)
        answer: Message = await self._subnets.ListSubnets(request, self._within)
        return answer

    async def leases(self, space: str, client: str, hostname: str, token: str) -> Message:
        """ListLeasesResponse of a client's leases, or of a host name's: a walk through a space, page by page."""
        request = lease_service_pb2.ListLeasesRequest(
            space=space, client=client, hostname=hostname, page_size=FOUND, page_token=token
        )
        answer: Message = await self._leases.ListLeases(request, self._within)
        return answer

    async def lease(self, address: str, client: str) -> list[dict[str, Any]]:
        """The leases of an address, one for each address space; or the latest lease of a client."""
        found = []
        for space in self.spaces():
            key = {"address": address} if address else {"client": client}
            try:
                request = lease_service_pb2.GetLeaseRequest(space=space, **key)
                found.append(plain(await self._leases.GetLease(request, self._within)))
            except Refusal as refusal:
                if refusal.code != _NOT_FOUND:
                    raise
        return found

    def spaces(self) -> list[str]:
        """Address spaces of the configuration in force."""
        config = self._rooms.configuration.current
        return sorted({subnet.space for subnet in config.subnets.values()}) if config else []


def plain(message: Message) -> dict[str, Any]:
    """A message as proto3 JSON has it, with the .proto's names and no field left out."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
