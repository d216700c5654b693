"""etcd's state machine in memory: keys with all their revisions, nested transactions, compaction. Pure.

Law: it behaves as etcd does where `store` relies on it: all compares of a request, nested ones too, see the state
before it; a key put twice refuses the whole request; one request has one revision. `store.memory` gives it a store's
clothes, the simulation (tests/simulate) members, delays and faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from google.protobuf.message import DecodeError
from sortedcontainers import SortedDict

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.api import BadRequest, Compacted, KeyValue, Unavailable


class Mvcc:
    """revision: of the last write; compacted: the oldest that is still there; log: every event, oldest first."""

    def __init__(self, max_txn_ops: int) -> None:
        self.revision = 1  # an empty etcd is at 1, too
        self.compacted = 0
        self.log: list[KeyValue] = []
        self._max_txn_ops = max_txn_ops
        self._versions: SortedDict = SortedDict()  # key -> list of KeyValue, oldest first; value None = deleted

    def txn(self, request: bytes) -> pb.TxnResponse:
        """Apply one serialised TxnRequest; the answer's header is the caller's to fill. Raises BadRequest."""
        try:
            wanted = pb.TxnRequest.FromString(request)
        except DecodeError as bad:
            raise BadRequest("INVALID_ARGUMENT: not a TxnRequest") from bad
        _check_size(wanted, self._max_txn_ops)
        _written([*wanted.success])
        _written([*wanted.failure])
        logged = len(self.log)
        answer = self._run(wanted, self._verdicts(wanted))
        if len(self.log) > logged:
            self.revision += 1
        return answer

    def get_range(self, start: bytes, end: bytes, revision: int, limit: int) -> tuple[list[KeyValue], bool]:
        """Keys in [start, end) at one revision, and whether there are more. Raises Compacted, Unavailable."""
        if revision < self.compacted:
            raise Compacted("OUT_OF_RANGE: mvcc: required revision has been compacted", self.compacted)
        if revision > self.revision:
            raise Unavailable("OUT_OF_RANGE: mvcc: required revision is a future revision")
        found = (kv for key in self._versions.irange(start, end, (True, False)) if (kv := self.at(key, revision)))
        records = list(islice(found, limit)) if limit else list(found)
        return records, bool(limit) and next(found, None) is not None

    def compact(self, revision: int) -> None:
        """Forget everything before `revision`. Raises Compacted, Unavailable."""
        if revision <= self.compacted:
            raise Compacted("mvcc: required revision has been compacted", self.compacted)
        if revision > self.revision:
            raise Unavailable("OUT_OF_RANGE: mvcc: required revision is a future revision")
        self.compacted = revision

    def upto(self, revision: int) -> Mvcc:
        """A snapshot: all that there was at a revision, and its history."""
        copy = Mvcc(self._max_txn_ops)
        copy.revision, copy.compacted = revision, min(self.compacted, revision)
        copy.log = [event for event in self.log if event.revision <= revision]
        for event in copy.log:
            copy._versions.setdefault(event.key, []).append(event)
        return copy

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        """A key as it was at a revision; None = it was not there."""
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
        now = self.at(compare.key, self.revision)
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
        old = self.at(key, next_revision)
        if value is None and old is None:
            return 0
        version = 0 if value is None else (old.version if old else 0) + 1
        event = KeyValue(key, value, next_revision, version)
        self._versions.setdefault(key, []).append(event)
        self.log.append(event)
        return 1

    def _read(self, key: bytes, reply: pb.RangeResponse) -> None:
        now = self.at(key, self.revision + 1)
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
