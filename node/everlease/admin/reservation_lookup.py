"""Where reservations are found: in the document by subnet and name, in etcd by record; and which of them are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from everlease.admin.pages import breathing
from everlease.admin.reservation_messages import NONE, of_record, word_of
from everlease.config.diff import octets_text
from everlease.core.model import Config, Reservation
from everlease.core.select import subnet_of
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from everlease.store.api import KeyValue
from everlease.store.keys import parse_address
from everlease.store.records import BadRecord, decode_reservation, decode_reservation_record

BREATH = 2000
"""Reservations looked at between two turns of the loop."""

Matches = Callable[[Reservation], bool]


def matcher(request: pb.ListReservationsRequest) -> Matches:
    """The filters of a listing as one question."""
    tests: list[Matches] = []
    if request.subnet:
        tests.append(lambda kept: kept.subnet == request.subnet)
    if request.client:
        text = request.client.casefold()
        try:
            octets = bytes.fromhex(text.removeprefix("0x").replace(":", "").replace("-", ""))
        except ValueError:
            octets = b""
        tests.append(
            lambda kept: (
                (octets and octets in (kept.value, kept.value[1:] if kept.kind == "hw-address" else None))
                or text in (kept.hostname.casefold(), octets_text(kept.kind, kept.value).casefold())
            )
        )
    return lambda kept: all(test(kept) for test in tests)


def rest_of(config: Config, space: str, passed: int) -> Iterator[Reservation]:
    """The document's reservations of a space, by subnet, but for those passed."""
    for number in sorted(config.subnets):
        subnet = config.subnets[number]
        if subnet.space != space:
            continue
        if passed >= len(subnet.reservations):
            passed -= len(subnet.reservations)
            continue
        yield from list(subnet.reservations.values())[passed:]
        passed = 0


def readable(space: str, word: bytes, each: KeyValue, matches: Matches) -> pb.Reservation | None:
    """A record that matches; None for one that does not, or that nobody can read."""
    try:
        if matches(decode_reservation(each.value or b"", each.revision)):
            return of_record(space, word, decode_reservation_record(each.value or b""), each.revision)
    except BadRecord:
        return None
    return None


async def in_document(config: Config, space: str, word: bytes) -> Reservation | None:
    """The document's reservation of that name."""
    address = parse_address(word)
    if address:
        home = subnet_of(config, address)
        if home is None or home.space != space:  # another tenant's, in another space; all are looked at
            home = next((each for each in config.subnets.values() if each.space == space and each.holds(address)), None)
        return home.reserved.get(address) if home is not None else None
    number = word.removeprefix(NONE).partition(b"-")[0]
    subnet = config.subnets.get(int(number)) if number.isdigit() else None
    if subnet is None or subnet.space != space:
        return None
    async for kept in breathing(list(subnet.reservations.values()), BREATH):
        if not kept.address and word_of(kept) == word:
            return kept
    return None
