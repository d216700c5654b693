"""etcd's members, alarms and snapshots, asked of whichever member answers.

The law of this file: nothing here is on the way of a client; a snapshot is passed on as it comes, and a reader that
does not read ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Final, TypeVar

from google.rpc.code_pb2 import Code

from everlease.admin.answers import Refusal, invalid, not_found, unready
from everlease.errors import StoreError
from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store.api import Unavailable
from everlease.store.snapshots import Damaged
from everlease.store.upkeep import NOSPACE, MemberInfo, MemberStatus, Upkeep

T = TypeVar("T")

DEADLINE: Final = 3.0

PATIENCE: Final = 60.0
"""Seconds for which a reader may take nothing."""

AHEAD: Final = 16
"""Pieces of 32 KB that wait for the reader."""


class Members:
    """The store's members as the etcd3 package sees them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    @property
    def upkeep(self) -> Upkeep:
        """Who speaks to them. Raises Refusal."""
        if self._rooms.upkeep is None:
            raise unready("this node does not look after the store")
        return self._rooms.upkeep

    async def everybody(self) -> list[pb.EtcdMember]:
        """All, by name. Raises Unavailable."""
        roster = await self._roster()
        endpoints = self._rooms.store.rank()
        known = {status.id: status for status in await asyncio.gather(*map(self._status, endpoints)) if status}
        return [_member(each, known.get(each.id)) for each in sorted(roster, key=lambda each: (each.name, each.id))]

    async def alarms(self) -> list[pb.EtcdAlarm]:
        """All that are raised. Raises Unavailable."""
        names = {each.id: each.name for each in await self._roster()}
        raised = await self._ask(lambda endpoint: self.upkeep.alarms(endpoint, DEADLINE))
        return [pb.EtcdAlarm(member=f"{id_:x}", member_name=names.get(id_, ""), alarm=kind) for id_, kind in raised]

    async def disarm(self, member: str) -> None:
        """Take back a member's NOSPACE alarm. Raises Refusal, Unavailable."""
        try:
            number = int(member, 16)
        except ValueError:
            raise invalid("member", f"{member!r} is no member's id: hexadecimal, as ListMembers tells it") from None
        raised = await self._ask(lambda endpoint: self.upkeep.alarms(endpoint, DEADLINE))
        if (number, NOSPACE) not in raised:
            raise not_found(f"member {member} has raised no {NOSPACE} alarm")
        await self._ask(lambda endpoint: self.upkeep.disarm(endpoint, number, DEADLINE))

    async def choose(self, endpoint: str) -> str:
        """Where to take a snapshot: at this endpoint, or at a member that does not lead. Raises Refusal."""
        endpoints = self._rooms.store.rank()
        if endpoint:
            if endpoint not in endpoints:
                raise invalid("endpoint", f"{endpoint!r} is none of this node's: {', '.join(sorted(endpoints))}")
            return endpoint
        found = [status for status in await asyncio.gather(*map(self._status, endpoints)) if status]
        followers = [status.endpoint for status in found if status.leader not in (0, status.id) and not status.learner]
        return [*followers, *(status.endpoint for status in found), *endpoints][0]

    async def _roster(self) -> tuple[MemberInfo, ...]:
        return await self._ask(lambda endpoint: self.upkeep.roster(endpoint, DEADLINE))

    async def _status(self, endpoint: str) -> MemberStatus | None:
        with suppress(StoreError):
            return await self.upkeep.status(endpoint, DEADLINE)
        return None

    async def _ask(self, question: Callable[[str], Awaitable[T]]) -> T:
        """The answer of the first member that gives one. Raises Unavailable with the last one's reason."""
        failed = Unavailable("no member is known")
        for endpoint in self._rooms.store.rank():
            try:
                return await question(endpoint)
            except Unavailable as away:
                failed = away
        raise failed


def _member(info: MemberInfo, status: MemberStatus | None) -> pb.EtcdMember:
    message = pb.EtcdMember(id=f"{info.id:x}", name=info.name, peer_urls=info.peer_urls, client_urls=info.client_urls)
    if status is not None:
        message.endpoint = status.endpoint
        message.leader = status.leader == status.id
        message.learner = status.learner
        message.version = status.version
        message.size_bytes = status.size
        message.in_use_bytes = status.in_use
        message.revision = status.revision
    return message


class Pipe:
    """A sink (`store.snapshots`) in a thread, read in a loop: bytes, then None."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
        self.size = 0

    def begin(self, name: str, size: int) -> None:
        """How many bytes will come."""
        self.size = size

    def write(self, part: bytes) -> None:
        """Wait until the reader has room. Raises OSError when it has gone."""
        self._put(part)

    def finish(self) -> None:
        """It is whole."""
        self._put(None)

    def abandon(self) -> None:
        """Who started it is told why."""

    def close(self) -> None:
        """The reader has gone."""
        self._closed = True

    def _put(self, part: bytes | None) -> None:
        if self._closed:
            raise OSError("nobody reads the snapshot")
        waiting = asyncio.run_coroutine_threadsafe(self.parts.put(part), self._loop)
        try:
            waiting.result(PATIENCE)
        except (TimeoutError, CancelledError) as late:
            waiting.cancel()
            raise OSError("nobody reads the snapshot") from late


async def snapshot(members: Members, endpoint: str) -> AsyncIterator[tuple[bytes, int]]:
    """A member's database in pieces, and its size; an error in the end if its digest is wrong. Raises Refusal."""
    pipe = Pipe()
    taking = asyncio.ensure_future(members.upkeep.snapshot(await members.choose(endpoint), pipe, "stream"))
    try:
        while (part := await _next(pipe, taking)) is not None:
            yield part, pipe.size
        await taking
    except Damaged as bad:
        raise Refusal(Code.DATA_LOSS, str(bad)) from bad
    finally:
        pipe.close()
        taking.cancel()


async def _next(pipe: Pipe, taking: asyncio.Future[int]) -> bytes | None:
    """The next piece; None after the last. Raises what the taking raised."""
    reading = asyncio.ensure_future(pipe.parts.get())
    await asyncio.wait((reading, taking), return_when=asyncio.FIRST_COMPLETED)
    if not reading.done() and pipe.parts.empty():
        reading.cancel()
        taking.result()
        return None
    return await reading
