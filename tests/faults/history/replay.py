"""The store's state after each revision, played back from the commits.

Law: a transaction has one revision, so all of its keys are applied before anybody looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

from everlease.core.lifecycle import Lease
from everlease.store.keys import parse_address
from everlease.store.records import BadRecord, decode_lease, dotted
from faults.history.events import Commit
from faults.history.model import History

Index = tuple[str, int, bytes]
"""(space, subnet id, client key) of an index entry."""

Place = tuple[str, int]
"""(space, address)."""


@dataclass(slots=True)
class Change:
    """What a revision did to one address: the record before and after, None = there was or is none."""

    commit: Commit
    place: Place
    before: Lease | None
    after: Lease | None

    @property
    def address(self) -> str:
        """Dotted."""
        return dotted(self.place[1]) or "0.0.0.0"


@dataclass(slots=True)
class State:
    """The records of leases, the clients' index, other counters; `changes` and `entries` are of the last revision."""

    leases: dict[Place, Lease] = field(default_factory=dict)
    index: dict[Index, int] = field(default_factory=dict)
    counters: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    entries: list[Index] = field(default_factory=list)
    unreadable: list[Commit] = field(default_factory=list)
    last: Commit | None = None


def states(history: History) -> Iterator[State]:
    """The state after each revision: one and the same object, changed in place."""
    state, era = State(), 0
    for (number, _), commits in groupby(history.commits, key=lambda commit: commit.place):
        if number != era:
            state, era = State(), number  # the store was put back: what it holds now is told from the start again
        state.changes, state.entries, state.unreadable = [], [], []
        for commit in commits:
            _apply(history, state, commit)
            state.last = commit
        yield state


@lru_cache(maxsize=1)
def changes(history: History) -> list[Change]:
    """What every commit did to a lease record, in order."""
    return [change for state in states(history) for change in state.changes]


def _apply(history: History, state: State, commit: Commit) -> None:
    key = commit.key.encode()
    words = history.keys.parse(key)
    entry = history.keys.parse_client(key)
    if len(words) == 4 and words[0] == b"leases":
        _apply_lease(state, commit, (words[1].decode(), parse_address(words[3]) or 0))
    elif entry is not None:
        state.entries.append(entry)
        if commit.value is None:
            state.index.pop(entry, None)
        else:
            state.index[entry] = parse_address(commit.value.encode()) or 0
    elif "/x/counters/" in commit.key:
        state.counters[commit.key] = commit.value or ""


def _apply_lease(state: State, commit: Commit, place: Place) -> None:
    before = state.leases.pop(place, None)
    after = None
    if commit.value is not None:
        try:
            after = state.leases[place] = decode_lease(commit.value.encode())
        except BadRecord:
            state.unreadable.append(commit)
    state.changes.append(Change(commit, place, before, after))
