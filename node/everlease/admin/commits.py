"""How an operator's change of a lease is committed: among the packets' changes, in their batches, by their compares.

The law of this file: what was refused is decided again on what the store says now, a few times; what became of a change
whose answer was lost is not known, and the caller is told just that. A change goes on although its caller has gone, and
its record is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo

from everlease.admin.answers import DOMAIN, Refusal, await_view, not_found, unready
from everlease.admin.convert import dotted, etag_of
from everlease.core.actions import Change
from everlease.core.lifecycle import Lease
from everlease.core.model import Config
from everlease.runtime.committer import COMMITTED, LOST
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.records import BadRecord, decode_lease

DECISIONS: Final = 5
"""How often a change is decided before its caller is told that others are faster."""

T = TypeVar("T")
Known = tuple[int, Lease, int]
"""Address, record, etcd's mod revision of it."""

Made = tuple[T, Change | None]
"""What to answer, and the change that makes it true; None = it is true already."""


async def commit(rooms: Rooms, decide: Callable[[], Awaitable[Made[T]]]) -> tuple[T, int]:
    """Decide and commit until the store agrees; the answer and etcd's revision, 0 = nothing was written.

    Raises Refusal: UNAVAILABLE (unknown what became of it, or no room), ABORTED (others are faster), those of `decide`.
    """
    check_fit(rooms)
    for _ in range(DECISIONS):
        answer, change = await decide()
        if change is None:
            return answer, 0
        config = rooms.configuration.current
        assert config is not None  # it was decided on one
        outcome, revision = await _submit(rooms, change, config)
        if outcome == COMMITTED:
            return answer, revision
        if outcome == LOST:
            raise unavailable("UNKNOWN", "the store has not confirmed it in time: it is not known whether it was done")
    raise aborted("others are changing it: try again")


def check_fit(rooms: Rooms) -> None:
    """Refuse with UNAVAILABLE where a packet's change would not be committed either."""
    await_view(rooms)
    if not rooms.lifeline.clock_ok:
        raise unavailable("CLOCK", f"{rooms.lifeline.clock_says}: ask another node")
    if rooms.view.ghosts is not None:
        raise unavailable("ROLLED_BACK", "the store went back in time, and this node lives that down: try later")


async def _submit(rooms: Rooms, change: Change, config: Config) -> tuple[int, int]:
    """What became of a change, and the revision of its record."""
    done: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

    def settled(outcome: int) -> None:
        row = rooms.view.row(change.space, change.address)
        if not done.done():
            done.set_result((outcome, row.revision if row is not None else 0))

    if not rooms.committer.submit(change, config, rooms.clock.boot(), settled):
        raise unavailable("OVERLOAD", "this node has as many changes waiting as it takes: try again")
    return await done


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for a change and its record; who stops waiting does not stop it."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody else looks at it
        raise


_running: set[asyncio.Future[Any]] = set()


def decoded(address: int, record: KeyValue) -> Lease:
    """The record of an address. Raises Refusal: NOT_FOUND; FAILED_PRECONDITION for one that nobody can read."""
    if record.value is None:
        raise not_found(f"{dotted(address)} has no lease record")
    try:
        return decode_lease(record.value)
    except BadRecord:
        raise unready(f"the record of {dotted(address)} cannot be read: mend it first") from None


def check_etag(wanted: str, revision: int) -> None:
    """Refuse with ABORTED what was asked of another state of the record. revision: of the record, 0 = there is none."""
    if wanted and wanted != etag_of(revision):
        raise aborted(f"the record has etag {etag_of(revision) or '(none)'}, not {wanted}: read it again")


def aborted(words: str) -> Refusal:
    """ABORTED: somebody else was there first."""
    return Refusal(Code.ABORTED, words, [ErrorInfo(reason="CONFLICT", domain=DOMAIN)])


def unavailable(reason: str, words: str) -> Refusal:
    """UNAVAILABLE, and why."""
    return Refusal(Code.UNAVAILABLE, words, [ErrorInfo(reason=reason, domain=DOMAIN)])
