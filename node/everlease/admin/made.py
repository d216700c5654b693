"""The reservations made by the API, held against a document that somebody wants in force.

The law of this file: what is checked is everything that was ever committed, and the document is put in force only if
nothing was made since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import PreconditionFailure

from everlease.admin.answers import Refusal
from everlease.admin.convert import dotted
from everlease.config.diff import identifier
from everlease.core.model import Config, Reservation, Subnet
from everlease.runtime.rooms import Rooms
from everlease.store.view import View

PATIENCE: Final = 2.0
"""Seconds for this node's view to show what is committed."""

_PERIOD: Final = 0.02
_STRIDE: Final = 200
_SHOWN: Final = 20


@dataclass(slots=True)
class Guarded:
    """What was found. expect: what the transaction that puts the document in force compares; clashes: for people."""

    expect: dict[bytes, int]
    clashes: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise Refusal if there is a clash."""
        if not self.clashes:
            return
        detail = PreconditionFailure()
        for line in self.clashes[:_SHOWN]:
            detail.violations.add(type="RESERVATIONS", subject="", description=line)
        words = f"{len(self.clashes)} reservations made by the API contradict the document, such as: {self.clashes[0]}"
        raise Refusal(Code.FAILED_PRECONDITION, f"{words}; nothing was changed", [detail])


async def guarded(rooms: Rooms, config: Config) -> Guarded:
    """Hold every API reservation against a configuration. Raises Refusal, Unavailable."""
    key = rooms.keys.reservations_changed
    page = await rooms.store.get_range(key, key + b"\0")
    changed = page.records[0].revision if page.records else 0
    await _seen(rooms.view, changed)
    found = Guarded({key: changed})
    for place, (space, made) in enumerate(_each(rooms.view), 1):
        if words := clash(config, space, made):
            found.clashes.append(words)
        if place % _STRIDE == 0:
            await asyncio.sleep(0)
    return found


async def _seen(view: View, revision: int) -> None:
    """Wait until the view has what was committed at a revision."""
    for _ in range(int(PATIENCE / _PERIOD)):
        if view.revision >= revision:
            return
        await asyncio.sleep(_PERIOD)
    raise Refusal(Code.UNAVAILABLE, "this node's view lags behind the store: ask again, or ask another node")


def _each(view: View) -> Iterator[tuple[str, Reservation]]:
    for space in view.reservation_spaces():
        for _, made in view.reservations(space):
            yield space, made


def clash(config: Config, space: str, made: Reservation) -> str:
    """Why a reservation cannot stand beside a configuration, "" = it can."""
    what = f"{identifier(made)}" + (f" at {dotted(made.address)}" if made.address else "")
    subnet = config.subnets.get(made.subnet)
    if subnet is None or subnet.space != space:
        return f"{what}: there is no subnet {made.subnet}"
    if made.address and not subnet.holds(made.address):
        return f"{what}: outside subnet {subnet.id}"
    if made.address in subnet.reserved:
        return f"{what}: the document keeps that address for {identifier(subnet.reserved[made.address])}"
    other = in_document(config, subnet, made)
    return f"{what}: the document has a reservation for the same client in subnet {other.subnet}" if other else ""


def in_document(config: Config, subnet: Subnet, made: Reservation) -> Reservation | None:
    """The document's reservation for the same client, in any subnet of the network."""
    for member in config.network_of[subnet.id].subnets:
        for kind in same_kinds(made.kind):
            found = member.reservations.get((kind, made.value, made.relay)) if member.reservations else None
            if found is not None:
                return found
    return None


def same_kinds(kind: str) -> tuple[str, ...]:
    """Kinds that name the same client by the same octets (RFC 2132 section 9.14)."""
    return ("hw-address", "client-id") if kind in ("hw-address", "client-id") else (kind,)
