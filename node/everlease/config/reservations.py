"""A subnet's reservations -> `model.Reservation`, by identifier and by address.

The law of this file: one client is matched by one reservation at most, and one address kept for one client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from everlease.config.levels import Compiler
from everlease.config.problems import Path
from everlease.config.ranges import Range
from everlease.config.values import show
from everlease.core.model import Parameters, Reservation

if TYPE_CHECKING:
    from everlease.config import schema

KINDS: Final = ("hw-address", "client-id", "circuit-id", "remote-id")
_FIELDS: Final = tuple((kind, kind.replace("-", "_")) for kind in KINDS)

Key = tuple[str, bytes, int]


@dataclass(slots=True)
class Kept:
    """The reservations of one subnet."""

    by_key: dict[Key, Reservation] = field(default_factory=dict)
    by_address: dict[int, Reservation] = field(default_factory=dict)


@dataclass(slots=True)
class Taken:
    """Where each identifier of a network and each address of a space was first reserved, to name the other place."""

    identifiers: dict[tuple[str, Key], Path] = field(default_factory=dict)
    addresses: dict[tuple[str, int], Path] = field(default_factory=dict)


@dataclass(slots=True)
class Place:
    """The subnet around a reservation. network: what tells networks apart ("" + id for a subnet by itself)."""

    subnet: int
    space: str
    network: str
    span: Range
    unusable: frozenset[int]
    prefix: str
    above: Sequence[Parameters]


def compile_reservations(
    listed: Sequence[schema.Reservation], path: Path, place: Place, compiler: Compiler, taken: Taken
) -> Kept:
    """Compile and check the reservations of one subnet; `path` is the list's."""
    kept = Kept()
    for position, entry in enumerate(listed):
        here = (*path, position)
        found = [(kind, value) for kind, name in _FIELDS if (value := getattr(entry, name)) is not None]
        if len(found) != 1:
            said = " and ".join(kind for kind, _ in found) or "none"
            compiler.report.add(here, f"write exactly one of {', '.join(KINDS)}; given: {said}")
            continue
        reservation = _reservation(entry, found[0], here, place, compiler)
        _keep(reservation, here, place, compiler, taken)
        kept.by_key[reservation.kind, reservation.value, reservation.relay] = reservation
        if reservation.address:
            kept.by_address[reservation.address] = reservation
    return kept


def _reservation(
    entry: schema.Reservation, found: tuple[str, bytes], here: Path, place: Place, compiler: Compiler
) -> Reservation:
    return Reservation(
        kind=found[0],
        value=found[1],
        relay=entry.relay or 0,
        address=entry.address or 0,
        subnet=place.subnet,
        hostname=entry.hostname or "",
        parameters=compiler.parameters(entry, here, place.above),
    )


def _keep(reservation: Reservation, here: Path, place: Place, compiler: Compiler, taken: Taken) -> None:
    report = compiler.report
    same = _same_client(reservation)
    other = taken.identifiers.setdefault((place.network, same), here)
    if other is not here:
        report.add(here, "the same client is reserved at {other} as well; keep one of them", other)
    address = reservation.address
    if not address:
        return
    if not place.span[0] <= address <= place.span[1]:
        report.add((*here, "address"), f"{show(address)} is outside the prefix {place.prefix}; move one of them")
    elif address in place.unusable:
        report.add((*here, "address"), f"{show(address)} is the subnet's network or broadcast address; take another")
    other = taken.addresses.setdefault((place.space, address), here)
    if other is not here:
        report.add((*here, "address"), f"{show(address)} is reserved at {{other}} as well; take another", other)


def _same_client(reservation: Reservation) -> Key:
    """Most clients' identifier is their hardware type and address (RFC 2132 section 9.14): that is the same client."""
    kind = "hw-address" if reservation.kind == "client-id" else reservation.kind
    return kind, reservation.value, reservation.relay
