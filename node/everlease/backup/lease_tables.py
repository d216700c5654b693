"""Leases as a table, out of a cluster and into one.

Law: an import is a backup that comes from no cluster (revision 0), so the rules of a restore hold for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address
from typing import Final

import msgspec

from everlease import __version__
from everlease.backup import lines
from everlease.backup.lines import Damaged
from everlease.backup.tables import Row, number_of, octets_of, read, time_of, time_text
from everlease.core.identity import TAG_HARDWARE
from everlease.core.lifecycle import BOUND, STATE_NAMES, Lease
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.store.records import encode_lease

COLUMNS: Final = (
    "address", "client", "hardware_address", "state", "subnet", "granted", "expires", "valid_lifetime", "hostname",
    "relay", "relay_information", "space", "node", "config_revision",
)  # fmt: skip
"""address: dotted; client: key in hexadecimal; granted, expires: ISO 8601, the end with its grace; valid_lifetime: as
told, seconds; relay_information: option 82 in hexadecimal."""

_ETHERNET: Final = b"\x01"
_STATES: Final = {name: number for number, name in enumerate(STATE_NAMES)} | {"grace": BOUND, "expired": BOUND}
_GATHERED: Final = 500


def row_of(lease: pb.Lease) -> dict[str, str]:
    """A lease as ListLeases shows it."""
    return {
        "address": lease.address,
        "client": lease.client,
        "hardware_address": lease.hardware_address,
        "state": pb.LeaseState.Name(lease.state).removeprefix("LEASE_STATE_").lower(),
        "subnet": str(lease.subnet),
        "granted": time_text(lease.grant_time.seconds),
        "expires": time_text(lease.expire_time.seconds),
        "valid_lifetime": str(lease.valid_lifetime.seconds),
        "hostname": lease.hostname,
        "relay": lease.relay,
        "relay_information": lease.relay_information.hex(),
        "space": lease.space,
        "node": lease.node,
        "config_revision": str(lease.config_revision),
    }


def leases(text: str, now: float) -> list[lines.Lease]:
    """The leases of a table. Raises Damaged for the first that cannot be. now: seconds UTC.

    An address needs a client (or a hardware address, of Ethernet), a subnet and an end; offers are left out.
    """
    found: dict[tuple[str, str], lines.Lease] = {}
    for number, row in read(text, COLUMNS):
        if row.get("state") == "offered":
            continue
        try:
            line = _lease(row, now)
        except (ValueError, AddressValueError) as bad:
            raise Damaged(number, str(bad)) from bad
        if (line.space, line.address) in found:
            raise Damaged(number, f"{line.address} comes a second time")
        found[line.space, line.address] = line
    return list(found.values())


def _lease(row: Row, now: float) -> lines.Lease:
    hardware = octets_of(row, "hardware_address")
    client = octets_of(row, "client") or (TAG_HARDWARE + _ETHERNET + hardware if hardware else b"")
    if not client:
        raise ValueError("neither client nor hardware_address says whose it is")
    state = _STATES.get(row.get("state") or "bound")
    if state is None:
        raise ValueError(f"{row['state']!r} is no state: {', '.join(_STATES)}")
    expires = time_of(row, "expires")
    if expires is None:
        raise ValueError("expires is missing")
    record = Lease(
        client=client,
        hardware=hardware,
        state=state,
        granted_at=time_of(row, "granted") or int(now),
        expires_at=expires,
        valid=number_of(row, "valid_lifetime", None, 0xFFFFFFFF),
        subnet=number_of(row, "subnet", None, 0xFFFFFFFF),
        hostname=row.get("hostname", ""),
        relay=octets_of(row, "relay_information"),
        giaddr=int(IPv4Address(row["relay"])) if row.get("relay") else 0,
        node=row.get("node", ""),
        config=number_of(row, "config_revision", 0, 1 << 53),
    )
    address = str(IPv4Address(row.get("address", "")))
    return lines.Lease(row.get("space") or "default", address, msgspec.Raw(encode_lease(record)))


def backup_of(rows: Iterable[lines.Lease], now: float) -> Iterator[bytes]:
    """A backup that holds nothing but these leases, for RestoreBackup."""
    writer = lines.Writer()
    saved_at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    yield writer.write([lines.Header(lines.VERSION, saved_at, software=__version__)])
    gathered: list[lines.Lease] = []
    for row in rows:
        gathered.append(row)
        if len(gathered) == _GATHERED:
            yield writer.write(gathered)
            gathered.clear()
    yield writer.write(gathered)
    yield writer.end()
