"""What becomes of a lease of a backup: pure rules over what is there now.

Law: no live promise is shortened. A record is written where there is none, or where the one that is there promises
nothing any more, or where it is the same client's and ends earlier. Another client's live record stays; and so does a
client's live binding of another address in the same network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from everlease.core.actions import GRANT, Change
from everlease.core.lifecycle import BOUND, DECLINED, NOBODY, OFFERED, Lease, Row, is_active, is_reusable
from everlease.core.model import Config, Reservation
from everlease.store.records import row_of

ADDED, EXTENDED, KEPT, SKIPPED, TAKEN, MOVED = range(6)
"""Written where nothing was promised; written over an earlier end; as good or better there already; no promise, and
more is known; another client's address now (conflict); the client has another address now (conflict)."""


class Shelf(Protocol):
    """What is there now, as `store.view` knows it."""

    def row(self, space: str, address: int) -> Row | None:
        """The record of an address."""

    def address_of(self, space: str, subnet: int, client: bytes) -> int:
        """The address that the client's index names; 0 = none."""

    def reservation_at(self, space: str, address: int) -> Reservation | None:
        """The API reservation on an address."""


@dataclass(frozen=True, slots=True)
class Times:
    """now: cluster time, the later clock; reuse_now: the earlier one; margin: the cluster's clock margin, seconds."""

    now: float
    reuse_now: float
    margin: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a record. change: to be committed for ADDED and EXTENDED; other: the address it is about."""

    kind: int
    change: Change | None = None
    other: int = 0


_KEPT: Final = Verdict(KEPT)
_SKIPPED: Final = Verdict(SKIPPED)
_TAKEN: Final = Verdict(TAKEN)


class Rules:
    """The rules on one configuration (None: there is none yet)."""

    def __init__(self, shelf: Shelf, config: Config | None) -> None:
        self._shelf = shelf
        self._config = config

    def judge(self, space: str, address: int, lease: Lease, times: Times) -> Verdict:
        """What becomes of the record of an address."""
        row = self._shelf.row(space, address)
        promises = lease.state != OFFERED and not is_reusable(row_of(lease, 0), times.now, 0)
        if lease.state == OFFERED or (row is not None and not promises):
            return _SKIPPED
        stays = _stays(row, lease, times) if row is not None else None
        if stays is not None:
            return stays
        lease = _for_now(lease, times.now)
        entries = self._entries(space, lease)
        others = [held for _, held in entries if held not in (0, address)]
        if others and not promises:
            return _SKIPPED
        bound = next((held for held in others if self._binds(space, held, lease.client, times.now)), 0)
        if bound:
            return Verdict(MOVED, other=bound)
        extends = row is not None and row.client == lease.client and is_active(row, times.now)
        return Verdict(EXTENDED if extends else ADDED, self._change(space, address, lease, entries))

    def _binds(self, space: str, address: int, client: bytes, now: float) -> bool:
        row = self._shelf.row(space, address)
        return row is not None and row.client == client and row.state == BOUND and is_active(row, now)

    def _entries(self, space: str, lease: Lease) -> tuple[tuple[int, int], ...]:
        """The client's index entries in its network: (subnet id, address or 0)."""
        if lease.client == NOBODY:
            return ()
        network = self._config.network_of.get(lease.subnet) if self._config is not None else None
        subnets = {lease.subnet, *(each.id for each in network.subnets if each.space == space)} if network else ()
        numbers = sorted(subnets or {lease.subnet})
        return tuple((number, self._shelf.address_of(space, number, lease.client)) for number in numbers)

    def _change(self, space: str, address: int, lease: Lease, entries: tuple[tuple[int, int], ...]) -> Change:
        row = self._shelf.row(space, address)
        made = self._shelf.reservation_at(space, address)
        return Change(
            GRANT,
            space,
            address,
            lease.subnet,
            lease.client,
            row.revision if row is not None else 0,
            lease,
            indexes=entries,
            puts_index=lease.client != NOBODY,
            displaced=self._displaced(space, address, lease, row),
            reservation=made.revision if made is not None else 0,
            seen=self._seen(space, address, entries),
        )

    def _displaced(self, space: str, address: int, lease: Lease, row: Row | None) -> tuple[bytes, int] | None:
        """The index entry of who had the address, if it still names it."""
        if row is None or row.client == NOBODY or (row.client == lease.client and row.subnet == lease.subnet):
            return None
        named = self._shelf.address_of(space, row.subnet, row.client)
        return (row.client, row.subnet) if named == address else None

    def _seen(self, space: str, address: int, entries: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """The records that the client's other entries name: they do not bind it, and that must still be so."""
        rows = [(held, self._shelf.row(space, held)) for _, held in entries if held not in (0, address)]
        return tuple((held, row.revision if row is not None else 0) for held, row in dict(rows).items())


def _stays(row: Row, lease: Lease, times: Times) -> Verdict | None:
    """KEPT or TAKEN if the record that is there stays, whatever else is known."""
    live = row.state in (BOUND, DECLINED) and times.now < row.expires_at
    if row.state == lease.state == DECLINED and live:
        return _KEPT
    if row.client != lease.client:
        return None if is_reusable(row, times.reuse_now, times.margin) else _TAKEN
    if row.state != OFFERED and row.expires_at >= lease.expires_at:
        return _KEPT
    return _KEPT if live and row.state != lease.state else None


def _for_now(lease: Lease, now: float) -> Lease:
    """The record to write. An address on probation is in nobody's name: its client has had another one since.

    A grant in the future would make every node doubt its clock.
    """
    granted_at = min(lease.granted_at, int(now))
    client = NOBODY if lease.state == DECLINED else lease.client
    return msgspec.structs.replace(lease, granted_at=granted_at, client=client)
