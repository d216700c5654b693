"""etcd's upkeep, member by member, through the `etcd3` package; nothing that serves a client comes through here.

Law: the package is synchronous, so every call runs in a thread of its own pool, with a deadline of its own; the thread
may outlive an impatient caller, but never the deadline that the package was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import etcd3
import grpc
from etcd3.exceptions import Etcd3Exception

from everlease.store.api import Unavailable
from everlease.store.channel import Credentials, target_of

T = TypeVar("T")

THREADS = 4
"""One member each of a usual cluster, and one more: a member that hangs holds up nobody but itself."""


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """A member as the cluster knows it: id, name, and the URLs that it advertises (maybe unreachable from here)."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member's own words. size: bytes of its database; leader: member id, 0 = none."""

    version: str
    size: int
    leader: int
    raft_index: int
    raft_term: int


class Maintenance:
    """Upkeep calls to named endpoints. Every method raises Unavailable; deadlines are seconds."""

    def __init__(self, credentials: Credentials | None = None) -> None:
        self._credentials = credentials or Credentials()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="etcd-maintenance")

    async def members(self, endpoint: str, deadline: float = 5.0) -> list[MemberInfo]:
        """Everybody in the cluster."""
        return await self._run(endpoint, deadline, lambda client: [_member(one) for one in client.members])

    async def status(self, endpoint: str, deadline: float = 5.0) -> MemberStatus:
        """How the member at this endpoint is."""
        return await self._run(endpoint, deadline, lambda client: _status(client.status()))

    async def compact(self, endpoint: str, revision: int, deadline: float = 30.0) -> None:
        """Forget what was before `revision`, and wait until the space may be used again."""
        await self._run(endpoint, deadline, lambda client: client.compact(revision, physical=True))

    async def _run(self, endpoint: str, deadline: float, work: Callable[[Any], T]) -> T:
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._threads, self._connected, endpoint, deadline, work)
        try:
            async with asyncio.timeout(deadline):
                return await call
        except TimeoutError as late:
            raise Unavailable(f"{endpoint}: no answer within {deadline} s") from late

    def _connected(self, endpoint: str, deadline: float, work: Callable[[Any], T]) -> T:
        """In a thread: connect, work, let go."""
        try:
            client = self._client(endpoint, deadline)
            try:
                return work(client)
            finally:
                client.close()
        except (Etcd3Exception, grpc.RpcError, grpc.FutureTimeoutError) as failed:
            raise Unavailable(f"{endpoint}: {failed}") from failed

    def _client(self, endpoint: str, deadline: float) -> Any:
        target, secure = target_of(endpoint)
        host, _, port = target.rpartition(":")
        known = self._credentials
        files: dict[str, str | None] = {}
        if secure:
            files = {"ca_cert": _path(known.ca), "cert_key": _path(known.key), "cert_cert": _path(known.cert)}
        user = {"user": known.username, "password": known.password} if known.username else {}
        return etcd3.client(host=host.strip("[]"), port=int(port), timeout=deadline, **files, **user)

    def close(self) -> None:
        """Take no more work; threads end with their deadlines."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _path(path: Any) -> str | None:
    return str(path) if path is not None else None


def _member(one: Any) -> MemberInfo:
    return MemberInfo(one.id, one.name, tuple(one.peer_urls), tuple(one.client_urls))


def _status(one: Any) -> MemberStatus:
    leader = one.leader.id if one.leader is not None else 0
    return MemberStatus(one.version, one.db_size, leader, one.raft_index, one.raft_term)
