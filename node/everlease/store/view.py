"""A node's copy of everything that it watches in etcd: leases, API reservations, presence, the revision in force.

Law: the view only chooses a candidate, a commit decides. It takes records from four sources (a listing, the watch, own
commits, the failure branch of a refused change) and whatever their order, the newest revision of each key wins. Pure:
`loader` does the input and output, the runtime tells the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from everlease.core.actions import Change
from everlease.core.identity import NOWHERE, Circuit
from everlease.core.lifecycle import Row
from everlease.store.api import KeyValue, Result
from everlease.store.ghosts import Ghosts
from everlease.store.keys import CONFIG, DRAINS, LEASES, NODES, RESERVATIONS, Keys, parse_address
from everlease.store.leases import DECLINE, LeaseTable, Usage
from everlease.store.records import (
    UNREADABLE,
    BadRecord,
    Current,
    Presence,
    circuit_of_lease,
    decode_circuit,
    decode_presence,
    decode_row,
    read_current,
    row_of,
    unreadable_row,
)  # fmt: skip
from everlease.store.reservations import ReservationView

SLICE = 200
"""Rows per slice: 200 take about half a millisecond, and nothing may hold the loop longer than 2 ms."""


@dataclass(slots=True)
class Peer:
    """A node's presence as etcd has it. revision: mod revision; version: how often it was put since it was created."""

    name: str
    presence: Presence
    revision: int
    version: int


@dataclass(slots=True)
class Listing:
    """What a load has shown so far: everything else that is not newer than `revision` is dropped at its end.

    in_place: there were rows before; which leases it showed is in the tables (`LeaseTable.seen`).
    """

    revision: int
    in_place: bool
    reservations: dict[str, set[bytes]] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)


class View(ReservationView):
    """Implements `core.situation.View`, together with what it inherits.

    revision: the last complete one that the watch or a load has brought; loads: how often it was read as a whole.
    current, config_revision: what `config/current` says and its mod revision (0: there is none). nodes: presence by
    node name. unreadable: records that could not be decoded so far. repairs: leases that a load corrected although the
    watch had passed them: it had lost an event. newest_grant: the latest `granted_at` seen, seconds UTC.
    on_presence(name, peer or None), on_config(current or None, mod revision) and on_drain(name, drained) are called
    when one of them changed; each may be replaced. counts_circuits: whether a limit asks for `circuit_leases`.
    """

    def __init__(self, keys: Keys, now: float = 0.0, margin: float = 5.0, grace: int | None = None) -> None:
        self.keys = keys
        self.revision = 0
        self.loads = 0
        self.current: Current | None = None
        self.config_revision = 0
        self.nodes: dict[str, Peer] = {}
        self.unreadable = 0
        self.repairs = 0
        self.newest_grant = 0
        self.ghosts: Ghosts | None = None
        self.on_presence: Callable[[str, Peer | None], None] = _ignore
        self.on_config: Callable[[Current | None, int], None] = _ignore
        self.on_drain: Callable[[str, bool], None] = _ignore
        self.counts_circuits = False
        self.on_coming: Callable[[Current | None], None] = _ignore
        self._now = now
        self._margin = margin
        self._grace = grace
        self._clear()

    def _clear(self) -> None:
        self.usage = Usage()
        self._tables: dict[str, LeaseTable] = {}
        self._by_prefix: dict[bytes, LeaseTable] = {}
        self._reservations = {}
        self._gone_nodes: dict[str, int] = {}
        self._drains: dict[str, tuple[int, bool]] = {}
        self._listing: Listing | None = None

    # --- what core reads -------------------------------------------------------------------------------------------

    def row(self, space: str, address: int) -> Row | None:
        """The record of an address, or None."""
        table = self._tables.get(space)
        return table.rows.get(address) if table is not None else None

    def address_of(self, space: str, subnet: int, client: bytes) -> int:
        """The address that the client's index under this subnet names; 0 = none."""
        table = self._tables.get(space)
        return table.index.address_of(subnet, client) if table is not None else 0

    def taken(self, space: str, block: int) -> int:
        """Mask of the addresses of a /24 that may not be granted afresh."""
        table = self._tables.get(space)
        return table.taken(block) if table is not None else 0

    def full(self, space: str, region: int) -> int:
        """Mask of the blocks of a /16 in which every address is taken."""
        table = self._tables.get(space)
        return table.full(region) if table is not None else 0

    def used(self, subnet: int) -> int:
        """How many addresses of a subnet are not free."""
        return self.usage.used(subnet)

    def declined(self, subnet: int) -> int:
        """How many addresses of a subnet are on probation."""
        return self.usage.of(subnet)[DECLINE]

    def circuit_leases(self, space: str, circuit: Circuit, now: float) -> int:
        """How many addresses are bound where a circuit ends, as far as that is counted."""
        table = self._tables.get(space)
        return table.circuits.count(circuit, now) if table is not None else 0

    # --- what others read ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(len(table.rows) for table in self._tables.values())

    def rows(self, space: str) -> Mapping[int, Row]:
        """All rows of a space. They change, and a million are many: walk them in slices."""
        return self.table(space).rows

    def spans(self, space: str, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """(first, last) of ranges that make up the whole one, each with about `most` rows when it is asked for.

        For who reads etcd: it counts whatever a range holds beyond its limit, and lets no writer in meanwhile.
        """
        while first <= last:
            table = self._tables.get(space)
            end = min(table.rows.reach(first, most), last) if table is not None else last
            yield first, end
            first = end + 1

    def spaces(self) -> list[str]:
        """Spaces that are known so far."""
        return list(self._tables)

    def table(self, space: str) -> LeaseTable:
        """The leases of a space."""
        table = self._tables.get(space)
        if table is None:
            table = self._tables[space] = LeaseTable(self.usage, self._now, self._margin, self._grace)
            self._by_prefix[self.keys.leases(space)] = table
        return table

    # --- time ------------------------------------------------------------------------------------------------------

    def configure(self, margin: float, grace: int | None) -> None:
        """Clock margin in seconds, and the configured grace (None = auto), as of a new configuration."""
        self._margin, self._grace = margin, grace
        for table in self._tables.values():
            table.configure(margin, grace)

    def advance(self, now: float, limit: int = SLICE) -> bool:
        """Let time pass (cluster time, the clock that permits reuse); True: call again soon, more has ended."""
        self._now = now
        left = limit
        for table in self._tables.values():
            left -= table.advance(now, left)
            if left <= 0:
                return True
        return False

    # --- records ---------------------------------------------------------------------------------------------------

    def apply(self, record: KeyValue) -> bool:
        """One record or deletion of the watch; False if it changed nothing because something newer is known."""
        key = record.key
        table = self._by_prefix.get(key[:-8])
        if table is not None:
            address = parse_address(key[-8:])
            return address is not None and self._apply_lease(table, address, record)
        words = self.keys.parse(key)
        if len(words) == 4 and words[0] == LEASES and words[2] == b"4":
            address = parse_address(words[3])
            return address is not None and self._apply_lease(self.table(words[1].decode()), address, record)
        if len(words) >= 4 and words[0] == RESERVATIONS and words[2] == b"4":
            self._apply_reservation(words[1].decode(), b"/".join(words[3:]), record)
        elif len(words) == 2 and words[0] == NODES:
            self._apply_presence(words[1].decode(), record)
        elif len(words) == 2 and words[0] == DRAINS:
            self._apply_drain(words[1].decode(), record)
        elif words == (CONFIG, b"current"):
            self._apply_config(record)
        elif words == (CONFIG, b"coming"):
            self.on_coming(None if record.value is None else read_current(record.value))
        return True

    def _apply_lease(self, table: LeaseTable, address: int, record: KeyValue) -> bool:
        if record.value is None:
            gone = table.delete(address, record.revision)
            if gone and self.counts_circuits:
                table.circuits.note(address, NOWHERE, 0)
            return gone
        known = table.rows.get(address)
        if known is not None and record.revision <= known.revision:
            return False
        try:
            row, granted_at = decode_row(record.value, record.revision)
            self.newest_grant = max(self.newest_grant, granted_at)
        except BadRecord:
            self.unreadable += 1
            row = unreadable_row(record.revision)
        put = table.put(address, row)
        if put and self.counts_circuits:
            table.circuits.note(address, *decode_circuit(record.value))
        return put

    def _apply_presence(self, name: str, record: KeyValue) -> None:
        known = self.nodes.get(name)
        newest = known.revision if known else self._gone_nodes.get(name, 0)
        if record.revision <= newest:
            return
        if record.value is None:
            self._gone_nodes[name] = record.revision
            if self.nodes.pop(name, None) is not None:
                self.on_presence(name, None)
            return
        try:
            presence = decode_presence(record.value)
        except BadRecord:
            self.unreadable += 1
            return
        peer = self.nodes[name] = Peer(name, presence, record.revision, record.version)
        self.on_presence(name, peer)

    def _apply_drain(self, name: str, record: KeyValue) -> None:
        revision, was_drained = self._drains.get(name, (0, False))
        if record.revision > revision:
            is_drained = record.value is not None
            self._drains[name] = record.revision, is_drained
            if is_drained != was_drained:
                self.on_drain(name, is_drained)

    def _apply_config(self, record: KeyValue) -> None:
        if record.revision <= self.config_revision:
            return
        self.current = None if record.value is None else read_current(record.value)
        self.unreadable += self.current is UNREADABLE
        self.config_revision = 0 if record.value is None else record.revision
        self.on_config(self.current, self.config_revision)

    # --- own transactions ------------------------------------------------------------------------------------------

    def committed(self, change: Change, revision: int) -> None:
        """Write an own change through: it succeeded in the transaction with this header revision."""
        table = self.table(change.space)
        if change.moved is not None:
            table.put(change.moved.address, row_of(change.moved.lease, revision))
        if change.lease is not None:
            put = table.put(change.address, row_of(change.lease, revision))
            if put and self.counts_circuits:
                table.circuits.note(change.address, *circuit_of_lease(change.lease))
            self.newest_grant = max(self.newest_grant, change.lease.granted_at)
        if change.displaced is not None:
            client, subnet = change.displaced
            if table.index.address_of(subnet, client) == change.address:
                table.index.correct(subnet, client, 0)

    def removed(self, space: str, address: int, revision: int) -> None:
        """Write an own removal through (the sweeper's)."""
        self.table(space).delete(address, revision)

    def refresh(self, names: Sequence[bytes], result: Result, revision: int) -> None:
        """Take over what a refused change brought back: its keys as they are at the header's revision."""
        found = {record.key: record for record in result.found}
        for key in names:
            record = found.get(key)
            client = self.keys.parse_client(key)
            if client is not None:
                self._refresh_index(client, record)
            else:
                self.apply(record or KeyValue(key, None, revision))

    def _refresh_index(self, client: tuple[str, int, bytes], record: KeyValue | None) -> None:
        space, subnet, key = client
        address = parse_address(record.value) if record is not None and record.value else None
        self.table(space).index.correct(subnet, key, address or 0)

    def passed(self, revision: int) -> None:
        """The watch has brought everything up to `revision`."""
        self.revision = max(revision, self.revision)
        if self._listing is not None:
            return  # it may still show what has been deleted since
        for table in self._tables.values():
            table.forget_tombstones(revision)
        for reservations in self._reservations.values():
            reservations.forget_tombstones(revision)

    # --- loading ---------------------------------------------------------------------------------------------------

    def begin(self, revision: int) -> Listing:
        """A load at this revision begins; the watch may go on meanwhile. A load that began before is forgotten."""
        self._listing = Listing(revision, in_place=len(self) > 0)
        for table in self._tables.values():
            table.seen.clear()
        return self._listing

    def abandon(self, listing: Listing) -> None:
        """The load has ended, done or not."""
        if self._listing is listing:
            self._listing = None

    def listed(self, listing: Listing, records: Sequence[KeyValue]) -> None:
        """Some records of a load."""
        for record in records:
            table = self._by_prefix.get(record.key[:-8])
            address = parse_address(record.key[-8:]) if table is not None else None
            if table is None or address is None:
                self._listed_other(listing, record)
                continue
            if self._apply_lease(table, address, record) and record.revision <= self.revision:
                self.repairs += 1
            if listing.in_place:
                table.seen[address >> 8] = table.seen.get(address >> 8, 0) | 1 << (address & 255)

    def _listed_other(self, listing: Listing, record: KeyValue) -> None:
        """Not a lease, or the first one of its space."""
        self.apply(record)
        words = self.keys.parse(record.key)
        if words[0] == LEASES and record.key[:-8] in self._by_prefix:
            self.listed(listing, [record])
        elif words[0] == RESERVATIONS:
            listing.reservations.setdefault(words[1].decode(), set()).add(b"/".join(words[3:]))
        elif words[0] == NODES:
            listing.nodes.add(words[1].decode())
        elif words[0] == DRAINS:
            listing.drained.add(words[1].decode())

    def finish(self, listing: Listing) -> Iterator[None]:
        """Drop what the listing lacks and is not newer; yields after each slice of rows."""
        for name in [
            n for n, peer in self.nodes.items() if n not in listing.nodes and peer.revision <= listing.revision
        ]:
            self._apply_presence(name, KeyValue(self.keys.node(name), None, listing.revision + 1))
        for name in [n for n, (at, drained) in self._drains.items() if drained and n not in listing.drained]:
            if self._drains[name][0] <= listing.revision:
                self._apply_drain(name, KeyValue(self.keys.drain(name), None, listing.revision + 1))
        for space, reservations in self._reservations.items():
            reservations.keep_only(listing.reservations.get(space, set()), listing.revision)
        for table in list(self._tables.values()) if listing.in_place else ():
            for count, gone in enumerate(table.unseen(listing.revision)):
                if gone:
                    self.repairs += self.revision >= listing.revision
                    table.delete(gone, listing.revision + 1)
                if count % SLICE == SLICE - 1:
                    yield
            table.seen.clear()
        self.abandon(listing)
        self.loads += 1
        self.passed(listing.revision)

    # --- rollback --------------------------------------------------------------------------------------------------

    def roll_back(self) -> Ghosts:
        """etcd went back in time: what is known becomes `ghosts`, and the view is empty until it is loaded again."""
        self.ghosts = Ghosts({space: table.rows for space, table in self._tables.items()}, self.ghosts)
        self.revision = self.config_revision = 0
        self.current = None
        self.nodes.clear()
        for name in [name for name, (_, drained) in self._drains.items() if drained]:
            self.on_drain(name, False)
        self._clear()
        return self.ghosts


def _ignore(*_: object) -> None:
    return None
