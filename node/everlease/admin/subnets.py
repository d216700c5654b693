"""SubnetService: subnets of the configuration in force, and how full they are."""

from __future__ import annotations

import asyncio

import grpc

from everlease.admin.answers import answered, config_of, not_found
from everlease.admin.convert import subnet_message
from everlease.admin.pages import Token, breathing, filters_of, read_token, size_of, write_token
from everlease.core.model import Config, Subnet
from everlease.metrics import Usages
from everlease.pb.admin.v1 import subnet_service_pb2 as pb
from everlease.pb.admin.v1 import subnet_service_pb2_grpc
from everlease.runtime.rooms import Rooms

_STEP = 20
"""Subnets between two turns of the loop: one takes about 20 us with its labels, relays and pools."""


class SubnetService(subnet_service_pb2_grpc.SubnetServiceServicer):
    """Reads only."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._usages = Usages()

    @answered
    async def ListSubnets(
        self, request: pb.ListSubnetsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListSubnetsResponse:
        """One page, by id."""
        size, filters = size_of(request.page_size), filters_of(request)
        token = read_token(request.page_token, filters)
        config = await self._prepared()
        rest = sorted(number for number in config.subnets if token is None or number > token.after)
        answer = pb.ListSubnetsResponse(config_revision=config.revision)
        async for number in breathing(rest[:size], _STEP):
            answer.subnets.append(self._message(config.subnets[number], config))
        if len(rest) > size:
            answer.next_page_token = write_token(Token(config.revision, rest[size - 1], filters))
        return answer

    @answered
    async def GetSubnet(self, request: pb.GetSubnetRequest, context: grpc.aio.ServicerContext) -> pb.Subnet:
        """One subnet by its id."""
        config = await self._prepared()
        subnet = config.subnets.get(request.id)
        if subnet is None:
            raise not_found(f"configuration {config.revision} has no subnet {request.id}")
        return self._message(subnet, config)

    async def _prepared(self) -> Config:
        config = config_of(self._rooms)
        for _ in self._usages.prepare(config):
            await asyncio.sleep(0)
        return config

    def _message(self, subnet: Subnet, config: Config) -> pb.Subnet:
        message = subnet_message(subnet, config)
        usage = self._usages.of(self._rooms.view, subnet.id)
        message.usage.CopyFrom(pb.SubnetUsage(size=usage.size, **dict(usage.states())))
        return message
