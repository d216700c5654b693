"""What the simulated etcd is made of: members, the requests that they have, and the watches on them.

Law: values and nothing else; what becomes of them is `etcd`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from everlease.store.api import KeyValue

HUNG: Final = 3600.0
"""Seconds of an fsync that never returns."""

QUOTA: Final = 2 << 30
"""Bytes of a member's database, as etcd has them by default."""


class Refused(Exception):
    """An answer that is an error: a gRPC status by name, and its words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.words = words


Answer = Callable[[Any], None]
"""Takes the message, or Refused."""


@dataclass(slots=True, eq=False)
class Call:
    """A request that a member has. given_up: the client does not wait any more (its deadline, or a cancellation)."""

    kind: str
    request: Any
    answer: Answer
    given_up: bool = False
    proposed: bool = False


@dataclass(slots=True, eq=False)
class Watcher:
    """One watch on one member. next: the revision from which it still has to tell; tell: takes responses."""

    start: bytes
    end: bytes
    next: int
    tell: Answer
    stuck: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """One etcd process. disk: seconds that an fsync takes, infinite = it never returns; apart: it reaches no other one.

    applied: the last revision that it has applied; backlog: what came in while it was stopped; full: it has raised
    NOSPACE; size, in_use, quota: bytes of its database; fsyncs, fsyncing: how many of its log, and their seconds.
    """

    name: str
    number: int
    alive: bool = True
    frozen: bool = False
    disk: float = 0.0
    apart: bool = False
    full: bool = False
    size: int = 400 << 20
    in_use: int = 300 << 20
    quota: int = QUOTA
    fsyncs: int = 0
    fsyncing: float = 0.0
    applied: int = 1
    stale_at: int = 0
    backlog: list[Call] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)

    @property
    def works(self) -> bool:
        """It takes part in raft."""
        return self.alive and not self.frozen and not self.apart and self.disk < HUNG


Events = list[tuple[KeyValue, KeyValue | None]]
"""What a revision changed: each record with what was there before."""
