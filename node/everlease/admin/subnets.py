"""SubnetService: subnets of the configuration in force, how full they are, and whether their clients are served.

The law of this file: a state is changed in the document, as a new revision; nothing beside the document says it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable

import grpc

from everlease.admin import audit
from everlease.admin.answers import answered, config_of, invalid, not_found, unready
from everlease.admin.applying import Applying, Wish, conflict
from everlease.admin.auth import author_of
from everlease.admin.convert import STATE_WORDS, address_of, space_of, subnet_message
from everlease.admin.pages import Token, breathing, filters_of, read_token, size_of, write_token
from everlease.core.model import Config, Pool, Subnet
from everlease.errors import ConfigError
from everlease.metrics import Usages
from everlease.pb.admin.v1 import subnet_service_pb2 as pb
from everlease.pb.admin.v1 import subnet_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.records import Current

_STEP = 8
"""Subnets between two turns of the loop: one takes 20 to 60 us with its labels, relays, pools and usage."""

_LOOKS, _PAUSE = 30, 0.1
"""How often, and how many seconds apart, it is looked whether this node has loaded what is in force."""

_LOOK = 500
"""Subnets that a filter looks at between two turns of the loop."""

Matches = Callable[[Subnet], bool]


class SubnetService(subnet_service_pb2_grpc.SubnetServiceServicer):
    """Reads, and changes states by way of the document."""

    def __init__(self, rooms: Rooms, applying: Applying | None = None) -> None:
        self._rooms = rooms
        self._applying = applying or Applying(rooms)
        self._usages = Usages()
        self._sorted: tuple[int, list[int]] = (-1, [])

    @answered
    async def ListSubnets(
        self, request: pb.ListSubnetsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListSubnetsResponse:
        """One page, by id."""
        size, filters = size_of(request.page_size), filters_of(request)
        token = read_token(request.page_token, filters)
        config = await self._prepared()
        matches = _matcher(request, config)
        rest = self._after(token.after if token is not None else 0, config)
        answer = pb.ListSubnetsResponse(config_revision=config.revision)
        found: list[int] = []
        async for number in breathing(rest, _LOOK):
            if matches(config.subnets[number]):
                found.append(number)
                if len(found) > size:
                    break
        if len(found) > size:
            found.pop()
            answer.next_page_token = write_token(Token(config.revision, found[-1], filters))
        async for number in breathing(found, _STEP):
            answer.subnets.append(self._message(config.subnets[number], config))
        return answer

    def _after(self, number: int, config: Config) -> list[int]:
        """The ids behind one. They are sorted once for a configuration: 10,000 of them take a millisecond."""
        if self._sorted[0] != config.mod_revision:
            self._sorted = config.mod_revision, sorted(config.subnets)
        return self._sorted[1][bisect_right(self._sorted[1], number) :]

    @answered
    async def GetSubnet(self, request: pb.GetSubnetRequest, context: grpc.aio.ServicerContext) -> pb.Subnet:
        """One subnet by its id."""
        config = await self._prepared()
        return self._message(_known(config, request.id), config)

    @answered
    async def SetSubnetState(
        self, request: pb.SetSubnetStateRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetSubnetStateResponse:
        """By the document, in place."""
        config, current = await self._level()
        subnet = _known(config, request.id)
        pool, word = _pool(subnet, request.pool), _word(request.state)
        before = self._message(subnet, config)
        answer = pb.SetSubnetStateResponse(subnet=before, config_revision=config.revision)
        if request.etag not in {"", before.etag}:
            raise conflict(current.revision)
        if (subnet if pool is None else pool).state == word:
            return answer
        old = await self._applying.text(current)
        try:
            new = await self._applying.edited(old, subnet.id, pool.first if pool is not None else 0, word)
            answer.text_diff = await self._applying.text_diff(old, new, (f"revision {current.revision}", "then"))
        except ConfigError as refused:
            raise unready(str(refused)) from refused
        wish = Wish(
            new,
            author_of(context, request.author),
            request.comment or _comment(subnet, pool, word),
            expected=current.revision,
            dry=request.validate_only,
            force=request.force,
        )
        outcome = await self._applying.apply(wish)
        answer.changes.extend(outcome.lines)
        answer.orphaned_leases.extend(outcome.orphans.messages())
        if outcome.applied and outcome.after is not None:
            answer.config_revision = outcome.after.revision
            _mark(answer.subnet, subnet, pool, request.state)
            audit.record(context, before.name, before, answer.subnet, outcome.after.revision)
        return answer

    async def _level(self) -> tuple[Config, Current]:
        """The revision in force, once this node has loaded it: who has just changed it may go on at once."""
        for _ in range(_LOOKS):
            config = await self._prepared()
            current, mod_revision = await self._rooms.configuration.documents.current()
            if current is not None and mod_revision == config.mod_revision:
                return config, current
            await asyncio.sleep(_PAUSE)
        raise conflict(current.revision if current is not None else 0)

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


def _known(config: Config, number: int) -> Subnet:
    subnet = config.subnets.get(number)
    if subnet is None:
        raise not_found(f"configuration {config.revision} has no subnet {number}")
    return subnet


def _pool(subnet: Subnet, first: str) -> Pool | None:
    """The pool by its first address; None for the subnet as a whole. Raises Refusal."""
    if not first:
        return None
    address = address_of(first, "pool")
    for pool in subnet.pools:
        if pool.first == address:
            return pool
    raise not_found(f"subnet {subnet.id} has no pool that begins at {first}")


def _word(state: pb.SubnetState) -> str:
    if state not in STATE_WORDS:
        raise invalid("state", "active, draining or disabled")
    return STATE_WORDS[state]


def _comment(subnet: Subnet, pool: Pool | None, word: str) -> str:
    return f"subnet {subnet.id} {word}" if pool is None else f"a pool of subnet {subnet.id} {word}"


def _mark(message: pb.Subnet, subnet: Subnet, pool: Pool | None, state: pb.SubnetState) -> None:
    """What the revision that was just written says."""
    message.etag = ""
    if pool is None:
        message.state = state
    else:
        message.pools[subnet.pools.index(pool)].state = state


def _matcher(request: pb.ListSubnetsRequest, config: Config) -> Matches:
    """The filters of a request as one test. Raises Refusal."""
    tests: list[Matches] = []
    if request.space:
        space = space_of(request.space)
        tests.append(lambda subnet: subnet.space == space)
    if request.state:
        word = _word(request.state)
        tests.append(lambda subnet: subnet.state == word)
    if request.shared_network:
        tests.append(lambda subnet: config.network_of[subnet.id].name == request.shared_network)
    if request.link:
        tests.append(lambda subnet: subnet.link == request.link)
    if request.address:
        address = address_of(request.address, "address")
        tests.append(lambda subnet: subnet.holds(address))
    if request.labels:
        wanted = dict(request.labels)
        tests.append(lambda subnet: wanted.items() <= subnet.labels.items())
    if request.text:
        text = request.text.casefold()
        tests.append(lambda subnet: text in f"{subnet.name}\n{subnet.description}".casefold())
    return lambda subnet: all(test(subnet) for test in tests)
