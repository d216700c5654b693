"""A load's clients: who comes when, what each writes down, and what it does with the answers it gets.

Law: chance comes from the plan's seed alone. What is due next is in one heap, so that an idle client costs nothing.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from itertools import count
from random import Random

from everlease.wire import v4
from faults.client.plan import Diary, Plan
from faults.client.wire import Wire
from lab.guest import (
    BOUND,
    GONE,
    HOLDING,
    REBINDING,
    REBOOTING,
    RENEWING,
    REQUESTING,
    SELECTING,
    Guest,
)

LATE = 0.5
"""Seconds of arrivals that are made up for; beyond, the machine is too slow for the plan's rate."""

POWER = 800.0
"""Clients of one load that come back in a second when there is power again."""

_EXTENSIONS = {RENEWING: "renew", REBINDING: "rebind", REBOOTING: "reboot"}


@dataclass(slots=True, eq=False)
class Person:
    """A guest and its diary. asking: the row of `renewals` that waits for its answer."""

    guest: Guest
    diary: Diary
    declines: bool = False
    asking: int = -1


class Crew:
    """Everybody of one plan. `run_due` acts, `hear` takes an answer; `write` gets each diary that is closed."""

    def __init__(self, plan: Plan, wire: Wire, write: Callable[[Diary], object]) -> None:
        self.plan = plan
        self.rate = plan.rate
        self._wire = wire
        self._write = write
        self._random = Random(plan.seed)
        self._numbers = count()
        self._turns = count()
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._people: dict[bytes, Person] = {}
        self._held: dict[bytes, int] = {}
        self._residents: list[Person] = []
        self._next = 0.0
        self._leaving = False

    # --- what is to happen --------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Let the residents come, then whoever the plan's rates bring."""
        for number in range(self.plan.residents):
            at = now + self.plan.arrive * number / self.plan.residents
            self._at(at, self._move_in)
        self._next = now
        self._at(now, self._next_arrival)
        if self.plan.reboots and self.plan.residents:
            self._at(now + self.plan.arrive + 1 / self.plan.reboots, self._next_reboot)

    def run_due(self, now: float) -> float:
        """Do what is due; returns seconds until the next thing is, at most 0.5."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            heapq.heappop(heap)[2](now)
        return min(heap[0][0] - now, 0.5) if heap else 0.5

    def reboot(self, now: float) -> None:
        """Everybody who has an address loses power, and asks for it by INIT-REBOOT: in 2 s, POWER a second at most."""
        holding = [person for person in self._people.values() if person.guest.ack and person.guest.state in HOLDING]
        for number, person in enumerate(holding):
            self._begin(person, REBOOTING, now + number / min(len(holding) / 2.0, POWER))

    def leave(self, now: float) -> None:
        """Everybody gives the address back and goes; nobody comes any more."""
        self.rate, self._leaving = 0.0, True
        for number, person in enumerate(list(self._people.values())):
            self._at(now + number / 500, partial(self._go, person, True))

    def counts(self) -> dict[str, int]:
        """How many are in each state."""
        return dict(Counter(person.guest.state for person in self._people.values()))

    def close(self) -> None:
        """Write every diary that is still open."""
        for person in list(self._people.values()):
            self._write(person.diary)
        self._people.clear()

    def _at(self, time: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._heap, (time, next(self._turns), act))

    # --- coming and going ---------------------------------------------------------------------------------------------

    def _move_in(self, now: float) -> None:
        if not self._leaving:
            self._residents.append(self._arrive(now, resident=True))

    def _next_arrival(self, now: float) -> None:
        if self.rate > 0:
            person = self._arrive(now, resident=False)
            person.declines = self._random.random() < self.plan.declines
        # By the plan's clock, not by ours: who was late for one arrival is not late for the next.
        self._next = max(self._next, now - LATE) + 1 / (self.rate or 10.0)
        self._at(self._next, self._next_arrival)

    def _arrive(self, now: float, *, resident: bool) -> Person:
        number = next(self._numbers)
        mac = bytes((2, 0xD0, self.plan.number)) + number.to_bytes(3, "big")
        behaviour = self.plan.behaviours[number % len(self.plan.behaviours)]
        guest = Guest(mac, behaviour, Random(self._random.getrandbits(64)), self.plan.renew_every)
        person = self._people[mac] = Person(guest, Diary(mac.hex(":"), behaviour.name, resident))
        self._begin(person, SELECTING, now)
        return person

    def _next_reboot(self, now: float) -> None:
        person = self._random.choice(self._residents)
        if person.guest.state in (BOUND, RENEWING):
            self._begin(person, REBOOTING, now)
        self._at(now + 1 / self.plan.reboots, self._next_reboot)

    def _go(self, person: Person, releases: bool, now: float) -> None:
        guest = person.guest
        if guest.state == GONE:
            return
        server = guest.ack.server if guest.ack else 0
        farewell = guest.leave(now, releases=releases)
        if farewell is not None:
            self._wire.send(farewell, server)
        self._hold(guest, 0)
        person.diary.ended = now
        self._write(person.diary)
        del self._people[guest.mac]

    def _hold(self, guest: Guest, address: int) -> None:
        """The wire shall answer for this address of a guest, and for no other; 0 = for none."""
        held = self._wire.held
        before = self._held.pop(guest.mac, 0)
        if before and held.get(before) == guest.mac:
            del held[before]
        if address:
            held[address] = guest.mac
            self._held[guest.mac] = address

    # --- asking and hearing -------------------------------------------------------------------------------------------

    def _begin(self, person: Person, state: str, at: float) -> None:
        person.guest.begin(state, at)
        person.asking = -1
        self._wake(person)

    def _wake(self, person: Person) -> None:
        due = person.guest.due
        self._at(due, lambda now: self._speak(person, due, now))

    def _speak(self, person: Person, due: float, now: float) -> None:
        guest, diary = person.guest, person.diary
        if guest.due != due or guest.state == GONE:
            return  # something else happened meanwhile, and is in the heap as well
        message = guest.speak(now)
        if guest.state in _EXTENSIONS:
            self._note_extension(person, now)
        elif not diary.bound_at:
            diary.first_sent = diary.first_sent or now
            kind = v4.MESSAGE_NAMES[message.message_type]
            diary.tries[kind] = diary.tries.get(kind, 0) + 1
        if guest.state == SELECTING:
            self._hold(guest, 0)
        if guest.state == RENEWING and guest.ack is not None:
            self._wire.send(message, guest.ack.server)
        else:
            self._wire.send(message)
        self._wake(person)

    def _note_extension(self, person: Person, now: float) -> None:
        guest, rows = person.guest, person.diary.renewals
        kind = _EXTENSIONS[guest.state]
        if guest.copies > 1 and person.asking >= 0 and rows[person.asking][0] == kind:
            row = rows[person.asking]
            rows[person.asking] = (row[0], row[1], guest.copies, 0.0)
            return
        person.asking = len(rows)
        rows.append((kind, now, guest.copies, 0.0))

    def hear(self, packet: v4.Packet, now: float) -> None:
        """Give a reply to whom it is for."""
        person = self._people.get(packet.chaddr)
        if person is None:
            return
        guest = person.guest
        what = guest.hear(packet, now)
        if what == "ACK":
            self._bound(person, now)
        elif what == "NAK":
            person.diary.naks += 1
            self._hold(guest, 0)
        if what:
            self._wake(person)
            if guest.state == REQUESTING:
                self.run_due(now)  # at once: no client waits with its REQUEST

    def _bound(self, person: Person, now: float) -> None:
        guest, diary = person.guest, person.diary
        ack = guest.ack
        assert ack is not None
        if person.declines:
            person.declines = False
            diary.tries, diary.first_sent = {}, 0.0  # what counts is the conversation that ends with an address
            self._wire.send(guest.decline(now))
            return
        self._hold(guest, ack.address)
        diary.address, diary.lifetime = str(IPv4Address(ack.address)), ack.lifetime
        diary.server = str(IPv4Address(ack.server))
        if person.asking >= 0:
            kind, first, copies, _ = diary.renewals[person.asking]
            diary.renewals[person.asking] = (kind, first, copies, now)
            person.asking = -1
        elif not diary.bound_at:
            diary.bound_at = now
            if not diary.resident:
                releases = self._random.random() < self.plan.releases
                self._at(now + self.plan.stay, partial(self._go, person, releases))
