"""Records of a backup put back, many in one transaction, each by compare with all that its rule has looked at.

Law: a refused change means that something moved meanwhile: the rule is asked again, on what is there now. What became
of a batch without an answer is found out the same way; so a restore that was cut can be run again, and changes nothing
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from everlease.backup.rules import ADDED, EXTENDED, KEPT, MOVED, SKIPPED, TAKEN, Rules, Times, Verdict
from everlease.core.lifecycle import Lease
from everlease.core.model import Config, Reservation
from everlease.store.api import BatchResult, Result, Store, Unavailable
from everlease.store.keys import Keys, parse_address
from everlease.store.records import BadRecord, decode_reservation, dotted
from everlease.store.txn import MAX_CHANGES, Batch, Leaf, plan, put
from everlease.store.view import View

DEADLINE: Final = 5.0

ATTEMPTS: Final = 6
"""Rounds in which nothing moves: with an election in the middle two have no answer, and some seconds between them."""

PAUSE: Final = 0.5
"""Seconds after a round without an answer."""

REST: Final = 1.0
"""How many times as long as it worked a restore rests: clients come first."""

MOST_CONFLICTS: Final = 1000
"""That are told one by one; all are counted."""

ADDRESS_TAKEN, CLIENT_MOVED, RESERVATION_DIFFERS, CONFIGURATION_DIFFERS, DRAIN = range(1, 6)
"""Kinds of conflict, as `backup_service.proto` numbers them."""

LeaseItem = tuple[str, int, Lease]
"""(space, address, record)."""

ReservationItem = tuple[str, str, bytes]
"""(space, end of its key, value)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record that was not put back because what is there stays."""

    kind: int
    resource: str
    description: str


@dataclass(frozen=True, slots=True)
class Ground:
    """Where records are put. identity: the word by which a reservation's client is known in its subnet."""

    store: Store
    keys: Keys
    view: View
    times: Callable[[], Times]
    identity: Callable[[Reservation], str]


@dataclass(slots=True)
class Tally:
    """What became of the records. longest: the longest lifetime told in any of them, seconds."""

    leases: dict[int, int] = field(default_factory=lambda: dict.fromkeys((ADDED, EXTENDED, KEPT, SKIPPED), 0))
    reservations_added: int = 0
    reservations_kept: int = 0
    drains_added: int = 0
    unreadable: int = 0
    longest: int = 0
    conflict_count: int = 0
    conflicts: list[Conflict] = field(default_factory=list)

    def conflict(self, kind: int, resource: str, description: str) -> None:
        """One more."""
        self.conflict_count += 1
        if len(self.conflicts) < MOST_CONFLICTS:
            self.conflicts.append(Conflict(kind, resource, description))


class Restoring:
    """Puts records back into one cluster. dry: says what it would do, and writes nothing; config: in force there."""

    def __init__(self, place: Ground, dry: bool) -> None:
        self._store = place.store
        self._keys = place.keys
        self._view = place.view
        self._times = place.times
        self._identity = place.identity
        self._dry = dry
        self.config: Config | None = None
        self.tally = Tally()

    # --- leases -------------------------------------------------------------------------------------------------------

    async def leases(self, items: Sequence[LeaseItem]) -> None:
        """Some records. Raises Unavailable, NoSpace."""
        began, left, vain = perf_counter(), list(items), 0
        for _, _, lease in items:
            self.tally.longest = max(self.tally.longest, lease.valid)
        while left:
            before = len(left)
            try:
                left = await self._round(left)
            except Unavailable:
                if vain + 1 >= ATTEMPTS:
                    raise
                await asyncio.sleep(PAUSE)
            vain = vain + 1 if len(left) == before else 0
            if vain >= ATTEMPTS:
                self._give_up(left)
                break
        await asyncio.sleep(REST * (perf_counter() - began) if not self._dry else 0)

    async def _round(self, items: list[LeaseItem]) -> list[LeaseItem]:
        """Judge and write; those that have to be judged again."""
        rules, times, batch = Rules(self._view, self.config), self._times(), Batch(None)
        sent: list[tuple[LeaseItem, Verdict, Leaf]] = []
        settled: list[tuple[LeaseItem, Verdict]] = []
        later: list[LeaseItem] = []
        for item in items:
            verdict = rules.judge(*item, times)
            if verdict.change is None or self._dry:
                settled.append((item, verdict))
                continue
            leaf = plan(self._keys, verdict.change)
            if len(sent) < MAX_CHANGES and batch.add(leaf):
                sent.append((item, verdict, leaf))
            else:
                later.append(item)
        if sent:
            later += self._conclude(sent, await self._store.batch(batch.request(), DEADLINE))
        for item, verdict in settled:  # not before: a round without an answer is begun again
            self._count(item, verdict)
        return later

    def _conclude(self, sent: list[tuple[LeaseItem, Verdict, Leaf]], result: BatchResult) -> list[LeaseItem]:
        again = []
        for (item, verdict, leaf), answer in zip(sent, result.results, strict=True):
            if answer.succeeded and verdict.change is not None:
                self._view.committed(verdict.change, result.revision)
                self._count(item, verdict)
            else:
                self._view.refresh(leaf.names(), answer, result.revision)
                again.append(item)
        return again

    def _give_up(self, items: Sequence[LeaseItem]) -> None:
        """What is refused again and again: keys that cannot be read, or that change all the time."""
        for space, address, lease in items:
            words = f"{lease.client.hex(':')} held it; its records here cannot be made sense of"
            self.tally.conflict(ADDRESS_TAKEN, f"spaces/{space}/leases/{dotted(address)}", words)

    def _count(self, item: LeaseItem, verdict: Verdict) -> None:
        space, address, lease = item
        resource = f"spaces/{space}/leases/{dotted(address)}"
        client = lease.client.hex(":")
        if verdict.kind == TAKEN:
            row = self._view.row(space, address)
            holder = row.client.hex(":") if row is not None and row.client else "nobody"
            self.tally.conflict(ADDRESS_TAKEN, resource, f"{client} held it; {holder} holds it now")
        elif verdict.kind == MOVED:
            self.tally.conflict(CLIENT_MOVED, resource, f"{client} held it, and holds {dotted(verdict.other)} now")
        else:
            self.tally.leases[verdict.kind] += 1

    # --- reservations and drains --------------------------------------------------------------------------------------

    async def reservations(self, items: Sequence[ReservationItem]) -> None:
        """Some reservations: each is written where neither its address nor its client has one.

        Raises BadRecord, Unavailable, NoSpace.
        """
        began, left = perf_counter(), list(items)
        while left:
            batch = Batch(None)
            batch.add(Leaf({}, [] if self._dry else [(self._keys.reservations_changed, b"")]))
            sent: list[ReservationItem] = []
            later: list[ReservationItem] = []
            for item in left:
                (sent if len(sent) < MAX_CHANGES - 1 and batch.add(self._leaf(item)) else later).append(item)
            answers = (await self._store.batch(batch.request(), DEADLINE)).results[1:]
            for item, answer in zip(sent, answers, strict=True):
                if answer.succeeded:
                    self.tally.reservations_added += 1
                else:
                    self._met(item, answer)
            left = later
        await asyncio.sleep(REST * (perf_counter() - began) if not self._dry else 0)

    def _leaf(self, item: ReservationItem) -> Leaf:
        """The record, and the key by which a client has one reservation in a subnet at most."""
        space, word, value = item
        made = decode_reservation(value, 0)
        key = self._keys.reservations(space) + word.encode()
        index = self._keys.reserved_client(space, made.subnet, self._identity(made))
        return Leaf({key: 0, index: 0}, [] if self._dry else [(key, value), (index, word.encode())])

    def _met(self, item: ReservationItem, answer: Result) -> None:
        space, word, value = item
        key = self._keys.reservations(space) + word.encode()
        present = {each.key == key: each.value or b"" for each in answer.found}
        if present.get(True) == value:
            self.tally.reservations_kept += 1
        elif True in present:
            words = f"another one is there: {_holder(present[True])}"
            self.tally.conflict(RESERVATION_DIFFERS, _name(space, word), words)
        else:
            words = f"its client has another one now: {_name(space, present[False].decode(errors='replace'))}"
            self.tally.conflict(RESERVATION_DIFFERS, _name(space, word), words)

    async def drain(self, node: str, value: bytes, empty: bool) -> None:
        """A node that was drained: again so in a cluster that was empty. Raises Unavailable, NoSpace."""
        key = self._keys.drain(node)
        if await self._value(key) is not None:
            return
        if not empty:
            self.tally.conflict(DRAIN, f"nodes/{node}", "it was drained when the file was saved, and is not now")
        elif await self._put(key, value):
            self.tally.drains_added += 1

    async def _value(self, key: bytes) -> bytes | None:
        page = await self._store.get_range(key, key + b"\0", limit=1, deadline=DEADLINE)
        return page.records[0].value if page.records else None

    async def _put(self, key: bytes, value: bytes) -> bool:
        """Write a key that is not there; False if somebody was faster."""
        if self._dry:
            return True
        batch = Batch(None)
        batch.add(put(key, value, 0))
        return (await self._store.batch(batch.request(), DEADLINE)).results[0].succeeded


def _name(space: str, word: str) -> str:
    address = parse_address(word.encode())
    return f"spaces/{space}/reservations/{dotted(address) if address else word}"


def _holder(value: bytes) -> str:
    """Whom a reservation is for, in words."""
    try:
        found = decode_reservation(value, 0)
    except BadRecord:
        return "it cannot be read"
    return f"for {found.kind} {found.value.hex(':')}"
