"""A backup checked without a cluster: its checksum and counts, every record, no address twice, the configuration.

Law: the first thing that is wrong is told with its line, and nothing after it is believed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from everlease.backup import files
from everlease.backup.lines import (
    Configuration,
    Damaged,
    Document,
    Drain,
    Header,
    Lease,
    Line,
    Reader,
    Reservation,
)  # fmt: skip
from everlease.config.load import InvalidDocument, load
from everlease.core.lifecycle import BOUND
from everlease.store.configuration import digest_of
from everlease.store.drains import decode_drain
from everlease.store.keys import Keys
from everlease.store.records import (
    BadRecord,
    Current,
    decode_current,
    decode_lease,
    decode_reservation,
    undotted,
)  # fmt: skip


@dataclass(slots=True)
class Contents:
    """What a whole backup holds. configuration: the revision in force when it was saved, None without one.

    live: bindings that have not ended at the time of the check; counts: lines of each kind.
    """

    header: Header
    counts: dict[str, int]
    configuration: Current | None = None
    live: int = 0


@dataclass(slots=True)
class Check:
    """The state of a check. keys: every key that came so far."""

    now: float
    configuration: Current | None = None
    text: list[str] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    live: int = 0
    _names: Keys = field(default_factory=Keys)

    def take(self, line: Line) -> None:
        """One more line. Raises BadRecord, ValueError for what cannot have been saved."""
        if isinstance(line, Lease):
            lease = decode_lease(bytes(line.record))
            self.live += lease.state == BOUND and lease.expires_at > self.now
            self._once(self._names.lease(line.space, undotted(line.address)))
        elif isinstance(line, Reservation):
            decode_reservation(bytes(line.record), 0)
            self._once(self._names.reservations(line.space) + line.key.encode())
        elif isinstance(line, Drain):
            decode_drain(bytes(line.record))
            self._once(self._names.drain(line.node))
        elif isinstance(line, Configuration):
            self.configuration = decode_current(bytes(line.record))
            self._once(self._names.config_current)
        elif isinstance(line, Document):
            self.text.append(line.text)

    def _once(self, key: bytes) -> None:
        if key in self.keys:
            raise BadRecord(f"{key.decode()} comes a second time")
        self.keys.add(key)


def verify(path: Path, now: float | None = None) -> Contents:
    """Check a file. Raises Damaged for the first thing that is wrong, OSError. now: seconds UTC."""
    return check(files.read(path), now)


def check(chunks: Iterable[bytes], now: float | None = None) -> Contents:
    """Check a backup as it comes. Raises Damaged, and whatever `chunks` raises."""
    reader, state = Reader(), Check(time.time() if now is None else now)
    for line in _lines(reader, chunks):
        try:
            state.take(line)
        except (BadRecord, ValueError) as bad:
            raise Damaged(reader.number, str(bad)) from bad
    counts = reader.finish().counts
    if reader.header is None:
        raise Damaged(0, "the file has no head")
    if state.configuration is not None:
        _compile("".join(state.text), state.configuration)
    return Contents(reader.header, counts, state.configuration, state.live)


def _lines(reader: Reader, chunks: Iterable[bytes]) -> Iterator[Line]:
    for chunk in chunks:
        yield from reader.feed(chunk)


def _compile(text: str, record: Current) -> None:
    if digest_of(text) != record.digest:
        raise Damaged(0, f"configuration {record.revision} is not the document that was applied: its digest differs")
    try:
        load(text, revision=record.revision)
    except InvalidDocument as bad:
        first = bad.problems[0]
        words = f"configuration {record.revision} does not compile: line {first.line} of it: {first.message}"
        raise Damaged(0, words) from bad
