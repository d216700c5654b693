"""Rooms put together by hand on one in-memory store, with a clock that tests set.

`Weather` is the store's bad days: it applies or loses what goes through it as a test says. The rest is our own code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from everlease.config.load import load
from everlease.core.actions import GRANT, Change
from everlease.core.lifecycle import BOUND, Lease
from everlease.core.model import Config
from everlease.runtime.carrier import Carrier
from everlease.runtime.clock import ClusterClock
from everlease.runtime.committer import Committer
from everlease.runtime.configuration import Configuration
from everlease.runtime.counters import Counters
from everlease.runtime.exchange import Options
from everlease.runtime.gate import Gate
from everlease.runtime.lifeline import Lifeline
from everlease.runtime.membership import Membership
from everlease.runtime.offers import OfferTable
from everlease.runtime.pulse import Pulse
from everlease.runtime.responder import Responder
from everlease.runtime.restorer import Restorer, longest_lifetime
from everlease.runtime.rooms import Rooms
from everlease.runtime.settle import Settlement
from everlease.runtime.sockets import Datagram
from everlease.store.api import BatchResult, Page, Report, StoreError, Unavailable, WatchBatch
from everlease.store.configuration import Documents
from everlease.store.keys import Keys
from everlease.store.loader import Loader
from everlease.store.memory import MemoryStore
from everlease.store.view import View

EPOCH = 1_800_000_000.0
DOCUMENT = """
schema: 1
valid-lifetime: 1h
subnets:
  - id: 1
    prefix: 10.77.0.0/16
    link: office
    pools: [{range: 10.77.16.0-10.77.31.255}]
"""


class Time:
    """CLOCK_BOOTTIME and the wall clock of one host, as a test wants them."""

    def __init__(self) -> None:
        self.boot_now = 1000.0
        self.wall_offset = EPOCH

    def boot(self) -> float:
        return self.boot_now

    def wall(self) -> float:
        return self.boot_now + self.wall_offset


@dataclass
class Weather:
    """A store whose members have bad days. Each function decides about one batch: (request, member) -> outcome.

    "" passes; "lose" is lost before it arrives; "unknown" is applied, and its answer is lost; "hang" never answers; an
    error is raised.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    members: list[str] = field(default_factory=lambda: ["a", "b"])
    decide: Callable[[bytes, str], str | StoreError] = lambda _request, _member: ""
    asked: list[str] = field(default_factory=list)
    leaderless: bool = False
    alarms: frozenset[str] = frozenset()

    @property
    def freshness(self) -> object:
        return self.store.freshness

    def rank(self) -> list[str]:
        return self.members

    def is_up(self, member: str) -> bool:
        return True

    def latency(self, member: str) -> float:
        return 0.001

    def report(self, member: str) -> Report | None:
        return Report("3.4.23", 0, self.alarms)

    def term(self) -> int:
        return self.store.term()

    async def elected(self, since: int) -> str:
        return await self.store.elected(since)

    def certificate_ends(self) -> float:
        return self.store.certificate_ends()

    async def has_no_leader(self, deadline: float = 1.0) -> bool:
        return self.leaderless

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        name = member or self.members[0]
        self.asked.append(name)
        outcome = self.decide(request, name)
        if isinstance(outcome, StoreError):
            raise outcome
        if outcome == "hang":
            await asyncio.sleep(deadline)
        if outcome in ("hang", "lose"):
            raise Unavailable(f"{name}: DEADLINE_EXCEEDED")
        result = await self.store.batch(request, deadline, name)
        if outcome == "unknown":
            raise Unavailable(f"{name}: the answer was lost")
        return result

    async def get_range(
        self, start: bytes, end: bytes, *, revision: int = 0, limit: int = 0, deadline: float = 5.0
    ) -> Page:
        return await self.store.get_range(start, end, revision=revision, limit=limit, deadline=deadline)

    def watch(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[WatchBatch]:
        return self.store.watch(start, end, revision)

    async def close(self) -> None:
        await self.store.close()


@dataclass
class Wire:
    """An endpoint made of lists: `waiting` comes in, `sent` went out as (kind, payload, address)."""

    label: str | None = "office"
    address: int = 0x0A4D0002
    waiting: list[Datagram] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    mtu: int = 1500
    index: int = 1
    dropped: dict[str, int] = field(default_factory=dict)
    unsent: dict[str, int] = field(default_factory=dict)

    @property
    def addresses(self) -> frozenset[int]:
        return frozenset({self.address})

    @property
    def interface(self) -> tuple[tuple[int, int], ...]:
        return ((self.address, 16),)

    def fileno(self) -> int:
        return -1

    def receive(self, limit: int = 64) -> list[Datagram]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def send_udp(self, payload: bytes, address: int, port: int, source: int = 0) -> bool:
        self.sent.append(payload)
        return True

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        self.sent.append(payload)
        return True


class House:
    """One node without sockets: its rooms, its pulse, its wire."""

    def __init__(
        self, name: str, weather: Weather, time: Time | None = None, host: int = 2, identifier: int = 0
    ) -> None:
        self.time = time or Time()
        self.weather = weather
        self.wire = Wire(address=0x0A4D0000 + host)
        self.addresses = [self.wire.address, *([identifier] if identifier else [])]
        keys, counters = Keys(), Counters()
        clock = ClusterClock(self.time.boot, self.time.wall)
        view = View(keys, clock.reuse_now())
        self.states: list[tuple[str, str]] = []
        lifeline = Lifeline(clock.boot, lambda state, reason: self.states.append((state, reason)))
        membership = Membership(name, f"boot-of-{name}", clock, lifeline)
        gate = Gate(lifeline)
        carrier = Carrier(weather, counters, clock.boot)
        committer = Committer(name, keys, carrier, view, counters, clock.boot)
        responder = Responder(Options(), gate)
        self.committer = committer
        self.gate = gate
        configuration = Configuration(weather, keys, counters)
        self.rooms = Rooms(
            name, keys, weather, view, clock, counters, configuration, membership, OfferTable(), committer, responder,
            lifeline,
        )  # fmt: skip
        responder.enter(self.rooms)
        self.pulse = Pulse(self.rooms)
        self.settlement = Settlement(self.rooms, self.pulse, gate, identifier)
        self.loader = Loader(weather, keys, view, self.settlement.prefixes)
        self.restorer = Restorer(self.rooms, self.loader.loaded, lambda: longest_lifetime(configuration.current))
        self.loader.on_doubt, self.loader.on_rollback = self.restorer.doubt, self.restorer.rolled_back
        self.tasks: list[asyncio.Task[None]] = []

    async def join(self, document: str = DOCUMENT) -> House:
        """Load, watch, and serve."""
        await publish(self.weather, document)
        current, mod_revision = await Documents(self.weather, self.rooms.keys).current()
        assert current is not None
        configuration = self.rooms.configuration
        configuration.current = load(document, revision=current.revision, mod_revision=mod_revision)
        configuration.seen = mod_revision
        configuration.switched()
        self.tasks.append(asyncio.create_task(self.loader.run()))
        await self.loader.loaded.wait()
        self.settlement.loading = False
        self.rooms.lifeline.waiting_for = self.settlement.lacks()
        self.rooms.membership.serve({"office": self.addresses}, {"office": "office"})
        await self.beat()
        return self

    async def beat(self, seconds: float = 0.5) -> None:
        """Let time pass, commit a presence, and wait until the watch has brought it back."""
        self.time.boot_now += seconds
        self.rooms.membership.judge(self.time.boot_now)
        self.pulse.compare_clocks(self.time.boot_now)
        self.pulse.send(self.time.boot_now)
        await settle()
        self.rooms.membership.judge(self.time.boot_now)
        self.rooms.lifeline.beat(self.time.boot_now)
        self.pulse.compare_clocks(self.time.boot_now)
        self.rooms.lifeline.evaluate(self.time.boot_now)

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.committer.close()


async def settle(turns: int = 30) -> None:
    """Give every callback and task its turns."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def publish(weather: Weather, document: str) -> None:
    documents = Documents(weather, Keys())
    if (await documents.current())[0] is None:
        await documents.publish(document, 0, "test", "", EPOCH)


def grant(address: int, client: bytes, expected: int = 0, subnet: int = 1) -> Change:
    """A first grant, as core makes it."""
    lease = Lease(client, client[-6:], BOUND, int(EPOCH), int(EPOCH) + 3600, 3000, subnet)
    return Change(GRANT, "default", address, subnet, client, expected, lease, ((subnet, 0),), puts_index=True)


def config_of(document: str = DOCUMENT, mod_revision: int = 0) -> Config:
    return load(document, revision=1, mod_revision=mod_revision)
