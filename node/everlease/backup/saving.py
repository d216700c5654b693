"""A backup as it is read from etcd: everything at one revision, in bounded ranges, at a pace that nobody notices.

Law: the incident was a backup. So nothing is locked and nothing waits for us: a range holds few records, the loop and
the members rest after each for longer than it took, and a reader that does not read stops us, not the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import msgspec

from everlease import __version__
from everlease.backup import lines
from everlease.store.api import KeyValue, Store
from everlease.store.configuration import Documents
from everlease.store.drains import decode_drain
from everlease.store.keys import DRAINS, LEASES, RESERVATIONS, Keys, parse_address, range_end
from everlease.store.loader import Prefixes, regions
from everlease.store.pages import pages
from everlease.store.records import (
    BadRecord,
    decode_current,
    decode_reservation,
    decode_row,
    dotted,
)  # fmt: skip

PAGE: Final = 250
"""Records per answer of etcd: 90 KB, less than a millisecond to read and as much to write down."""

DEADLINE: Final = 5.0

REST: Final = 3.0
"""How many times longer than a page took, reading and sending included, it rests after it: where all are busy it takes
less of what there is. 100,000 leases take six seconds on an idle machine, half a minute on a busy one."""

LEAST_REST, MOST_REST = 0.004, 0.06
"""Seconds. The longest: a million leases shall be saved within the ten minutes for which history is kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a backup is made. prefixes: of the configured subnets, as the loader has them; spans: the view's.

    now: cluster time.
    """

    store: Store
    keys: Keys
    documents: Documents
    prefixes: Callable[[], Prefixes]
    spans: Callable[[str, int, int, int], Iterable[tuple[int, int]]]
    now: Callable[[], float]
    node: str = ""


async def save(place: Place) -> AsyncIterator[bytes]:
    """A whole backup, piece by piece. Raises Unavailable; Compacted if it took longer than history is kept."""
    writer, key = lines.Writer(), place.keys.config_current
    head = await place.store.get_range(key, key + b"\0", deadline=DEADLINE)
    saved_at = datetime.fromtimestamp(place.now(), UTC).isoformat(timespec="seconds")
    cluster = f"{head.cluster & (1 << 64) - 1:x}"
    yield writer.write([lines.Header(lines.VERSION, saved_at, head.revision, cluster, place.node, __version__)])
    for record in head.records:
        for line in await _configuration(place, record):
            yield writer.write([line])
            await asyncio.sleep(LEAST_REST)
    began = perf_counter()
    for start, end in _ranges(place):
        async for records in pages(place.store, start, end, revision=head.revision, limit=PAGE, deadline=DEADLINE):
            if data := writer.write(_line(place.keys, record) for record in records):
                yield data
            await asyncio.sleep(min(max(REST * (perf_counter() - began), LEAST_REST), MOST_REST))
            began = perf_counter()
    yield writer.end()


async def _configuration(place: Place, current: KeyValue) -> list[lines.Line]:
    value = current.value or b""
    try:
        text = await place.documents.fetch(decode_current(value).revision)
    except BadRecord:  # the leases are worth more than that: a backup is made all the same
        return [_unreadable(place.keys, current)]
    return [lines.Configuration(msgspec.Raw(value)), *lines.document(text)]


def _ranges(place: Place) -> Iterator[tuple[bytes, bytes]]:
    """(start, end) of all that is saved; of leases what is configured, a page at a time, and what lies between."""
    keys = place.keys
    for start in (keys.watched + RESERVATIONS + b"/", keys.drains):
        yield start, range_end(start)
    done = start = keys.watched + LEASES + b"/"
    for space, first, last in regions(place.prefixes()):
        begin, end = keys.lease_range(space, first, last)
        if done < begin:
            yield done, begin
        for span in place.spans(space, first, last, PAGE):
            yield keys.lease_range(space, *span)
        done = end
    yield done, range_end(start)


def _line(keys: Keys, record: KeyValue) -> lines.Line:
    words, value = keys.parse(record.key), record.value or b""
    try:
        if words[0] == DRAINS:
            decode_drain(value)
            return lines.Drain(words[1].decode(), msgspec.Raw(value))
        if words[0] == RESERVATIONS:
            decode_reservation(value, 0)
            return lines.Reservation(words[1].decode(), b"/".join(words[3:]).decode(), msgspec.Raw(value))
        decode_row(value, 0)
        address = parse_address(words[3])
        if address is not None:
            return lines.Lease(words[1].decode(), dotted(address), msgspec.Raw(value))
    except (BadRecord, IndexError, UnicodeDecodeError):
        pass
    return _unreadable(keys, record)


def _unreadable(keys: Keys, record: KeyValue) -> lines.Unreadable:
    return lines.Unreadable(record.key[len(keys.watched) :].decode(errors="replace"), record.value or b"")
