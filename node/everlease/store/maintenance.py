"""`store.upkeep.Upkeep` for real: etcd's upkeep, member by member; nothing that serves a client comes through here.

Law: the `etcd3` package is synchronous, so every call of it runs in a thread, with a deadline of its own; the thread
may outlive an impatient caller, but never the deadline that the package was given. Status and MoveLeader, which must
be quick and are also the serving path's, go through its client.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, Final, TypeVar

import etcd3
import grpc
from etcd3 import etcdrpc
from etcd3.exceptions import Etcd3Exception

from everlease.errors import ConfigError, StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import pem
from everlease.store.api import Compacted, Unavailable
from everlease.store.channel import Credentials, target_of
from everlease.store.etcd import EtcdStore, alarms_of
from everlease.store.snapshots import Pace, Sink, receive
from everlease.store.upkeep import Disk, MemberInfo, MemberStatus

T = TypeVar("T")

THREADS: Final = 8
"""One for each member of a large cluster, and one: a member that hangs holds up nobody but itself."""

LONG_THREADS: Final = 3
"""Compaction, defragmentation and a snapshot may each take minutes, and wait for nobody."""

LONGEST_SNAPSHOT: Final = 3600.0

OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own: one member's trouble stays its own
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
)
"""For whoever speaks to etcd by grpc itself."""

_SAMPLE: Final = re.compile(
    rb"^(etcd_disk_wal_fsync_duration_seconds_(?:sum|count)|etcd_server_quota_backend_bytes) (\S+)$", re.MULTILINE
)


class Maintenance:
    """Upkeep of the members that `store` is configured with."""

    def __init__(self, store: EtcdStore, credentials: Credentials | None = None) -> None:
        self._store = store
        self._credentials = credentials or Credentials()
        self._short = ThreadPoolExecutor(THREADS, thread_name_prefix="etcd-upkeep")
        self._long = ThreadPoolExecutor(LONG_THREADS, thread_name_prefix="etcd-long-upkeep")
        self._clients: set[Any] = set()
        self._sinks: set[Sink] = set()

    async def status(self, endpoint: str, deadline: float) -> MemberStatus:
        """How the member at this endpoint is."""
        return status_of(endpoint, await self._store.status(endpoint, deadline))

    async def move_leader(self, leader: str, target: int, deadline: float) -> None:
        """Ask the member that leads to hand over to the member with the id `target`."""
        try:
            await self._store.move_leader(leader, target, deadline)
        except StoreError as failed:  # BadRequest: it does not lead any more
            raise Unavailable(f"{leader}: {failed}") from failed

    async def disk(self, endpoint: str, deadline: float) -> Disk:
        """What the member says of its disk on its client port."""
        return await self._in_thread(self._short, endpoint, deadline, lambda: self._read_metrics(endpoint, deadline))

    async def members(self, endpoint: str, deadline: float) -> frozenset[int]:
        """The ids of everybody in the cluster."""
        return await self._call(endpoint, deadline, lambda client: frozenset(one.id for one in client.members))

    async def roster(self, endpoint: str, deadline: float) -> tuple[MemberInfo, ...]:
        """The cluster's list of members."""

        def read(client: Any) -> tuple[MemberInfo, ...]:
            return tuple(
                MemberInfo(one.id, one.name, tuple(one.peer_urls), tuple(one.client_urls)) for one in client.members
            )

        return await self._call(endpoint, deadline, read)

    async def alarms(self, endpoint: str, deadline: float) -> tuple[tuple[int, str], ...]:
        """What members have raised."""

        def read(client: Any) -> tuple[tuple[int, str], ...]:
            raised = ((one.member_id, etcdrpc.AlarmType.Name(one.alarm_type)) for one in client.list_alarms())
            return tuple(sorted(set(raised)))

        return await self._call(endpoint, deadline, read)

    async def compact(self, endpoint: str, revision: int, deadline: float) -> None:
        """Forget what was before `revision`, and wait until the space may be used again."""
        await self._call(endpoint, deadline, lambda client: client.compact(revision, physical=True), self._long)

    async def defragment(self, endpoint: str, deadline: float) -> None:
        """Give back what is not in use."""
        await self._call(endpoint, deadline, lambda client: client.defragment(), self._long)

    async def disarm(self, endpoint: str, member: int, deadline: float) -> None:
        """Take back a NOSPACE alarm (the package disarms no other kind)."""
        await self._call(endpoint, deadline, lambda client: list(client.disarm_alarm(member)))

    async def snapshot(self, endpoint: str, sink: Sink, name: str) -> int:
        """Stream the database into a sink."""

        def stream(client: Any) -> int:
            answers = client.maintenancestub.Snapshot(
                etcdrpc.SnapshotRequest(),
                LONGEST_SNAPSHOT,
                credentials=client.call_credentials,
                metadata=client.metadata,
            )
            return receive(((answer.blob, answer.remaining_bytes) for answer in answers), sink, name, Pace())

        self._sinks.add(sink)
        try:
            return await self._call(endpoint, LONGEST_SNAPSHOT, stream, self._long)
        finally:
            self._sinks.discard(sink)

    # --- threads ------------------------------------------------------------------------------------------------------

    async def _call(
        self, endpoint: str, deadline: float, work: Callable[[Any], T], pool: ThreadPoolExecutor | None = None
    ) -> T:
        return await self._in_thread(
            pool or self._short, endpoint, deadline, lambda: self._connected(endpoint, deadline, work)
        )

    async def _in_thread(self, pool: ThreadPoolExecutor, endpoint: str, deadline: float, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.get_running_loop().run_in_executor(pool, work)
        except TimeoutError as late:
            raise Unavailable(f"{endpoint}: no answer within {deadline:g} s") from late

    def _connected(self, endpoint: str, deadline: float, work: Callable[[Any], T]) -> T:
        """In a thread: connect, work, let go."""
        client: Any = None
        try:
            client = self._client(endpoint, deadline)
            self._clients.add(client)
            return work(client)
        except (ConfigError, Etcd3Exception, grpc.RpcError, grpc.FutureTimeoutError) as failed:
            raise _failure(endpoint, failed) from failed
        finally:
            if client is not None:
                self._clients.discard(client)
                client.close()

    def _client(self, endpoint: str, deadline: float) -> Any:
        target, secure = target_of(endpoint)
        host, _, port = target.rpartition(":")
        known = self._credentials
        papers = _tls(known) if secure else None
        there = etcd3.Endpoint(host, int(port), secure=secure, creds=papers, opts=OPTIONS)
        user = {"user": known.username, "password": known.password} if known.username else {}
        return etcd3.MultiEndpointEtcd3Client([there], timeout=deadline, **user)

    def _read_metrics(self, endpoint: str, deadline: float) -> Disk:
        target, secure = target_of(endpoint)
        try:
            with closing(self._http(target, secure, deadline)) as connection:
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                return disk_of(answer.read() if answer.status == http.HTTPStatus.OK else b"")
        except (OSError, http.client.HTTPException, ValueError) as failed:
            raise Unavailable(f"{endpoint}/metrics: {failed}") from failed

    def _http(self, target: str, secure: bool, deadline: float) -> http.client.HTTPConnection:
        if not secure:
            return http.client.HTTPConnection(target, timeout=deadline)
        known = self._credentials
        context = ssl.create_default_context(cafile=str(known.ca) if known.ca is not None else None)
        if known.cert is not None:
            context.load_cert_chain(known.cert, known.key)
        return http.client.HTTPSConnection(target, timeout=deadline, context=context)

    def close(self) -> None:
        """Take no more work; what is on its way is cancelled, so that no thread keeps the process."""
        for pool in (self._short, self._long):
            pool.shutdown(wait=False, cancel_futures=True)
        for sink in self._sinks:
            sink.close()
        for client in tuple(self._clients):
            with suppress(RuntimeError):  # its own thread was faster
                client.close()


def _failure(endpoint: str, failed: Exception) -> StoreError:
    code = failed.code().name if isinstance(failed, grpc.Call) else type(failed).__name__
    words = failed.details() if isinstance(failed, grpc.Call) else str(failed)
    if code == "OUT_OF_RANGE" and "compacted" in (words or ""):
        return Compacted(f"{endpoint}: {words}")
    return Unavailable(f"{endpoint}: {code}: {words}")


def status_of(endpoint: str, answer: pb.StatusResponse) -> MemberStatus:
    """A status in our words."""
    return MemberStatus(
        endpoint,
        answer.header.member_id,
        answer.version,
        answer.db_size,
        answer.db_size_in_use,
        answer.db_size_quota,
        answer.leader,
        answer.raft_applied_index,
        answer.header.revision,
        answer.is_learner,
        alarms_of(answer),
    )


def disk_of(exposition: bytes) -> Disk:
    """The samples that count of a member's /metrics. Raises ValueError if they are not there."""
    found = {name.decode(): float(value) for name, value in _SAMPLE.findall(exposition)}
    head = "etcd_disk_wal_fsync_duration_seconds"
    if f"{head}_count" not in found or f"{head}_sum" not in found:
        raise ValueError("no etcd_disk_wal_fsync_duration_seconds there")
    quota = max(int(found.get("etcd_server_quota_backend_bytes", 0)), 0)
    return Disk(found[f"{head}_count"], found[f"{head}_sum"], quota)


def _tls(credentials: Credentials) -> grpc.ChannelCredentials:
    ca, cert, key = pem.read(credentials.ca, credentials.cert, credentials.key)
    return grpc.ssl_channel_credentials(ca, key, cert)
