"""What the runtime asks of the store, and what it gets back: the seam at which tests put an in-memory store.

A transaction has four outcomes, never two: committed, refused (a compare failed), fenced (the whole batch was refused
by its outer compares) and unknown. Unknown is not failed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from everlease.errors import StoreError
from everlease.store.freshness import Freshness


class Unavailable(StoreError):
    """Nobody answered in time, or answered that they cannot: what became of the request is unknown."""

    reason = "unavailable"


class NoSpace(StoreError):
    """The cluster refuses puts: a member's quota is used up (F7). An outage of the store, not of the batch."""

    reason = "nospace"


class BadRequest(StoreError):
    """INVALID_ARGUMENT or NOT_FOUND for a whole batch: split it and send its changes singly."""

    reason = "bad_request"


class Compacted(StoreError):
    """The revision asked for has been compacted away: list again. `revision` is the oldest that is still there."""

    reason = "compacted"

    def __init__(self, message: str, revision: int = 0) -> None:
        super().__init__(message)
        self.revision = revision


class Forgotten(StoreError):
    """The store went back in time: what was decided before must not reach it."""

    reason = "forgotten"


class KeyValue(msgspec.Struct, gc=False):
    """One record: key and value as bytes, etcd's mod revision and version; value None = deleted (watch only)."""

    key: bytes
    value: bytes | None
    revision: int
    version: int = 0


@dataclass(slots=True)
class Result:
    """The answer to one leaf of a batch: succeeded; for a refused one `found` has its keys as they are now."""

    succeeded: bool
    found: Sequence[KeyValue] = ()


@dataclass(slots=True)
class BatchResult:
    """The answer to one outer transaction: fenced = refused as a whole, then `results` is empty.

    revision: header revision; cluster: cluster id; member: name or endpoint that answered; seconds: how long it took.
    found: for a fenced batch the fence's keys as they are now.
    """

    fenced: bool
    results: Sequence[Result]
    revision: int
    cluster: int
    member: str
    found: Sequence[KeyValue] = field(default_factory=tuple)


@dataclass(slots=True)
class Page:
    """Records of one key range at one revision."""

    records: Sequence[KeyValue]
    revision: int
    cluster: int
    more: bool = False


@dataclass(slots=True)
class WatchBatch:
    """Events of complete revisions, in order; `revision` is the last complete one: the next watch starts after it."""

    events: Sequence[KeyValue]
    revision: int
    cluster: int = 0


ALARMS: Final = ("NOSPACE", "CORRUPT")
"""What a member may raise."""

DEFAULT_QUOTA: Final = 2 << 30
"""Bytes of a member's database, unless etcd is given --quota-backend-bytes."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a member said of itself last. version: etcd's; size: bytes of its database; alarms: those it has raised."""

    version: str
    size: int
    alarms: frozenset[str] = frozenset()


class Store(Protocol):
    """etcd as the node sees it: `store.etcd` for real, `store.memory` in tests. Deadlines are seconds.

    freshness: how far its history has been seen. Every method may raise Unavailable; nothing else unless it says so.
    """

    @property
    def freshness(self) -> Freshness:
        """How far etcd's history has been seen, and whether it went backwards."""

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        """Send one serialised TxnRequest (store.txn builds it). Raises BadRequest, NoSpace too."""

    async def get_range(
        self, start: bytes, end: bytes, *, revision: int = 0, limit: int = 0, deadline: float = 5.0
    ) -> Page:
        """Keys in [start, end) in key order at one revision (0 = now). Raises Compacted too."""

    def watch(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[WatchBatch]:
        """Events from `revision` on. Raises Compacted; ends with Unavailable when the member is lost."""

    def rank(self) -> list[str]:
        """Every member, the best first."""

    def is_up(self, member: str) -> bool:
        """Whether the member answers."""

    def latency(self, member: str) -> float:
        """Running mean of the member's answers, seconds."""

    def report(self, member: str) -> Report | None:
        """What the member said of itself when it was probed last; None = nothing yet."""

    def term(self) -> int:
        """The highest raft term in which somebody is known to lead, 0 = not heard of yet."""

    async def elected(self, since: int) -> str:
        """The member that leads, once somebody is known to lead in a later term than `since`; else never."""

    def certificate_ends(self) -> float:
        """When our own certificate is no longer valid, seconds UTC; infinite without one."""

    async def has_no_leader(self, deadline: float = 1.0) -> bool:
        """Whether members that can be reached say that the store has no leader; False if none can be."""

    async def close(self) -> None:
        """Let go of every connection."""
