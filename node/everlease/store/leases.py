"""All leases of one address space in memory: rows, who has what, what is taken, how full each subnet is.

Law: a record applies only if its revision is newer than what is known of the address, tombstones included; so the order
and the number of times in which the same records arrive do not matter. Pure: time is what `advance` was told last.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from everlease.core.lifecycle import BOUND, DECLINED, OFFERED, RELEASED, WITHDRAWN, Row, grace_of, is_declined
from everlease.store.circuits import Circuits
from everlease.store.index import ClientIndex
from everlease.store.rows import Rows
from everlease.store.schedule import Schedule

LEASED, GRACE, OFFER, DECLINE, GIVEN_BACK, ENDED = range(6)
"""What a row counts as. All but the last two keep their address from others."""

FULL = (1 << 256) - 1
_ALONE = {OFFERED: OFFER, DECLINED: DECLINE, RELEASED: GRACE}
"""What a record counts as that keeps its address, bindings aside: RELEASED is withdrawn then, and waits for its end."""


class Usage:
    """Addresses of each subnet by what they count as (LEASED..ENDED), kept up to date row by row."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, list[int]] = {}

    def move(self, old: tuple[int, int] | None, new: tuple[int, int] | None) -> None:
        """A row went from one (subnet, what it counts as) to another."""
        if old == new:
            return
        if old is not None:
            self._counts[old[0]][old[1]] -= 1
        if new is not None:
            counts = self._counts.get(new[0])
            if counts is None:
                counts = self._counts[new[0]] = [0] * 6
            counts[new[1]] += 1

    def of(self, subnet: int) -> tuple[int, ...]:
        """Rows of a subnet as (leased, grace, offered, declined, released, ended)."""
        return tuple(self._counts.get(subnet, (0,) * 6))

    def totals(self) -> tuple[int, ...]:
        """Rows of all subnets, in the order of `of`."""
        return tuple(map(sum, zip(*self._counts.values(), strict=True))) or (0,) * 6

    def used(self, subnet: int) -> int:
        """Addresses of a subnet that are not free."""
        counts = self._counts.get(subnet)
        return sum(counts[:GIVEN_BACK]) if counts else 0


class LeaseTable:
    """One space. `margin`: seconds after the end before an address counts as free; `grace`: as configured."""

    __slots__ = (
        "_full", "_late", "_numbers", "_offers", "_refit", "_schedule", "_taken", "_tombstones",
        "circuits", "grace", "index", "margin", "now", "rows", "seen", "usage",
    )  # fmt: skip

    def __init__(self, usage: Usage, now: float, margin: float = 5.0, grace: int | None = None) -> None:
        self.rows = Rows()
        self.index = ClientIndex(self.rows)
        self.usage = usage
        self.circuits = Circuits()
        self.now = now
        self.margin = margin
        self.grace = grace
        self.seen: dict[int, int] = {}  # what a reload has shown so far
        self._schedule = Schedule()
        self._taken: dict[int, int] = {}
        self._full: dict[int, int] = {}
        self._late: dict[int, int] = {}  # bound, but past what the client was told
        self._offers: dict[bytes, tuple[int, ...]] = {}  # by client: the addresses whose records are offers to it
        self._tombstones: dict[int, int] = {}
        self._refit: Iterator[int] = iter(())
        self._numbers: dict[int, int] = {}  # one object for each lifetime and subnet id: 64 bytes less per row

    # --- what core reads -------------------------------------------------------------------------------------------

    def taken(self, block: int) -> int:
        """Mask of a /24's addresses that may not be granted afresh."""
        return self._taken.get(block, 0)

    def full(self, region: int) -> int:
        """Mask of a /16's blocks in which every address is taken."""
        return self._full.get(region, 0)

    def standing(self, address: int) -> int | None:
        """What the record of an address counts as, LEASED..ENDED; None without one."""
        row = self.rows.get(address)
        return None if row is None else self._counts_as(address, row)

    # --- what changes it -------------------------------------------------------------------------------------------

    def put(self, address: int, row: Row) -> bool:
        """A record as it is since row.revision; False if something newer is known."""
        region = self.rows.region(address)
        old = region.get(address)
        if old is not None:
            if row.revision <= old.revision:
                return False
        elif self._tombstones:
            if self._tombstones.get(address, 0) >= row.revision:
                return False
            self._tombstones.pop(address, None)
        before = None if old is None else (old.subnet, self._counts_as(address, old))
        numbers = self._numbers
        row.valid = numbers.setdefault(row.valid, row.valid)
        row.subnet = numbers.setdefault(row.subnet, row.subnet)
        region[address] = row
        self.usage.move(before, (row.subnet, self._place(address, row)))
        self.index.changed(address, old, row)
        if self._offers or row.state == OFFERED:
            self._review(address, old, row)
        return True

    def delete(self, address: int, revision: int) -> bool:
        """The record is gone since `revision` (or earlier); False if something newer is known."""
        region = self.rows.region(address)
        old = region.get(address)
        if old is not None and old.revision >= revision:
            return False
        self._tombstones[address] = max(revision, self._tombstones.get(address, 0))
        if old is None:
            return False
        self.usage.move((old.subnet, self._counts_as(address, old)), None)
        del region[address]
        self._give(address)
        self.index.changed(address, old, None)
        if self._offers:
            self._review(address, old, None)
        return True

    def forget_tombstones(self, revision: int) -> None:
        """The watch has passed `revision`: nothing older will come any more."""
        if self._tombstones:
            old = [address for address, gone in self._tombstones.items() if gone <= revision]
            for address in old:
                del self._tombstones[address]

    def configure(self, margin: float, grace: int | None) -> None:
        """Other settings: every row is looked at again, in the slices of `advance`."""
        if (margin, grace) != (self.margin, self.grace):
            self.margin, self.grace = margin, grace
            self._refit = iter(self.rows)

    def advance(self, now: float, limit: int) -> int:
        """Let time pass for at most `limit` rows; returns how many were looked at (less than `limit`: done)."""
        self.now = now
        due = self._schedule.pop_due(now, limit)
        for address in due:
            row = self.rows.get(address)
            if row is not None and now >= self._next_look(address, row):
                self._place_again(address, row)
        more = list(islice(self._refit, limit - len(due)))
        for address in more:
            row = self.rows.get(address)
            if row is not None:
                self._place_again(address, row)
        return len(due) + len(more)

    def unseen(self, revision: int) -> Iterator[int]:
        """Each address whose row is not newer than a listing at `revision` that did not show it; 0 for all others."""
        for address in self.rows:
            row = self.rows.get(address)
            seen = self.seen.get(address >> 8, 0) >> (address & 255) & 1
            yield 0 if seen or row is None or row.revision > revision else address

    # --- bits ------------------------------------------------------------------------------------------------------

    def _counts_as(self, address: int, row: Row) -> int:
        """What the row counts as by the bits that were set for it."""
        if not self._taken.get(address >> 8, 0) >> (address & 255) & 1:
            return GIVEN_BACK if row.state == RELEASED else ENDED
        if row.state != BOUND:
            return _ALONE[row.state]
        return GRACE if self._late and self._late.get(address >> 8, 0) >> (address & 255) & 1 else LEASED

    def _next_look(self, address: int, row: Row) -> float:
        """When the row's own entry in the schedule is due; an entry that comes earlier is of a row before it."""
        if self._counts_as(address, row) == LEASED:
            return row.expires_at - grace_of(row.valid, self.grace)
        return row.expires_at + self.margin

    def _review(self, address: int, old: Row | None, new: Row | None) -> None:
        """A row has been replaced: look again at what is on offer to its client, who may have taken something else."""
        for row, is_there in ((old, False), (new, True)):
            if row is not None and row.state == OFFERED:
                self._offer(row.client, address, is_there)
        for client in {row.client for row in (old, new) if row is not None}:
            for offered in self._offers.get(client, ()):
                row = self.rows[offered]
                if offered != address and self._is_declined(row) == (self._counts_as(offered, row) == OFFER):
                    self._place_again(offered, row)

    def _offer(self, client: bytes, address: int, is_there: bool) -> None:
        """An address is on offer to a client, or not any more."""
        others = tuple([each for each in self._offers.pop(client, ()) if each != address])
        if others or is_there:
            self._offers[client] = (*others, address) if is_there else others

    def _is_declined(self, row: Row) -> bool:
        named = self.index.address_of(row.subnet, row.client)
        return named != 0 and is_declined(row, self.rows.get(named))

    def _place_again(self, address: int, row: Row) -> None:
        before = self._counts_as(address, row)
        self.usage.move((row.subnet, before), (row.subnet, self._place(address, row)))

    def _place(self, address: int, row: Row) -> int:
        """Set the bits of a row as of now, and schedule when to look again; what it counts as from now on."""
        state = row.state
        look = row.expires_at + self.margin
        given_back = row.valid != WITHDRAWN if state == RELEASED else state == OFFERED and self._is_declined(row)
        if given_back or self.now >= look:
            self._give(address)
            return GIVEN_BACK if state == RELEASED else ENDED
        if state != BOUND:
            place = _ALONE[state]
        elif self.now >= (told := row.expires_at - grace_of(row.valid, self.grace)):
            place = GRACE
        else:
            place, look = LEASED, told
        self._schedule.push(address, look)
        self._take(address)
        if place == GRACE or self._late:
            self._mark(self._late, address, place == GRACE)
        return place

    def _take(self, address: int) -> None:
        block = address >> 8
        before = self._taken.get(block, 0)
        mask = self._taken[block] = before | 1 << (address & 255)
        if mask == FULL != before:
            self._mark(self._full, block, True)

    def _give(self, address: int) -> None:
        self._mark(self._taken, address, False)
        if self._late:
            self._mark(self._late, address, False)
        if self._full:
            self._mark(self._full, address >> 8, False)

    @staticmethod
    def _mark(masks: dict[int, int], number: int, on: bool) -> bool:
        """Set or clear one bit of the mask of 256 in which `number` lies; whether that changed anything."""
        group = number >> 8
        mask = masks.get(group, 0)
        if bool(mask >> (number & 255) & 1) == on:
            return False
        mask ^= 1 << (number & 255)
        if mask:
            masks[group] = mask
        else:
            del masks[group]
        return True
