"""What a watch says: fragments put together, and why it ended.

Law: nothing is told before its revision is complete, and nothing twice: etcd before 3.4.25 repeats events, and goes
back in time after a snapshot. Who watches again starts after the last complete one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from everlease.errors import StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.api import Compacted, KeyValue, Unavailable, WatchBatch
from everlease.store.channel import Unauthenticated, store_error
from everlease.store.rpc import RpcError

_DELETE = pb.Event.DELETE

_SIGN_IN_AGAIN = ("invalid auth token", "user name is empty", "permission denied")
"""Why a watch is cancelled when the token is missing or not good any more: 3.4.23 says the first, others the last."""


async def complete_revisions(answers: AsyncIterator[pb.WatchResponse], told: int = 0) -> AsyncIterator[WatchBatch]:
    """Put fragments together: what is told ends with a complete revision, later than `told` and all before it.

    Raises Compacted, Unavailable.
    """
    events: list[KeyValue] = []
    async for answer in answers:
        check(answer)
        events.extend(_event(event) for event in answer.events)
        if not events or answer.fragment:
            continue
        if events[0].revision <= told:
            events = [event for event in events if event.revision > told]
        if events:
            told = events[-1].revision
            yield WatchBatch(events, told, answer.header.cluster_id)
            events = []


def _event(event: pb.Event) -> KeyValue:
    kv = event.kv
    return KeyValue(kv.key, None if event.type == _DELETE else kv.value, kv.mod_revision, kv.version)


def check(answer: pb.WatchResponse) -> pb.WatchResponse:
    """The answer, if the watch goes on after it. Raises Compacted, Unauthenticated, Unavailable."""
    if answer.compact_revision:
        raise Compacted(answer.cancel_reason or "compacted", answer.compact_revision)
    if answer.canceled and any(words in answer.cancel_reason for words in _SIGN_IN_AGAIN):
        raise Unauthenticated(answer.cancel_reason)
    if answer.canceled:
        raise Unavailable(f"watch cancelled: {answer.cancel_reason}")
    return answer


def watch_error(error: RpcError) -> StoreError:
    """What the end of the stream means: Compacted, or else Unavailable."""
    failure = store_error(error)
    return failure if isinstance(failure, Compacted) else Unavailable(str(failure))
