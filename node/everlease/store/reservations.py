"""Reservations that were made by the API, in memory; those of the configuration are in its compiled form.

Law: as with leases, only newer revisions apply. Pure.
"""

from __future__ import annotations

from everlease.core.model import Reservation
from everlease.store.api import KeyValue
from everlease.store.records import BadRecord, decode_reservation


class ReservationTable:
    """One address space's API reservations: by key word, by address, by identifier, and as masks per /24."""

    __slots__ = ("_by_address", "_by_identifier", "_by_word", "_gone", "_masks")

    def __init__(self) -> None:
        self._by_word: dict[bytes, Reservation] = {}
        self._by_address: dict[int, Reservation] = {}
        self._by_identifier: dict[tuple[int, str, bytes, int], Reservation] = {}
        self._masks: dict[int, int] = {}
        self._gone: dict[bytes, int] = {}

    def put(self, word: bytes, reservation: Reservation) -> None:
        """What etcd has under the last words of its key (`0a4d1001` or `none/...`) since reservation.revision."""
        known = self._by_word.get(word)
        newest = known.revision if known else self._gone.get(word, 0)
        if reservation.revision <= newest:
            return
        self._remove(word)
        self._gone.pop(word, None)
        self._by_word[word] = reservation
        key = (reservation.subnet, reservation.kind, reservation.value, reservation.relay)
        self._by_identifier[key] = reservation
        if reservation.address:
            self._by_address[reservation.address] = reservation
            block, bit = reservation.address >> 8, 1 << (reservation.address & 255)
            self._masks[block] = self._masks.get(block, 0) | bit

    def delete(self, word: bytes, revision: int) -> None:
        """It is gone since `revision` or earlier."""
        known = self._by_word.get(word)
        if known is None or known.revision < revision:
            self._remove(word)
            self._gone[word] = max(revision, self._gone.get(word, 0))

    def _remove(self, word: bytes) -> None:
        old = self._by_word.pop(word, None)
        if old is None:
            return
        key = (old.subnet, old.kind, old.value, old.relay)
        if self._by_identifier.get(key) is old:
            del self._by_identifier[key]
        if old.address and self._by_address.get(old.address) is old:
            del self._by_address[old.address]
            block = old.address >> 8
            self._masks[block] &= ~(1 << (old.address & 255))

    def keep_only(self, words: set[bytes], revision: int) -> None:
        """A listing at `revision` showed these; what else is not newer is gone."""
        for word in [word for word, known in self._by_word.items() if word not in words and known.revision <= revision]:
            self.delete(word, revision)

    def forget_tombstones(self, revision: int) -> None:
        """The watch has passed `revision`."""
        if self._gone:
            self._gone = {word: gone for word, gone in self._gone.items() if gone > revision}

    def at(self, address: int) -> Reservation | None:
        """The reservation on an address."""
        return self._by_address.get(address)

    def of(self, subnet: int, kind: str, value: bytes, relay: int) -> Reservation | None:
        """The reservation for an identifier in a subnet."""
        return self._by_identifier.get((subnet, kind, value, relay))

    def named(self, word: bytes) -> Reservation | None:
        """The reservation under the last words of a key."""
        return self._by_word.get(word)

    def all(self) -> list[tuple[bytes, Reservation]]:
        """Every one, with the last words of its key. They are values: the list stays true to its moment."""
        return list(self._by_word.items())

    def mask(self, block: int) -> int:
        """Mask of a /24's reserved addresses."""
        return self._masks.get(block, 0)

    def __len__(self) -> int:
        return len(self._by_word)


class ReservationView:
    """What a node's view knows of them: a table for each space that there ever were any in."""

    unreadable: int
    _reservations: dict[str, ReservationTable]

    def has_reservations(self, space: str) -> bool:
        """Whether there is any API reservation in a space."""
        return bool(self._reservations.get(space))

    def reservation_at(self, space: str, address: int) -> Reservation | None:
        """The API reservation on an address, or None."""
        table = self._reservations.get(space)
        return table.at(address) if table is not None else None

    def reservation_of(self, space: str, subnet: int, kind: str, value: bytes, relay: int) -> Reservation | None:
        """The API reservation for an identifier in a subnet, or None."""
        table = self._reservations.get(space)
        return table.of(subnet, kind, value, relay) if table is not None else None

    def reservation_named(self, space: str, word: bytes) -> Reservation | None:
        """The API reservation under the last words of its key, or None."""
        table = self._reservations.get(space)
        return table.named(word) if table is not None else None

    def reservations(self, space: str) -> list[tuple[bytes, Reservation]]:
        """Every API reservation of a space, with the last words of its key."""
        table = self._reservations.get(space)
        return table.all() if table is not None else []

    def reservation_spaces(self) -> list[str]:
        """Spaces that API reservations are known in."""
        return list(self._reservations)

    def reserved(self, space: str, block: int) -> int:
        """Mask of the addresses of a /24 that API reservations keep."""
        table = self._reservations.get(space)
        return table.mask(block) if table is not None else 0

    def _apply_reservation(self, space: str, word: bytes, record: KeyValue) -> None:
        table = self._reservations.setdefault(space, ReservationTable())
        if record.value is None:
            table.delete(word, record.revision)
            return
        try:
            table.put(word, decode_reservation(record.value, record.revision))
        except BadRecord:
            self.unreadable += 1
