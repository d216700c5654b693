"""etcd's contract in memory, for tests and simulation: revisions, nested transactions, watches, compaction.

Law: it behaves as etcd does where `store` relies on it (tests/store/test_contract.py runs the same suite on both): all
compares of a batch, nested ones too, see the state before it; a key put twice refuses the whole request; one request
has one revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

from google.protobuf.message import DecodeError
from sortedcontainers import SortedDict

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import txn
from everlease.store.api import BadRequest, BatchResult, Compacted, KeyValue, Page, Report, Unavailable, WatchBatch
from everlease.store.freshness import Freshness


class MemoryStore:
    """One member that never fails by itself. cluster: its id; name: what `BatchResult.member` says."""

    def __init__(self, cluster: int = 1, name: str = "memory", max_txn_ops: int = txn.MAX_TXN_OPS) -> None:
        self.freshness = Freshness()
        self.revision = 1  # an empty etcd is at 1, too
        self.compacted = 0
        self._cluster = cluster
        self._name = name
        self._max_txn_ops = max_txn_ops
        self._versions: SortedDict = SortedDict()  # key -> list of KeyValue, oldest first; value None = deleted
        self._log: list[KeyValue] = []
        self._news = asyncio.Condition()

    def rank(self) -> list[str]:
        """The only member."""
        return [self._name]

    def is_up(self, member: str) -> bool:
        """Always."""
        return True

    def latency(self, member: str) -> float:
        """None worth telling."""
        return 0.0

    def report(self, member: str) -> Report | None:
        """It has no words."""
        return None

    async def has_no_leader(self, deadline: float = 1.0) -> bool:
        """It leads itself."""
        return False

    # --- Store -----------------------------------------------------------------------------------------------------

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        """Apply one TxnRequest."""
        try:
            wanted = pb.TxnRequest.FromString(request)
        except DecodeError as bad:
            raise BadRequest("INVALID_ARGUMENT: not a TxnRequest") from bad
        _check_size(wanted, self._max_txn_ops)
        _written([*wanted.success])
        _written([*wanted.failure])
        floor = self.freshness.revision
        logged = len(self._log)
        answer = self._run(wanted, self._verdicts(wanted))
        if len(self._log) > logged:
            self.revision += 1
            async with self._news:
                self._news.notify_all()
        answer.header.cluster_id, answer.header.revision = self._cluster, self.revision
        self.freshness.committed(floor, self.revision, self._cluster)
        return txn.parse(answer.SerializeToString(), self._name)

    async def get_range(
        self, start: bytes, end: bytes, *, revision: int = 0, limit: int = 0, deadline: float = 5.0
    ) -> Page:
        """Keys in [start, end) at one revision."""
        if revision and revision < self.compacted:
            raise Compacted("OUT_OF_RANGE: mvcc: required revision has been compacted", self.compacted)
        if revision > self.revision:
            raise Unavailable("OUT_OF_RANGE: mvcc: required revision is a future revision")
        at = revision or self.revision
        self.freshness.is_current(self.freshness.revision, self.revision, self._cluster)
        found = (kv for key in self._versions.irange(start, end, (True, False)) if (kv := self._at(key, at)))
        records = list(islice(found, limit)) if limit else list(found)
        return Page(records, at, self._cluster, more=bool(limit) and next(found, None) is not None)

    async def watch(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[WatchBatch]:
        """Events from `revision` on, one batch per revision."""
        if revision < self.compacted:
            raise Compacted("mvcc: required revision has been compacted", self.compacted)
        position = 0
        while True:
            if position == len(self._log):
                async with self._news:
                    await self._news.wait()
                continue
            first = self._log[position]
            batch = []
            while position < len(self._log) and self._log[position].revision == first.revision:
                event = self._log[position]
                position += 1
                if event.revision >= revision and start <= event.key < end:
                    batch.append(event)
            if batch:
                yield WatchBatch(batch, first.revision, self._cluster)

    async def compact(self, revision: int, deadline: float = 10.0) -> None:
        """Forget everything before `revision`."""
        if revision <= self.compacted:
            raise Compacted("mvcc: required revision has been compacted", self.compacted)
        if revision > self.revision:
            raise Unavailable("OUT_OF_RANGE: mvcc: required revision is a future revision")
        self.compacted = revision

    async def close(self) -> None:
        """Nothing to let go of."""

    # --- the state machine -----------------------------------------------------------------------------------------

    def _at(self, key: bytes, revision: int) -> KeyValue | None:
        for version in reversed(self._versions.get(key, ())):
            if version.revision <= revision:
                return version if version.value is not None else None
        return None

    def _verdicts(self, request: pb.TxnRequest) -> Iterator[bool]:
        """Whether each transaction of the path succeeds, depth first, all by the state before the request."""
        return iter(list(self._walk(request)))

    def _walk(self, request: pb.TxnRequest) -> Iterator[bool]:
        succeeded = all(self._holds(compare) for compare in request.compare)
        yield succeeded
        for op in request.success if succeeded else request.failure:
            if op.HasField("request_txn"):
                yield from self._walk(op.request_txn)

    def _holds(self, compare: pb.Compare) -> bool:
        now = self._at(compare.key, self.revision)
        actual: int | bytes | None
        wanted: int | bytes
        if compare.target == pb.Compare.VALUE:
            actual, wanted = now.value if now else None, compare.value
        elif compare.target == pb.Compare.MOD:
            actual, wanted = now.revision if now else 0, compare.mod_revision
        else:
            actual, wanted = now.version if now else 0, compare.version
        if actual is None:
            return False  # etcd: a value compare on a key that does not exist never holds
        if compare.result == pb.Compare.EQUAL:
            return actual == wanted
        if compare.result == pb.Compare.NOT_EQUAL:
            return actual != wanted
        greater: bool = actual > wanted  # type: ignore[operator]
        return greater if compare.result == pb.Compare.GREATER else actual != wanted and not greater

    def _run(self, request: pb.TxnRequest, verdicts: Iterator[bool]) -> pb.TxnResponse:
        answer = pb.TxnResponse(succeeded=next(verdicts))
        for op in request.success if answer.succeeded else request.failure:
            reply = answer.responses.add()
            if op.HasField("request_txn"):
                reply.response_txn.CopyFrom(self._run(op.request_txn, verdicts))
            elif op.HasField("request_put"):
                self._write(op.request_put.key, op.request_put.value)
                reply.response_put.SetInParent()
            elif op.HasField("request_delete_range"):
                reply.response_delete_range.deleted = self._write(op.request_delete_range.key, None)
            else:
                self._read(op.request_range.key, reply.response_range)
        return answer

    def _write(self, key: bytes, value: bytes | None) -> int:
        """Put or delete one key at the next revision; how many keys that changed."""
        next_revision = self.revision + 1
        old = self._at(key, next_revision)
        if value is None and old is None:
            return 0
        version = 0 if value is None else (old.version if old else 0) + 1
        event = KeyValue(key, value, next_revision, version)
        self._versions.setdefault(key, []).append(event)
        self._log.append(event)
        return 1

    def _read(self, key: bytes, reply: pb.RangeResponse) -> None:
        now = self._at(key, self.revision + 1)
        if now is not None:
            reply.kvs.add(key=key, value=now.value, mod_revision=now.revision, version=now.version)


def _check_size(request: pb.TxnRequest, left: int) -> None:
    """etcd's --max-txn-ops counts along a path: the longest list of each level."""
    left -= max(len(request.compare), len(request.success), len(request.failure))
    if left < 0:
        raise BadRequest("INVALID_ARGUMENT: etcdserver: too many operations in txn request")
    for op in (*request.success, *request.failure):
        if op.HasField("request_txn"):
            _check_size(op.request_txn, left)


def _written(ops: Iterable[pb.RequestOp]) -> set[bytes]:
    """Keys that may be put by a branch; a second put, even in a branch that cannot be taken, refuses it all."""
    puts: set[bytes] = set()
    deletes: set[bytes] = set()
    for op in ops:
        if op.HasField("request_put"):
            mine = {op.request_put.key}
        elif op.HasField("request_txn"):
            mine = _written(op.request_txn.success) | _written(op.request_txn.failure)
        else:
            deletes.add(op.request_delete_range.key)
            continue
        if not puts.isdisjoint(mine):
            raise BadRequest("INVALID_ARGUMENT: etcdserver: duplicate key given in txn request")
        puts |= mine
    if not puts.isdisjoint(deletes):
        raise BadRequest("INVALID_ARGUMENT: etcdserver: duplicate key given in txn request")
    return puts
