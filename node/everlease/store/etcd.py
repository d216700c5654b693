"""etcd for real: `store.api.Store` on several endpoints, over gRPC.

Law: every call has a deadline and goes to one named member; reads may go on to the next member, a transaction never
does by itself, because only its sender knows whether it may be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from everlease.errors import ConfigError, StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import pem, txn
from everlease.store.api import BatchResult, KeyValue, Page, Report, Unavailable, WatchBatch
from everlease.store.channel import Channel, Credentials, Unauthenticated, store_error
from everlease.store.freshness import Freshness
from everlease.store.leadership import Leadership
from everlease.store.members import Members
from everlease.store.rpc import Code, MessageStream, Metadata, RpcError
from everlease.store.watching import check, complete_revisions, watch_error

T = TypeVar("T")

PROBE_TICK = 0.1
PROBE_DEADLINE = 0.5
ELECTION_LOOK = 0.1
"""Seconds between two questions who leads, while somebody waits for an election; and for the answer to each."""

WATCH_DEADLINE = 2.0
"""Seconds for a member to confirm a watch; after that keepalive and `hasleader` guard the stream."""

LEAVE_AFTER = 10.0
"""Seconds for the calls on a connection that was replaced; each has a deadline below this."""

PAPERS_EVERY = 10.0
"""Seconds between two looks at the files of certificates: a leaf is replaced days before it ends."""

SIGN_IN_EVERY = 1.0
"""Seconds from one token to the next."""

LOOK_EVERY = 0.25
"""Seconds between two looks at the health of the member that a silent watch is on."""

_ALARM = re.compile(r"memberID:\s*(\d+)\s+alarm:\s*(\w+)")
_ENDED = pb.WatchResponse(canceled=True, cancel_reason="the stream ended").SerializeToString()
_HAS_LEADER = (("hasleader", "true"),)


class EtcdStore:
    """`endpoints`: URLs as configured; their text is the member's name everywhere (metrics, `rank`, `batch`).

    connect: makes a member's channel; clock: seconds, monotonic; a simulation gives its own.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials | None = None,
        connect: Callable[[str, Credentials], Channel] = Channel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not endpoints:
            raise ValueError("no etcd endpoint")
        self._credentials = credentials = credentials or Credentials()
        self._connect = connect
        self._clock = clock
        self._channels = {endpoint: connect(endpoint, credentials) for endpoint in endpoints}
        self._ends = _end_of(credentials)
        self._members = Members(endpoints)
        self._leadership = Leadership()
        self._reports: dict[str, Report] = {}
        self._token = ""
        self._signed_in = -math.inf
        self._signing_in: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._probes: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._leaving: list[asyncio.Task[None]] = []
        self.freshness = Freshness()

    # --- who is asked ----------------------------------------------------------------------------------------------

    def rank(self) -> list[str]:
        """Every member, the best first: where a batch goes, and where its hedge goes."""
        return self._members.rank_to_write()

    def is_up(self, member: str) -> bool:
        """Whether the member is in use: it has not missed three deadlines, or has proved itself since."""
        return self._members.is_up(member)

    def latency(self, member: str) -> float:
        """Running mean of the member's answers, seconds."""
        return self._members.latency(member)

    def report(self, member: str) -> Report | None:
        """What the member said of itself when it was probed last; None = nothing yet."""
        return self._reports.get(member)

    def certificate_ends(self) -> float:
        """When our own certificate is no longer valid, seconds UTC; infinite without one."""
        return self._ends

    def start_probing(self) -> None:
        """Ask every member something harmless each second, so that idle and ejected ones can prove themselves."""
        if not self._running:
            self._running.add(asyncio.create_task(self._probe_for_ever(), name="etcd-probes"))
            if files := self._credentials.files():
                self._running.add(asyncio.create_task(self._follow_papers(files), name="etcd-papers"))

    async def _probe_for_ever(self) -> None:
        while True:
            for name in self._members.to_probe(self._clock()):
                probe = asyncio.create_task(self._probe(name), name=f"etcd-probe {name}")
                self._probes.add(probe)
                probe.add_done_callback(self._probes.discard)
            await asyncio.sleep(PROBE_TICK)

    async def _probe(self, member: str) -> None:
        await asyncio.gather(self._prove(member), self._hear(member, PROBE_DEADLINE))

    async def _follow_papers(self, files: tuple[Path, ...]) -> None:
        """Connect anew when certificates were replaced. While they do not fit together they are being written."""
        read = await asyncio.to_thread(pem.look, files)
        while True:
            await asyncio.sleep(PAPERS_EVERY)
            found = await asyncio.to_thread(pem.look, files)
            if found != read:
                with contextlib.suppress(ConfigError):
                    await self.reread()
                    read = found

    async def _prove(self, member: str) -> None:
        # A linearizable read needs a leader and a raft loop that runs: a member stuck in fdatasync fails it.
        request = pb.RangeRequest(key=b"\0", count_only=True)
        with contextlib.suppress(StoreError):
            await self._call(member, lambda channel: channel.range, request, PROBE_DEADLINE)

    async def _hear(self, member: str, deadline: float) -> None:
        with contextlib.suppress(StoreError):
            self._reports[member] = report_of(await self.status(member, deadline))

    def term(self) -> int:
        """The highest term in which somebody is known to lead, 0 = not heard of yet."""
        return self._leadership.term

    async def elected(self, since: int) -> str:
        """The member that leads, once that is known for a later term than `since`; asks them all meanwhile."""
        while self._leadership.term <= since:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="etcd-election")
            await asyncio.shield(self._looking)  # one look for all who wait
        return self._leadership.leader or self.rank()[0]

    async def _look(self) -> None:
        await asyncio.gather(
            asyncio.sleep(ELECTION_LOOK), *(self._hear(name, ELECTION_LOOK) for name in self._channels)
        )

    # --- calls -----------------------------------------------------------------------------------------------------

    async def _call(
        self, member: str, pick: Callable[[Channel], Any], request: Any, deadline: float, *, tell: bool = True
    ) -> Any:
        """One call to one member; authenticates and repeats it once if etcd asks for that. tell: of its health."""
        token = self._token
        try:
            return await self._attempt(member, pick, request, deadline, tell=tell)
        except Unauthenticated:
            await self._sign_in(member, deadline, token)
        try:
            return await self._attempt(member, pick, request, deadline, tell=tell)
        except Unauthenticated as refused:
            raise Unavailable(str(refused)) from refused

    async def _attempt(
        self, member: str, pick: Callable[[Channel], Any], request: Any, deadline: float, *, tell: bool
    ) -> Any:
        started = self._clock()
        method = pick(self._channels[member])
        try:
            answer = await method(request, deadline, self._metadata())
        except RpcError as error:
            failure = store_error(error)
            now = self._clock()
            if tell and isinstance(failure, Unavailable):
                self._members.missed(member, now - started, now)
            raise failure from error
        except asyncio.CancelledError:
            if tell:  # its caller has the answer of another one
                self._members.outrun(member, self._clock() - started)
            raise
        if tell:
            self._members.answered(member, self._clock() - started, batch=isinstance(request, bytes))
        return answer

    def _metadata(self) -> Metadata:
        return (("token", self._token),) if self._token else ()

    async def _sign_in(self, member: str, deadline: float, refused: str) -> None:
        """Get another token than the `refused` one; callers that come meanwhile wait for the same."""
        if not self._credentials.username:
            raise Unavailable("etcd asks for a user, and none was given")
        if self._token != refused:
            return
        if self._signing_in is None or self._signing_in.done():
            self._signing_in = asyncio.create_task(self._authenticate(member, deadline))
        await asyncio.shield(self._signing_in)

    async def _authenticate(self, member: str, deadline: float) -> None:
        # A password costs etcd a tenth of a second to check, and who may not do a thing may not do it signed in anew.
        await asyncio.sleep(self._signed_in + SIGN_IN_EVERY - self._clock())
        request = pb.AuthenticateRequest(name=self._credentials.username, password=self._credentials.password)
        try:
            answer = await self._channels[member].authenticate(request, deadline, ())
        except RpcError as error:
            raise Unavailable(f"authentication: {error.details}") from error
        self._token, self._signed_in = answer.token, self._clock()

    async def _first(self, deadline: float, ask: Callable[[str, float], Any]) -> Any:
        """Ask the members one after the other until one answers; the deadline is for all of them together."""
        end = self._clock() + deadline
        names = self._members.rank()
        failure: StoreError = Unavailable("no time left")
        for position, name in enumerate(names):
            left = end - self._clock()
            if left <= 0:
                break
            try:
                return await ask(name, left / (len(names) - position))
            except Unavailable as unavailable:
                failure = unavailable
        raise failure

    # --- Store -----------------------------------------------------------------------------------------------------

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        """Send one TxnRequest to one member (the best one unless named). Nothing is repeated."""
        name = member or self.rank()[0]
        floor = self.freshness.revision
        raw = await self._call(name, lambda channel: channel.txn, request, deadline)
        result = txn.parse(raw, name)
        self.freshness.committed(floor, result.revision, result.cluster)
        return result

    async def get_range(
        self, start: bytes, end: bytes, *, revision: int = 0, limit: int = 0, deadline: float = 5.0
    ) -> Page:
        """Keys in [start, end) in key order; a member that lags behind what was seen is passed over."""
        request = pb.RangeRequest(key=start, range_end=end, revision=revision, limit=limit)

        async def ask(member: str, seconds: float) -> Page:
            floor = self.freshness.revision
            answer = await self._call(member, lambda channel: channel.range, request, seconds)
            header = answer.header
            if not self.freshness.is_current(floor, header.revision, header.cluster_id):
                raise Unavailable(f"{member} is behind: revision {header.revision}")
            records = [KeyValue(kv.key, kv.value, kv.mod_revision, kv.version) for kv in answer.kvs]
            return Page(records, revision or header.revision, header.cluster_id, answer.more)

        page: Page = await self._first(deadline, ask)
        return page

    async def status(self, member: str, deadline: float = 1.0) -> pb.StatusResponse:
        """What a member says of itself: leader (0 = none), db_size, errors (alarms), version. Raises Unavailable."""
        # A member whose disk hangs answers this at once: it proves nothing.
        request = pb.StatusRequest()
        answer: pb.StatusResponse = await self._call(
            member, lambda channel: channel.status, request, deadline, tell=False
        )
        if self._leadership.heard(member, answer):
            self._members.follows(member)
        self._members.leader = self._leadership.leader
        return answer

    async def has_no_leader(self, deadline: float = 1.0) -> bool:
        """Whether a member that can be reached says that the store has no leader."""
        answers = await asyncio.gather(
            *(self.status(name, deadline) for name in self._channels), return_exceptions=True
        )
        reached = [answer for answer in answers if not isinstance(answer, BaseException)]
        return bool(reached) and all(answer.leader == 0 for answer in reached)

    async def watch(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[WatchBatch]:
        """Events from `revision` on, of complete revisions only, from the best member until it is lost."""
        member, token = self._members.rank()[0], self._token
        create = pb.WatchCreateRequest(key=start, range_end=end, start_revision=revision, fragment=True)
        stream: MessageStream | None = None
        try:
            async with asyncio.timeout(WATCH_DEADLINE):
                stream = await self._channels[member].watch(WATCH_DEADLINE, _HAS_LEADER + self._metadata())
                stream.write(pb.WatchRequest(create_request=create).SerializeToString())
                confirmed = await stream.read()
            check(pb.WatchResponse.FromString(confirmed or _ENDED))
            self._guard(stream, member)
            async for batch in complete_revisions(_answers(stream), revision - 1):
                yield batch
            raise Unavailable(f"{member} ended the watch")
        except TimeoutError as late:
            self._members.missed(member, WATCH_DEADLINE, self._clock())
            raise Unavailable(f"{member}: no watch within {WATCH_DEADLINE} s") from late
        except Unauthenticated as refused:
            await self._sign_in(member, WATCH_DEADLINE, token)
            raise Unavailable(str(refused)) from refused
        except RpcError as error:
            self._lost_watch(member, error)
            raise watch_error(error) from error
        finally:
            if stream is not None:
                stream.cancel()

    def _guard(self, stream: MessageStream, member: str) -> None:
        """A stream to a member that hangs stays silent for 13 s of keepalive: its missed deadlines say it sooner."""
        if stream.over:
            return
        if self._members.is_suspect(member):
            stream.cancel(RpcError(Code.UNAVAILABLE, f"{member} does not answer: the watch goes elsewhere"))
        else:
            asyncio.get_running_loop().call_later(LOOK_EVERY, self._guard, stream, member)

    def _lost_watch(self, member: str, error: RpcError) -> None:
        if "no leader" in error.details:  # an election, or a member that is cut off: a probe will tell
            self._members.outrun(member, 0.0)
        else:
            self._members.missed(member, 0.0, self._clock())

    async def move_leader(self, leader: str, target: int, deadline: float = 5.0) -> None:
        """Ask the member that leads to hand over to the member with the id `target`."""
        request = pb.MoveLeaderRequest(target_id=target)
        await self._call(leader, lambda channel: channel.move_leader, request, deadline)

    async def compact(self, revision: int, deadline: float = 10.0) -> None:
        """Forget everything before `revision`. Raises Compacted if that has happened already."""
        request = pb.CompactionRequest(revision=revision)
        await self._call(self.rank()[0], lambda channel: channel.compact, request, deadline)

    async def reread(self) -> None:
        """Connect anew with the certificates as they are on disk now. Raises ConfigError, and changes nothing then."""
        ends = _end_of(self._credentials)
        old, self._channels = self._channels, {name: self._connect(name, self._credentials) for name in self._channels}
        self._ends = ends
        for channel in old.values():
            self._leaving.append(asyncio.create_task(_leave(channel), name="etcd-old-channel"))
        self._leaving = [task for task in self._leaving if not task.done()]

    async def close(self) -> None:
        """Let go of every connection."""
        tasks = [*self._leaving, *self._running, *self._probes, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


def _end_of(credentials: Credentials) -> float:
    return math.inf if credentials.cert is None else pem.ends(credentials.cert)


def report_of(answer: pb.StatusResponse) -> Report:
    """A status in our words."""
    mine = frozenset(kind for member, kind in alarms_of(answer) if member == answer.header.member_id)
    return Report(answer.version, answer.db_size, mine)


def alarms_of(answer: pb.StatusResponse) -> frozenset[tuple[int, str]]:
    """(member id, kind): every member tells the alarms of all, as `memberID:7 alarm:NOSPACE`."""
    return frozenset((int(found[1]), found[2]) for text in answer.errors if (found := _ALARM.search(text)))


async def _answers(stream: MessageStream) -> AsyncIterator[pb.WatchResponse]:
    while (message := await stream.read()) is not None:
        yield pb.WatchResponse.FromString(message)


async def _leave(channel: Channel) -> None:
    """A replaced connection: its calls end first, and its watch moves on."""
    try:
        await asyncio.sleep(LEAVE_AFTER)
    finally:
        await channel.close()
