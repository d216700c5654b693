"""Group commit: many changes become one transaction, each succeeds or fails by itself, and its asker is told.

The law of this file: no key that one change writes is named by another change in flight. The table `_busy` holds every
key of every change that was accepted and is not settled; a later change on one of them waits for its turn. A batch
leaves at once when nothing is on its way; while something is, changes gather, so batches grow with the load.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import getrandbits
from typing import Final

import msgspec

from everlease.core.actions import GRANT, OFFER, Change
from everlease.core.model import Config
from everlease.runtime.carrier import PATIENCE, Carrier
from everlease.runtime.counters import Counters
from everlease.store.api import BadRequest, BatchResult, Forgotten, KeyValue, NoSpace, Result, Unavailable
from everlease.store.keys import Keys
from everlease.store.txn import Batch, Fences, Leaf, plan
from everlease.store.view import View

COMMITTED, REFUSED, FENCED, LOST = range(4)
"""What became of a change. REFUSED, FENCED: the view or the configuration was old, and is not any more: decide again.
LOST: given up; what became of it is unknown."""

URGENT, KNOWN, NEW, OFFERED = range(4)
"""Ranks: presence; renewals and all that concerns a binding; selecting REQUESTs; offers. The last is shed first."""

ROOM: Final = (3000, 2000, 1500, 500)
"""Changes that may wait, by rank: a third of a second's work at full speed, so that no ACK is old when it leaves."""

OFFERS_PER_SECOND: Final = 1000.0
"""Offers that a node commits: strangers that never take one write no more than this into etcd's history."""

GATHER: Final = (1, 100, 100, 100)
"""How many changes must wait before the n-th batch joins those on their way. Larger batches cost everybody less: this
node per call, every member per proposal and fsync, every other node per watch message."""

LATE: Final = 0.05
"""Seconds without an answer after which what waits is sent all the same: the batch on its way may be stuck."""

Done = Callable[[int], None]


class Ticket(msgspec.Struct, eq=False):
    """One transition that waits for its commit. started, queued: CLOCK_BOOTTIME; config: mod revision decided with.

    change: what it is, None for a presence or a sweep; done: told one of COMMITTED..LOST, once.
    left: CLOCK_BOOTTIME when its (last) batch left, 0 = it has not.
    """

    leaf: Leaf
    rank: int
    config: int
    started: float
    done: Done
    change: Change | None = None
    left: float = 0.0
    found: Sequence[KeyValue] = ()
    revision: int = 0
    settled: bool = False


@dataclass(slots=True)
class Load:
    """Tickets on their way together. config: what the first fence compares; batch: made for the first try.

    era: how often the store had gone back in time when they left.
    """

    tickets: list[Ticket]
    config: int
    era: int
    batch: Batch | None = None


class Committer:
    """The queue, the table of keys in flight, and the batches on their way; everything on one loop.

    held: only presence leaves, because the store went back in time.
    """

    def __init__(
        self, name: str, keys: Keys, carrier: Carrier, view: View, counters: Counters, boot: Callable[[], float]
    ) -> None:
        self._name = name
        self._keys = keys
        self._carrier = carrier
        self._view = view
        self._counters = counters
        self._boot = boot
        self.fences: Callable[[int], Fences] = lambda config: Fences(keys.config_current, config, keys.node(name), 0)
        self.confirmed: Callable[[BatchResult, float], None] = lambda _result, _now: None
        self.refenced: Callable[[Sequence[KeyValue]], None] = lambda _found: None
        self.config = self.seen = 0
        self._queues: tuple[deque[Ticket], ...] = (deque(), deque(), deque(), deque())
        self._busy: dict[bytes, Ticket] = {}
        self._waiting: dict[bytes, deque[Ticket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent_at = 0.0
        self._scheduled = False
        self._look: asyncio.TimerHandle | None = None
        self._closed = self.held = False
        self._era = 0
        self._offers = OFFERS_PER_SECOND
        self._offered_at = boot()
        self.length = 0
        self.room: Sequence[int] = ROOM

    # --- asking -------------------------------------------------------------------------------------------------------

    def submit(self, change: Change, config: Config, started: float, done: Done) -> Ticket | None:
        """Commit a change that was decided on `config`; None: no room (overload), and `done` is never called."""
        rank = OFFERED if change.kind == OFFER else NEW if change.kind == GRANT else KNOWN
        if self.length >= self.room[rank] or (rank == OFFERED and not self._may_offer(started)):
            return None
        self._sign(change, config)
        ticket = Ticket(plan(self._keys, change), rank, config.mod_revision, started, done, change)
        self.enter(ticket)
        return ticket

    def _may_offer(self, now: float) -> bool:
        """One token of the bucket for committed offers, which holds a second's worth."""
        tokens = min(self._offers + (now - self._offered_at) * OFFERS_PER_SECOND, OFFERS_PER_SECOND)
        self._offers, self._offered_at = max(tokens - 1, 0.0), now
        return tokens >= 1

    def _sign(self, change: Change, config: Config) -> None:
        for lease in (change.lease, change.moved.lease if change.moved else None):
            if lease is not None:
                lease.nonce = getrandbits(53)  # JSON's safe integers; enough to know our own writing again
                lease.node = self._name
                lease.config = config.revision

    def enter(self, ticket: Ticket) -> None:
        """Queue a ticket, or let it wait for one that has one of its keys."""
        self.length += 1
        self._admit(ticket)

    def _admit(self, ticket: Ticket) -> None:
        busy = self._busy
        for key in ticket.leaf.expect:
            if key in busy:
                self._waiting.setdefault(key, deque()).append(ticket)
                return
        for key in ticket.leaf.expect:
            busy[key] = ticket
        self._queues[ticket.rank].append(ticket)
        self._wake()

    @property
    def in_flight(self) -> int:
        """Changes accepted and not settled."""
        return self.length

    def _wake(self) -> None:
        # Not at once: the rest of the packets of this wake-up shall go in the same batch.
        if not self._scheduled and not self._closed:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    # --- sending ------------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        self._scheduled = False
        while len(self._tasks) < len(GATHER) and (ready := sum(map(len, self._queues))):
            if ready < GATHER[len(self._tasks)] and not self._queues[URGENT] and self._may_wait():
                return
            load = self._take()
            if not load.tickets:
                return
            self._sent_at = self._boot()
            task = asyncio.get_running_loop().create_task(self._carry(load))
            self._tasks.add(task)
            task.add_done_callback(self._carried)

    def _may_wait(self) -> bool:
        """Whether the last batch left a moment ago; then this is looked at again when it is late."""
        left = self._sent_at + LATE - self._boot()
        if left > 0 and self._look is None:
            self._look = asyncio.get_running_loop().call_later(left, self._look_again)
        return left > 0

    def _look_again(self) -> None:
        self._look = None
        self._wake()

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()
        self._wake()

    def _take(self) -> Load:
        """As many tickets as a batch takes. While a newer configuration is being loaded only presence leaves."""
        batch = Batch(self.fences(self.seen))
        load = Load([], self.seen, self._era, batch)
        too_old = self._boot() - PATIENCE
        for queue in self._queues:
            while queue:
                ticket = queue[0]
                if ticket.started < too_old:
                    self._settle(queue.popleft(), LOST)
                elif ticket.rank != URGENT and (self.held or self.seen != self.config):
                    break
                elif ticket.rank != URGENT and ticket.config != self.config:
                    self._settle(queue.popleft(), FENCED)
                elif batch.add(ticket.leaf):
                    load.tickets.append(queue.popleft())
                else:
                    return load
        return load

    def switch(self, config: int, seen: int) -> None:
        """The configuration that decisions are made on, and the newest one seen: mod revisions of `config/current`."""
        self.config, self.seen = config, seen
        self._wake()

    def hold(self) -> None:
        """The store has forgotten what changes were decided on: only presence leaves until `release`."""
        self.held = True
        self._era += 1

    def release(self) -> None:
        """Let changes leave again; those that have waited since `hold` are lost. Harmless to call twice."""
        for queue in self._queues[URGENT + 1 :] if self.held else ():
            while queue:
                self._settle(queue.popleft(), LOST)
        self.held = False
        self._wake()

    async def _carry(self, load: Load) -> None:
        sent, tickets = self._boot(), load.tickets
        for ticket in tickets:
            ticket.left = sent
        self._counters.batch_size.observe(len(tickets))
        started = min(ticket.started for ticket in tickets)
        try:
            result = await self._carrier.carry(lambda: self._request(load), started)
            await self._conclude(tickets, result, sent)
        except BadRequest:
            await self._split(load)
        except (Unavailable, NoSpace, Forgotten):
            pass
        finally:
            self._settle_all([ticket for ticket in tickets if not ticket.settled], LOST)

    def _request(self, load: Load) -> bytes:
        """The bytes of the next try: for a later one the window of the second fence has moved on."""
        if load.era != self._era:
            raise Forgotten("decided before the store went back in time")
        batch, load.batch = load.batch, None
        if batch is None:
            batch = Batch(self.fences(load.config))
            for ticket in load.tickets:
                batch.add(ticket.leaf)
        return batch.request()

    async def _split(self, load: Load) -> None:
        """One bad change refuses its whole batch: send each alone, so that only that one is lost."""
        if len(load.tickets) > 1:
            while load.tickets:
                await self._carry(Load([load.tickets.pop(0)], load.config, load.era))

    # --- what became of them ------------------------------------------------------------------------------------------

    async def _conclude(self, tickets: list[Ticket], result: BatchResult, sent: float) -> None:
        self.confirmed(result, sent)
        if result.fenced:
            self.refenced(result.found)
            self._return(tickets)
            tickets.clear()  # the queue has them
            return
        for number, (ticket, answer) in enumerate(zip(tickets, result.results, strict=True)):
            self._settle(ticket, self._learn(ticket, answer, result.revision))
            if number % 32 == 31:  # replies are sent from here: let the sockets have their turn
                await asyncio.sleep(0)

    def _return(self, tickets: list[Ticket]) -> None:
        """A fence refused them: they go back to the head of the queue, to be decided again when we know more."""
        for ticket in reversed(tickets):
            if ticket.rank == URGENT or ticket.config == self.seen:
                self._settle(ticket, FENCED)
            else:
                self._queues[ticket.rank].appendleft(ticket)

    def _learn(self, ticket: Ticket, answer: Result, revision: int) -> int:
        """Write through what was committed; for a refused change, what the store holds instead."""
        own = None if answer.succeeded else _own_writing(ticket.leaf, answer.found)
        if answer.succeeded or own is not None:
            ticket.revision = revision if own is None else own.revision
            if ticket.change is not None:
                self._view.committed(ticket.change, ticket.revision)
            return COMMITTED
        self._counters.conflicts += 1
        ticket.found = answer.found
        self._view.refresh(ticket.leaf.names(), answer, revision)
        return REFUSED

    def _settle_all(self, tickets: Sequence[Ticket], outcome: int) -> None:
        for ticket in tickets:
            self._settle(ticket, outcome)

    def _settle(self, ticket: Ticket, outcome: int) -> None:
        self.length -= 1
        ticket.settled = True
        for key in ticket.leaf.expect:
            del self._busy[key]
        if self._waiting:
            freed = [self._waiting.pop(key) for key in ticket.leaf.expect if key in self._waiting]
            for waiting in freed:
                for each in waiting:
                    self._admit(each)
        # Whoever is told holds the ticket: left as they are, they were a cycle, 40 objects a lease for the collector.
        done, ticket.done = ticket.done, _told
        done(outcome)

    async def close(self) -> None:
        """Let go of what is still on its way: nobody will be told what became of it."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _told(_outcome: int) -> None:
    """Stands in a ticket for who has been told."""


def _own_writing(leaf: Leaf, found: Sequence[KeyValue]) -> KeyValue | None:
    """The record that shows that this very change had been applied by an earlier try: it carries our nonce."""
    if not leaf.puts:
        return None
    key, value = leaf.puts[0]
    return next((each for each in found if each.key == key and each.value == value), None)
