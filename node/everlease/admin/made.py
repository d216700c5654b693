"""The reservations made by the API, held against the document in force, or one that somebody wants there.

The law of this file: what is checked is everything that was ever committed, and a document is put in force only if
nothing was made since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import PreconditionFailure

from everlease.admin.answers import Refusal, config_of
from everlease.admin.convert import dotted
from everlease.config.diff import identifier
from everlease.core.model import Config, Reservation, Subnet
from everlease.runtime.rooms import Rooms
from everlease.store.view import View

PATIENCE: Final = 2.0
"""Seconds for this node's view to show what is committed."""

NOTICED: Final = 0.5
LOADED: Final = 10.0
"""Seconds for this node's watch to bring a new configuration, and for this node to have read it."""

_PERIOD: Final = 0.02
_STRIDE: Final = 200
_SHOWN: Final = 20


@dataclass(slots=True)
class Guarded:
    """What was found, for people. expect: what the transaction that puts the document in force compares.

    clashes: reservations that contradict the document; homeless: those that it leaves without a subnet.
    """

    expect: dict[bytes, int]
    clashes: list[str] = field(default_factory=list)
    homeless: list[str] = field(default_factory=list)

    def check(self, *, force: bool) -> None:
        """Raise Refusal if there is a clash, which nobody can force, or a reservation that would have no subnet."""
        if self.clashes:
            raise _refusal("contradict the document", self.clashes)
        if self.homeless and not force:
            raise _refusal("would have no subnet (apply it with force to leave them so)", self.homeless)


async def settled(rooms: Rooms) -> Config:
    """This node's configuration, once it is the one in force: whoever has just applied one waits a moment for it.

    Raises Refusal, Unavailable. After LOADED seconds it is what this node has; compares decide.
    """
    configuration = rooms.configuration
    _, in_force = await configuration.documents.current()
    for turn in range(int(LOADED / _PERIOD)):
        config = config_of(rooms)
        noticed = configuration.seen == in_force or turn < NOTICED / _PERIOD
        if not noticed or config.mod_revision == in_force:
            break
        await asyncio.sleep(_PERIOD)
    return config


async def guarded(rooms: Rooms, config: Config) -> Guarded:
    """Hold every API reservation against a configuration. Raises Refusal, Unavailable."""
    key = rooms.keys.reservations_changed
    page = await rooms.store.get_range(key, key + b"\0")
    changed = page.records[0].revision if page.records else 0
    await _seen(rooms.view, changed)
    found = Guarded({key: changed})
    for place, (space, made) in enumerate(_each(rooms.view), 1):
        if words := homeless(config, space, made):
            found.homeless.append(words)
        elif words := clash(config, made):
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


def homeless(config: Config, space: str, made: Reservation) -> str:
    """Why a reservation is in no subnet of its own, "" = it is."""
    subnet = config.subnets.get(made.subnet)
    if subnet is None or subnet.space != space:
        return f"{_what(made)}: there is no subnet {made.subnet}"
    return f"{_what(made)}: outside subnet {subnet.id}" if made.address and not subnet.holds(made.address) else ""


def clash(config: Config, made: Reservation) -> str:
    """Why a reservation of a subnet that there is cannot stand beside the document's, "" = it can."""
    subnet, what = config.subnets[made.subnet], _what(made)
    if made.address in subnet.reserved:
        return f"{what}: the document keeps that address for {identifier(subnet.reserved[made.address])}"
    other = in_document(config, subnet, made)
    return f"{what}: the document has a reservation for the same client in subnet {other.subnet}" if other else ""


def _what(made: Reservation) -> str:
    return identifier(made) + (f" at {dotted(made.address)}" if made.address else "")


def _refusal(what: str, lines: list[str]) -> Refusal:
    detail = PreconditionFailure()
    for line in lines[:_SHOWN]:
        detail.violations.add(type="RESERVATIONS", subject="", description=line)
    words = f"{len(lines)} reservations made by the API {what}, such as: {lines[0]}; nothing was changed"
    return Refusal(Code.FAILED_PRECONDITION, words, [detail])


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
