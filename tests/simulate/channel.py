"""What a node's etcd client holds in place of gRPC channels: calls that take time, are lost, or never end.

Law: errors are those of `store.rpc`, so that `store.etcd` runs as it is. A deadline is the client's own; whether the
request had been done by then is the cluster's affair.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import txn
from everlease.store.channel import Credentials
from everlease.store.rpc import Code, Metadata, RpcError
from simulate.etcd import Cluster
from simulate.members import Call, Member, Refused, Watcher


class Path:
    """The way between one host and one member. deaf: requests are lost; mute: answers are; slow: seconds each way."""

    def __init__(self, host: str, cluster: Cluster, member: Member) -> None:
        self.host = host
        self.cluster = cluster
        self.member = member
        self.deaf = self.mute = False
        self.slow = 0.0
        self.watch_delay = 0.0
        self.held = False
        self.watches: list[WatchCall] = []
        self._lost: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def there(self, callback: Callable[..., object], *args: Any) -> None:
        """Send one thing to the member."""
        self._send(self.deaf, callback, args)

    def back(self, callback: Callable[..., object], *args: Any) -> None:
        """Send one thing to the host."""
        self._send(self.mute, callback, args)

    def _send(self, lost: bool, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        if lost:
            self._lost.append((callback, args))
        else:
            self.cluster.loop.outside(self.latency(), callback, *args)

    def hold(self) -> None:
        """Watches stand still: what is told waits."""
        self.held = True

    def let_go(self) -> None:
        """What waited comes."""
        self.held = False
        self.flush()

    def flush(self) -> None:
        if not (self.held or self.mute):
            for watch in list(self.watches):
                watch.flush()

    @property
    def cut(self) -> bool:
        """Nothing gets through one way or the other, or nobody is there to answer."""
        return self.deaf or self.mute or self.member.frozen

    def expire(self) -> None:
        """gRPC's keepalive has had no answer: the streams end on this side."""
        if self.cut:
            self._lost.clear()
            for watch in list(self.watches):
                watch.lose()

    def mend(self) -> None:
        """TCP sends again what was lost; a member may do what nobody waits for any more."""
        self.deaf = self.mute = False
        lost, self._lost = self._lost, []
        for callback, args in lost:
            for call in args:
                if isinstance(call, Call):
                    self.cluster.comes_late(call)
            self._send(False, callback, args)
        self.flush()

    def latency(self) -> float:
        """Seconds for one thing one way."""
        return self.cluster.chance.uniform(0.0002, 0.001) + self.slow


class SimulatedChannel:
    """`store.channel.Channel`, as far as a node uses it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.txn = partial(self.ask, "txn")
        self.range = partial(self.ask, "range")
        self.compact = partial(self.ask, "compact")
        self.status = partial(self.ask, "status")

    async def ask(self, kind: str, request: Any, deadline: float, metadata: Metadata = ()) -> Any:
        """One call."""
        path, loop = self._path, self._path.cluster.loop
        coming: asyncio.Future[Any] = loop.create_future()
        call = Call(kind, request, partial(path.back, _settle, coming))
        path.there(path.cluster.take, path.member, call)
        late = loop.call_later(deadline, _settle, coming, Refused("DEADLINE_EXCEEDED", "Deadline Exceeded"))
        try:
            answer = await coming
            if kind == "txn" and path.cluster.noted is not None:
                path.cluster.noted(f"{path.host}: txn by {path.member.name}: {_in_words(answer)}")
            return _read(answer)
        finally:
            late.cancel()
            call.given_up = True

    async def watch(self, deadline: float, metadata: Metadata = ()) -> WatchCall:
        """A stream; its connection is made with the first message."""
        return WatchCall(self._path)

    async def close(self) -> None:
        """There is nothing to let go of."""


class WatchCall:
    """`store.rpc.MessageStream`: `_told` is on its way, `_came` has arrived; what is sent first arrives first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: deque[Any] = deque()
        self._came: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._watcher: Watcher | None = None
        self.over = False

    def write(self, message: bytes) -> None:
        """Send one serialised WatchRequest."""
        self._path.there(self._begin, pb.WatchRequest.FromString(message).create_request)

    def _begin(self, request: pb.WatchCreateRequest) -> None:
        path = self._path
        if not self.over:
            path.cluster.note(f"{path.host}: watch from r{request.start_revision} on {path.member.name}")
            path.watches.append(self)
            self._watcher = path.cluster.watch(path.member, request, self._tell)

    def _tell(self, answer: Any) -> None:
        """The member says something."""
        self._told.append(answer)
        if not (self._path.mute or self._path.held):
            self._send()

    def _send(self) -> None:
        path = self._path
        path.cluster.loop.outside(path.latency() + path.watch_delay, self._arrive)

    def _arrive(self) -> None:
        if self._told:
            self._take(self._told.popleft())

    def _take(self, answer: Any) -> None:
        self._came.append(answer)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def flush(self) -> None:
        """What could not be sent is sent."""
        for _ in range(len(self._told)):
            self._send()

    def lose(self) -> None:
        """The connection is given up by this side."""
        self._told.clear()
        self._take(Refused("UNAVAILABLE", "keepalive watchdog timeout"))

    async def read(self) -> bytes | None:
        """The next serialised WatchResponse; None at the end."""
        while not self._came:
            if self.over:
                return None
            self._reader = self._path.cluster.loop.create_future()
            await self._reader
        answer: pb.WatchResponse = _read(self._came.popleft())
        return answer.SerializeToString()

    def cancel(self, why: RpcError | None = None) -> None:
        """Nobody listens any more."""
        self.over = True
        if why is not None:
            self._came.append(Refused(why.code.name, why.details))
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        if self in self._path.watches:
            self._path.watches.remove(self)
        if self._watcher is not None:
            self._path.cluster.end(self._watcher)


def connect(paths: dict[str, Path]) -> Callable[[str, Credentials], Any]:
    """For `EtcdStore`: a channel by the member's name."""
    return lambda endpoint, _credentials: SimulatedChannel(paths[endpoint])


def _settle(coming: asyncio.Future[Any], answer: Any) -> None:
    if not coming.done():
        coming.set_result(answer)


def _in_words(answer: Any) -> str:
    if isinstance(answer, Refused):
        return str(answer)
    result = txn.parse(answer)
    return "fenced" if result.fenced else "".join("+" if each.succeeded else "-" for each in result.results)


def _read(answer: Any) -> Any:
    if not isinstance(answer, Refused):
        return answer
    raise RpcError(Code[answer.code], answer.words)
