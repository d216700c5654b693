"""LeaseService: the records as etcd holds them, at one revision.

The law of this file: a listing asks etcd for ranges of keys that are bounded, and wider only where there is nothing; a
limit alone makes etcd count everything behind it (24 s instead of 2 s for a million records).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc

from everlease.admin.answers import answered, await_view, invalid, not_found
from everlease.admin.convert import address_of, client_keys, lease_message, lease_state, octets_of, space_of
from everlease.admin.pages import Token, breathing, filters_of, read_token, size_of, write_token
from everlease.core.lifecycle import Lease
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.pb.admin.v1 import lease_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import ADDRESSES, parse_address
from everlease.store.records import BadRecord, decode_lease

NARROW: Final = 4096
"""Addresses of a range where there are leases: a /20."""

RANGES: Final = 64
"""Ranges that one page may ask for; then it is sent as it is, and the next one goes on."""

BATCH: Final = 250
"""Records that one answer of etcd may hold: half a millisecond to parse."""

DEADLINE: Final = 5.0
_FEW: Final = 32

Matches = Callable[[Lease], bool]


@dataclass(slots=True)
class _Scan:
    """Where a listing is. after: the last address looked at; last: where it ends; revision: 0 = not known yet."""

    space: str
    after: int
    last: int
    revision: int
    width: int = NARROW
    found: list[tuple[int, Lease, int]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether everything was looked at."""
        return self.after >= self.last


class LeaseService(lease_service_pb2_grpc.LeaseServiceServicer):
    """Reads only."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    @answered
    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListLeasesResponse:
        """One page."""
        size, filters = size_of(request.page_size), filters_of(request)
        token = read_token(request.page_token, filters)
        scan = self._scan(request, token)
        matches = self._matcher(request)
        for _ in range(RANGES):
            if scan.ended or len(scan.found) >= size:
                break
            await self._read(scan, size, matches)
        answer = pb.ListLeasesResponse(revision=scan.revision)
        async for address, lease, revision in breathing(scan.found):
            answer.leases.append(self._message(scan.space, address, lease, revision))
        if not scan.ended:
            answer.next_page_token = write_token(Token(scan.revision, scan.after, filters))
        return answer

    @answered
    async def GetLease(self, request: pb.GetLeaseRequest, context: grpc.aio.ServicerContext) -> pb.Lease:
        """By address, or by client."""
        space = space_of(request.space)
        if request.WhichOneof("key") == "address":
            found = await self._records(space, [address_of(request.address, "address")])
            missing = f"{request.address} has no lease record"
        elif request.client:
            found = await self._of_client(space, octets_of(request.client, "client"))
            missing = (
                f"client {request.client} has no lease; its other identifiers may: `lease list --client` looks at all"
            )
        else:
            raise invalid("key", "say which lease: an address or a client")
        if not found:
            raise not_found(missing)
        return self._message(space, *max(found, key=lambda each: each[1].expires_at))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _scan(self, request: pb.ListLeasesRequest, token: Token | None) -> _Scan:
        space, first, last = space_of(request.space), 0, ADDRESSES - 1
        config = self._rooms.configuration.current
        subnet = config.subnets.get(request.subnet) if config else None
        if subnet is not None:
            space, first = subnet.space, subnet.prefix
            last = subnet.prefix | (0xFFFFFFFF >> subnet.length)
        return _Scan(space, token.after if token else first - 1, last, token.revision if token else 0)

    async def _read(self, scan: _Scan, size: int, matches: Matches) -> None:
        """One range: its matches join `scan.found`, and the next one is chosen by how much was there."""
        last = min(scan.after + scan.width, scan.last)
        start, end = self._rooms.keys.lease_range(scan.space, scan.after + 1, last)
        limit = min(BATCH, max(size - len(scan.found), _FEW))
        page = await self._rooms.store.get_range(start, end, revision=scan.revision, limit=limit, deadline=DEADLINE)
        scan.revision = scan.revision or page.revision
        records = page.records
        async for record in breathing(records):
            address = _address_of(record)
            if address is None:
                continue
            scan.after = address
            lease = _lease_of(record)
            if lease is not None and matches(lease):
                scan.found.append((address, lease, record.revision))
                if len(scan.found) >= size:
                    return
        if not page.more:
            scan.after = last
        scan.width = NARROW if len(records) >= _FEW else min(scan.width * 4, ADDRESSES)

    async def _of_client(self, space: str, octets: bytes) -> list[tuple[int, Lease, int]]:
        """The records that this node's view names for a client; etcd has the last word on each."""
        await_view(self._rooms)
        config, view = self._rooms.configuration.current, self._rooms.view
        keys = client_keys(octets)
        addresses: set[int] = set()
        async for number in breathing(list(config.subnets) if config else []):
            addresses.update(address for key in keys if (address := view.address_of(space, number, key)))
        return [each for each in await self._records(space, sorted(addresses)) if each[1].client in keys]

    async def _records(self, space: str, addresses: Sequence[int]) -> list[tuple[int, Lease, int]]:
        found = []
        for address in addresses:
            page = await self._rooms.store.get_range(
                *self._rooms.keys.lease_range(space, address, address), limit=1, deadline=DEADLINE
            )
            for record in page.records:
                lease = _lease_of(record)
                if lease is not None:
                    found.append((address, lease, record.revision))
        return found

    # --- choosing -----------------------------------------------------------------------------------------------------

    def _matcher(self, request: pb.ListLeasesRequest) -> Matches:
        tests: list[Matches] = []
        if request.subnet:
            tests.append(lambda lease: lease.subnet == request.subnet)
        if request.client:
            octets = octets_of(request.client, "client")
            keys = frozenset(client_keys(octets))
            tests.append(lambda lease: lease.client in keys or lease.hardware == octets)
        if request.state:
            tests.append(lambda lease: self._state(lease) == request.state)
        return lambda lease: all(test(lease) for test in tests)

    def _state(self, lease: Lease) -> pb.LeaseState:
        config = self._rooms.configuration.current
        return lease_state(lease, self._rooms.clock.now(), config.cluster.grace if config else None)

    def _message(self, space: str, address: int, lease: Lease, revision: int) -> pb.Lease:
        message = lease_message(space, address, lease, revision)
        message.state = self._state(lease)
        return message


def _address_of(record: KeyValue) -> int | None:
    return parse_address(record.key.rpartition(b"/")[2])


def _lease_of(record: KeyValue) -> Lease | None:
    """None for a record that nobody can read: the view keeps its address out of use, and says so."""
    try:
        return None if record.value is None else decode_lease(record.value)
    except BadRecord:
        return None
