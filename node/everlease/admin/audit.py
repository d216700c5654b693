"""What was changed through the admin API: by whom, what, from what to what.

The law of this file: each change is one record, in the log at every log level and in the trail that WatchAudit reads; a
record is bounded in size, and holds what the API shows, never a credential.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from everlease.admin.auth import call_of

if TYPE_CHECKING:
    import grpc.aio

KEPT: Final = 1000
"""Records that a node remembers: 4 MB at most."""

LONGEST: Final = 2000
"""Characters of `before` and of `after`."""

_INFO: Final = 20


@dataclass(frozen=True, slots=True)
class Record:
    """One change. number: counts up from 1 on each start of a node; at: cluster time, seconds UTC; revision: etcd's."""

    number: int
    at: float
    who: str
    role: str
    peer: str
    method: str
    resource: str
    before: str
    after: str
    revision: int


class Lost(LookupError):
    """Records that a reader has not seen are no longer kept. oldest: the first that is."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest record kept is number {oldest}")
        self.oldest = oldest


class Trail:
    """The last records of this node. now: cluster time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._numbers = itertools.count(1)
        self._kept: deque[Record] = deque(maxlen=KEPT)
        self._more = asyncio.Event()

    def next_number(self) -> int:
        """Of the record to be kept next."""
        return next(self._numbers)

    def keep(self, record: Record) -> None:
        """Remember a record, and wake who waits for one."""
        self._kept.append(record)
        self._more.set()
        self._more = asyncio.Event()

    @property
    def coming(self) -> int:
        """The number of the record that comes next."""
        return self._last() + 1

    async def follow(self, number: int) -> AsyncIterator[Record]:
        """Records from a number on, without end. Raises Lost where some are missing."""
        while True:
            more = self._more
            if self._kept and number < self._kept[0].number:
                raise Lost(self._kept[0].number)
            for record in [each for each in self._kept if each.number >= number]:
                yield record
                number = record.number + 1
            if number > self._last():
                await more.wait()

    def _last(self) -> int:
        return self._kept[-1].number if self._kept else 0


def record(
    context: grpc.aio.ServicerContext,
    resource: str,
    before: Message | str | None = None,
    after: Message | str | None = None,
    revision: int = 0,
) -> None:
    """Every method that changed something calls this once per resource, after the store has confirmed it.

    resource: its name, such as "spaces/default/leases/10.77.1.1"; before, after: None = there was, there is, none;
    revision: etcd's, of the change, or the configuration's. Raises PermissionError as `auth.call_of`.
    """
    call = call_of(context)
    trail = call.trail
    entry = Record(
        number=trail.next_number(),
        at=trail.now(),
        who=call.caller.name,
        role=call.caller.role.word,
        peer=call.peer,
        method=call.method.strip("/"),
        resource=resource,
        before=_words(before),
        after=_words(after),
        revision=revision,
    )
    trail.keep(entry)
    _log(entry)


def _words(value: Message | str | None) -> str:
    if isinstance(value, Message):
        value = MessageToJson(value, indent=None)
    text = value or ""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _log(entry: Record) -> None:
    """At every log level: an audit is no matter of taste."""
    logger = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(_INFO))
    logger.info(
        "audit",
        who=entry.who,
        role=entry.role,
        peer=entry.peer,
        method=entry.method,
        resource=entry.resource,
        before=entry.before,
        after=entry.after,
        revision=entry.revision,
    )
