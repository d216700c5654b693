"""A change as a transaction, and many changes as one: pure functions from values to bytes and back.

Law: **every key that a change reads, puts or deletes is compared**, and a refused change brings back each of those keys
as it is now. A batch holds one nested transaction per change; each succeeds or fails alone, all of them against the
state *before* the batch. So a key that one change writes is not named by another change of the same batch, and two
fences in the outer compare refuse the whole batch when it was decided under another configuration, or too long ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from google.protobuf.message import DecodeError

from everlease.core.actions import CHECK, GRANT, Change
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import wire
from everlease.store.api import BatchResult, KeyValue, Result
from everlease.store.keys import Keys, index_value
from everlease.store.records import encode_lease

MAX_TXN_OPS = 128
"""etcd's default --max-txn-ops: operations of the outer transaction plus those of its largest nested one."""

MAX_CHANGES = 100
"""Changes per batch: 10-14 us each at 100, and a third more latency for nothing beyond (choices.md)."""

MAX_BYTES = 1_000_000
"""A third below etcd's default --max-request-bytes (1.5 MiB)."""

WINDOW_SECONDS = 10.0
"""How long a batch stays valid after its presence version was read, by the node's own writes."""

Expected: TypeAlias = int | bytes
"""What a key must be: a mod revision (0 = the key does not exist), or exactly this value."""


class Leaf(msgspec.Struct):
    """One nested transaction: if every key of `expect` is as expected, `puts` and `deletes`; else read them all."""

    expect: dict[bytes, Expected]
    puts: list[tuple[bytes, bytes]] = []
    deletes: list[bytes] = []

    def names(self) -> tuple[bytes, ...]:
        """Every key that it names, for the table of changes in flight."""
        return tuple(self.expect)

    def written(self) -> set[bytes]:
        """Every key that it may put or delete."""
        written = {key for key, _ in self.puts}
        return written.union(self.deletes) if self.deletes else written

    def operations(self) -> int:
        """How it counts against --max-txn-ops: its longest list (the failure branch reads what is compared)."""
        return max(len(self.expect), len(self.puts) + len(self.deletes))


@dataclass(slots=True)
class Fences:
    """What a whole batch depends on. config: mod revision of `config/current`, 0 = there is none.

    presence: this node's key; version: of it when the batch was made, 0 = not yet there; window: how many writes of its
    own presence the batch outlives.
    """

    config_key: bytes
    config: int
    presence: bytes
    version: int
    window: int = 20


@dataclass(slots=True)
class Removal:
    """A record that the sweeper deletes, if nothing has changed it. `indexed`: the client's index still names it."""

    space: str
    address: int
    subnet: int
    client: bytes
    expected: int
    indexed: bool


def names(keys: Keys, change: Change) -> tuple[bytes, ...]:
    """Every key that a change names, compare-only keys included."""
    return plan(keys, change).names()


def plan(keys: Keys, change: Change) -> Leaf:
    """The transaction of one change. Its lease already carries nonce, node and config revision."""
    space = change.space
    record = keys.lease(space, change.address)
    leaf = Leaf({record: change.expected})
    if change.lease is not None:
        leaf.puts.append((record, encode_lease(change.lease)))
    if change.kind in (GRANT, CHECK) or change.reservation:
        leaf.expect[keys.reservation(space, change.address)] = change.reservation
    own = b""
    for subnet, held in change.indexes:
        index = keys.client(space, subnet, change.client)
        leaf.expect[index] = index_value(held) if held else 0
        if subnet == change.subnet:
            own = index
    if change.puts_index:
        index = own or keys.client(space, change.subnet, change.client)
        leaf.expect.setdefault(index, 0)
        leaf.puts.append((index, index_value(change.address)))
    for address, revision in change.seen:
        leaf.expect[keys.lease(space, address)] = revision
    if change.moved is not None:
        _give_up(leaf, keys, change)
    if change.displaced is not None and change.displaced != (change.client, change.subnet):
        client, subnet = change.displaced
        index = keys.client(space, subnet, client)
        leaf.expect[index] = index_value(change.address)
        leaf.deletes.append(index)
    return leaf


def _give_up(leaf: Leaf, keys: Keys, change: Change) -> None:
    moved = change.moved
    assert moved is not None
    record = keys.lease(change.space, moved.address)
    leaf.expect[record] = moved.revision
    leaf.puts.append((record, encode_lease(moved.lease)))
    index = keys.client(change.space, moved.subnet, change.client)
    overwritten = change.puts_index and moved.subnet == change.subnet
    named = index_value(moved.address)
    if not overwritten and leaf.expect.setdefault(index, named) == named:
        leaf.deletes.append(index)


def removal(keys: Keys, gone: Removal) -> Leaf:
    """The sweeper's transaction: the record, and the index entry that names it."""
    record = keys.lease(gone.space, gone.address)
    leaf = Leaf({record: gone.expected}, deletes=[record])
    if gone.indexed:
        index = keys.client(gone.space, gone.subnet, gone.client)
        leaf.expect[index] = index_value(gone.address)
        leaf.deletes.append(index)
    return leaf


def put(key: bytes, value: bytes, expected: Expected) -> Leaf:
    """Compare one key and put it: a node's presence, for example."""
    return Leaf({key: expected}, [(key, value)])


class Batch:
    """Changes that go to etcd as one transaction; results come back in the order in which they were added.

    fences: None = valid for ever (administration), as for `single`.
    """

    __slots__ = ("_body", "_bytes", "_fences", "_largest", "_limit", "_named", "_written")

    def __init__(self, fences: Fences | None, limit: int = MAX_TXN_OPS) -> None:
        self._fences = fences
        self._limit = limit
        self._largest = 2  # the outer failure branch reads the two fences
        self._bytes = 0
        self._body: list[bytes] = []
        self._named: set[bytes] = set()
        self._written: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._body)

    def add(self, leaf: Leaf) -> bool:
        """Take one more; False (and nothing taken) if there is no room, or if it meets a key of another change."""
        written = leaf.written()
        if not self._written.isdisjoint(leaf.expect) or not self._named.isdisjoint(written):
            return False
        largest = max(self._largest, leaf.operations())
        encoded = wire.nested(leaf.expect, leaf.puts, leaf.deletes)
        count = len(self._body) + 1
        too_big = self._bytes + len(encoded) > MAX_BYTES and count > 1
        if count > MAX_CHANGES or count + largest > self._limit or too_big:
            return False
        self._largest = largest
        self._bytes += len(encoded)
        self._body.append(encoded)
        self._named.update(leaf.expect)
        self._written |= written
        return True

    def request(self) -> bytes:
        """The serialised TxnRequest."""
        if self._fences is None:
            return b"".join(self._body)
        return b"".join((_outer(self._fences), *self._body, _reads(self._fences)))


def single(leaf: Leaf, fences: Fences | None = None) -> bytes:
    """A TxnRequest of one nested transaction; without fences it is valid for ever (administration, tests)."""
    body = wire.nested(leaf.expect, leaf.puts, leaf.deletes)
    return body if fences is None else _outer(fences) + body + _reads(fences)


def _outer(fences: Fences) -> bytes:
    return b"".join(
        (
            *wire.compare(fences.config_key, fences.config),
            wire.version_above(fences.presence, fences.version - 1),
            wire.version_below(fences.presence, fences.version + fences.window),
        )
    )


def _reads(fences: Fences) -> bytes:
    return wire.failure_get(fences.config_key) + wire.failure_get(fences.presence)


def parse(raw: bytes, member: str = "") -> BatchResult:
    """Read a serialised TxnResponse. Raises ValueError if it is none."""
    try:
        answer = pb.TxnResponse.FromString(raw)
    except DecodeError as bad:
        raise ValueError("not a TxnResponse") from bad
    header = answer.header
    if not answer.succeeded:
        return BatchResult(True, (), header.revision, header.cluster_id, member, _found(answer.responses))
    leaves = [op.response_txn for op in answer.responses]
    results = [_SUCCEEDED if leaf.succeeded else Result(False, _found(leaf.responses)) for leaf in leaves]
    return BatchResult(False, results, header.revision, header.cluster_id, member)


_SUCCEEDED = Result(True)


def _found(responses: Sequence[pb.ResponseOp]) -> list[KeyValue]:
    return [KeyValue(kv.key, kv.value, kv.mod_revision, kv.version) for op in responses for kv in op.response_range.kvs]
