"""etcd's answers as messages. Law: pure; what they say is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.api import Compacted, KeyValue, Unavailable
from everlease.store.mvcc import Mvcc
from simulate.members import Member, Refused


@dataclass(frozen=True, slots=True)
class Head:
    """What every answer carries: the cluster's id, a revision, the term of raft."""

    cluster: int
    revision: int
    term: int

    def fill(self, header: Any) -> None:
        """Write it into a ResponseHeader."""
        header.cluster_id, header.revision, header.raft_term = self.cluster, self.revision, self.term


def read(mvcc: Mvcc, request: pb.RangeRequest, head: Head) -> Any:
    """A RangeResponse as of the header's revision; or Refused."""
    answer = pb.RangeResponse()
    head.fill(answer.header)
    if request.count_only:
        return answer
    try:
        end = request.range_end or request.key + b"\0"
        records, answer.more = mvcc.get_range(request.key, end, request.revision or head.revision, request.limit)
    except (Compacted, Unavailable) as refused:
        return Refused("OUT_OF_RANGE", str(refused))
    for each in records:
        answer.kvs.add(key=each.key, value=each.value, mod_revision=each.revision, version=each.version)
    return answer


def news(events: Sequence[KeyValue], more: bool, head: Head) -> pb.WatchResponse:
    """Some events of a watch; more: it is a fragment, the rest of its revision follows."""
    answer = pb.WatchResponse(fragment=more)
    head.fill(answer.header)
    for each in events:
        event = answer.events.add(type=pb.Event.PUT if each.value is not None else pb.Event.DELETE)
        event.kv.key, event.kv.mod_revision, event.kv.version = each.key, each.revision, each.version
        event.kv.value = each.value or b""
    return answer


def status(member: Member, head: Head, leader: int, full: Sequence[int]) -> pb.StatusResponse:
    """What a member says of itself. leader: its number, 0 = it knows of none; full: who has raised an alarm."""
    answer = pb.StatusResponse(version="3.4.23", db_size=member.size, raft_term=head.term, leader=leader)
    answer.db_size_in_use, answer.raft_applied_index = member.in_use, member.applied
    head.fill(answer.header)
    answer.header.member_id = member.number
    answer.errors.extend(f"memberID:{number} alarm:NOSPACE " for number in full)
    return answer


def puts(request: pb.TxnRequest, nested_pass: bool) -> bool:
    """Whether the quota counts it: 3.4 does not look into nested transactions (F8)."""
    return any(
        op.HasField("request_put") or (op.HasField("request_txn") and not nested_pass and puts(op.request_txn, False))
        for op in request.success
    )


def since(log: list[KeyValue], revision: int) -> list[KeyValue]:
    """The events of a revision and of all after it."""
    first = len(log)
    while first and log[first - 1].revision >= revision:
        first -= 1
    return log[first:]
