"""Reading leases as etcd holds them: pages of one revision, and the filters that choose among them.

The law of this file: a listing asks etcd for ranges of keys that hold as much as an answer may, as far as the view
knows; a limit alone makes etcd count everything behind it (24 s instead of 2 s for a million records), in one piece.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from everlease.admin.convert import (
    address_of,
    client_keys,
    dotted,
    lease_state,
    octets_of,
    space_of,
    tell_lease,
)
from everlease.admin.pace import Pace
from everlease.admin.pages import SLICE, Token
from everlease.core.lifecycle import Lease
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import ADDRESSES, parse_address
from everlease.store.records import BadRecord, LeaseRecord, decode_record, record_of

RANGES: Final = 64
"""Ranges that one page may ask for; then it is sent as it is, and the next one goes on."""

BATCH: Final = 250
"""Records that one answer of etcd may hold: half a millisecond to parse."""

MOST, MOST_WHEN_BUSY = 500, 250
"""Rows of a page: gRPC serialises it in one piece, 2 us a row."""

DEADLINE: Final = 5.0
_FEW: Final = 32

Found = tuple[int, LeaseRecord, int]
"""Address, record, etcd's mod revision of it."""

T = TypeVar("T")

Matches = Callable[[LeaseRecord], bool]


@dataclass(slots=True)
class Scan:
    """Where a listing is. after: the last address looked at; last: where it ends; revision: 0 = not known yet."""

    space: str
    after: int
    last: int
    revision: int
    found: list[Found] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether everything was looked at."""
        return self.after >= self.last


class Listing:
    """Reads the records of one node's store."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        received = rooms.counters.received
        self._pace = Pace(lambda: sum(received.values()), rooms.clock.boot)

    def scan(self, space: str, subnet: int, token: Token | None = None) -> Scan:
        """Where a listing of a space begins, or goes on; of a subnet's prefix, if there is such a subnet (0 = all)."""
        space, first, last = space_of(space), 0, ADDRESSES - 1
        config = self._rooms.configuration.current
        known = config.subnets.get(subnet) if config else None
        if known is not None:
            space, first = known.space, known.prefix
            last = known.prefix | (0xFFFFFFFF >> known.length)
        return Scan(space, token.after if token else first - 1, last, token.revision if token else 0)

    async def page(self, scan: Scan, size: int, matches: Matches | None) -> list[Found]:
        """The next matches, `size` at most; fewer, or none, with more to come if `scan` has not ended."""
        scan.found = []
        size = min(size, MOST_WHEN_BUSY if self._pace.busy else MOST)
        for _ in range(RANGES):
            if scan.ended or len(scan.found) >= size:
                break
            await self._read(scan, size, matches)
        return scan.found

    async def _read(self, scan: Scan, size: int, matches: Matches | None) -> None:
        """One range: its matches join `scan.found`."""
        await self._pace.turn()
        limit = min(BATCH, max(size - len(scan.found), _FEW))
        first, last = next(self._rooms.view.spans(scan.space, scan.after + 1, scan.last, limit))
        start, end = self._rooms.keys.lease_range(scan.space, first, last)
        page = await self._rooms.store.get_range(start, end, revision=scan.revision, limit=limit, deadline=DEADLINE)
        scan.revision = scan.revision or page.revision
        async for part in self.paced(page.records):
            if _sift(scan, part, size, matches):
                return
        if not page.more:
            scan.after = last

    async def paced(self, rows: Sequence[T]) -> AsyncIterator[Sequence[T]]:
        """The rows in pieces, each worked on at once and paid for afterwards."""
        for start in range(0, len(rows), SLICE):
            with self._pace.work():
                yield rows[start : start + SLICE]
            await self._pace.turn()

    async def at(self, space: str, address: int) -> KeyValue:
        """An address's record as it is in etcd now; value None = there is none, as of `revision`."""
        start, end = self._rooms.keys.lease_range(space, address, address)
        page = await self._rooms.store.get_range(start, end, limit=1, deadline=DEADLINE)
        return page.records[0] if page.records else KeyValue(start, None, page.revision)

    async def records(self, space: str, addresses: Sequence[int]) -> list[Found]:
        """Those of these addresses that have a record, as they are in etcd now."""
        found = []
        for address in addresses:
            record = await self.at(space, address)
            lease = read(record)
            if lease is not None:
                found.append((address, lease, record.revision))
        return found

    # --- choosing -----------------------------------------------------------------------------------------------------

    def matcher(self, request: pb.ListLeasesRequest | pb.WatchLeasesRequest) -> Matches | None:
        """Whether a record is one of those that a request asks for; None = all are. Raises Refusal."""
        tests: list[Matches] = []
        if request.subnet:
            tests.append(lambda record: record.subnet == request.subnet)
        if request.client:
            octets = octets_of(request.client, "client")
            keys, hardware = frozenset(key.hex() for key in client_keys(octets)), octets.hex(":")
            tests.append(lambda record: record.client in keys or record.hw == hardware)
        if isinstance(request, pb.ListLeasesRequest):
            tests += self._more_tests(request)
        return (lambda record: all(test(record) for test in tests)) if tests else None

    def _more_tests(self, request: pb.ListLeasesRequest) -> list[Matches]:
        tests: list[Matches] = []
        if request.state:
            tests.append(lambda record: lease_state(record, *self._moment()) == request.state)
        if request.hostname:
            part = request.hostname.casefold()
            tests.append(lambda record: part in record.hostname.casefold())
        if request.relay:
            relay = dotted(address_of(request.relay, "relay"))
            tests.append(lambda record: record.giaddr == relay)
        if request.HasField("expire_before"):
            before = _seconds(request.expire_before)
            tests.append(lambda record: record.expires_at < before)
        if request.HasField("expire_after"):
            after = _seconds(request.expire_after)
            tests.append(lambda record: record.expires_at >= after)
        return tests

    # --- telling ------------------------------------------------------------------------------------------------------

    def _moment(self) -> tuple[float, int | None]:
        """What a record's state depends on beside itself: cluster time, and grace as configured."""
        config = self._rooms.configuration.current
        return self._rooms.clock.now(), config.cluster.grace if config else None

    def tell(self, message: pb.Lease, space: str, found: Found) -> None:
        """Fill an empty message with a record as the API tells it."""
        tell_lease(message, space, *found)
        message.state = lease_state(found[1], *self._moment())

    def message(self, space: str, address: int, lease: Lease, revision: int) -> pb.Lease:
        """A lease that was decided on, as the API tells it."""
        message = pb.Lease()
        self.tell(message, space, (address, record_of(lease), revision))
        return message


def _sift(scan: Scan, records: Sequence[KeyValue], size: int, matches: Matches | None) -> bool:
    """What matches joins `scan.found`; whether that is `size` now."""
    for record in records:
        address = address_of_key(record.key)
        if address is None:
            continue
        scan.after = address
        lease = read(record)
        if lease is not None and (matches is None or matches(lease)):
            scan.found.append((address, lease, record.revision))
            if len(scan.found) >= size:
                return True
    return False


def address_of_key(key: bytes) -> int | None:
    """The address whose record has this key; None for another key."""
    return parse_address(key.rpartition(b"/")[2])


def read(record: KeyValue) -> LeaseRecord | None:
    """None for a record that nobody can read: the view keeps its address out of use, and says so."""
    try:
        return None if record.value is None else decode_record(record.value)
    except BadRecord:
        return None


def _seconds(moment: Timestamp) -> float:
    return moment.seconds + moment.nanos / 1e9
