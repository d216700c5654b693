"""Backups by hand."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from everlease.backup import lines
from everlease.core.lifecycle import BOUND, Lease
from everlease.store.configuration import digest_of
from everlease.store.records import Current, ReservationRecord, dotted, encode, encode_lease

NOW = 1_800_000_000
POOL = 0x0A4D1000
DOCUMENT = (
    "schema: 1\n# as it was written: ü\nsubnets: [{id: 1, prefix: 10.77.0.0/16, pools: [{range: 10.77.16.0/24}]}]\n"
)


def lease(number: int, ends: float = 1800, state: int = BOUND) -> Lease:
    """A lease of client `number` that ends so many seconds after NOW."""
    hardware = b"\x02\x00" + number.to_bytes(4, "big")
    return Lease(b"\x02\x01" + hardware, hardware, state, NOW - 100, int(NOW + ends), 3600, 1, f"host-{number}")


def head() -> lines.Header:
    return lines.Header(lines.VERSION, "2027-01-15T08:00:00+00:00", 42, "cdf818194e3a8c32", "n1", "0.1.0")


def rows(leases: Iterable[tuple[int, Lease]]) -> list[lines.Line]:
    return [lines.Lease("default", dotted(at), msgspec.Raw(encode_lease(each))) for at, each in leases]


def configuration(text: str = DOCUMENT) -> list[lines.Line]:
    record = Current(3, 1, "anna", "why", NOW - 5.0, digest_of(text))
    return [lines.Configuration(msgspec.Raw(encode(record))), *lines.document(text)]


def reservation(number: int = 1) -> lines.Line:
    record = ReservationRecord("hw-address", f"010200000000{number:02x}", 1, address=f"10.77.0.{number}")
    return lines.Reservation("default", f"0a4d00{number:02x}", msgspec.Raw(encode(record)))


def backup(several: Iterable[lines.Line] | None = None) -> bytes:
    """A whole one: a configuration, a reservation, a drain and three leases, unless told otherwise."""
    writer = lines.Writer()
    drain = lines.Drain("n2", msgspec.Raw(b'{"by":"anna","at":1.0}'))
    usual = [*configuration(), reservation(), drain, *rows((POOL + n, lease(n)) for n in range(3))]
    return writer.write([head(), *(usual if several is None else several)]) + writer.end()
