"""Which addresses answer an ICMP echo, asked without waiting: the answer, or the silence, is a call.

The law of this file: there is no coroutine per question; what is asked at once, who waits for it and what is
remembered is bounded; where nothing can be asked, that is said, and is no silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from everlease import logs
from everlease.core.model import PingCheck
from everlease.runtime.counters import BELIEVED, UNPROBED
from everlease.runtime.icmp import EchoSocket

IN_FLIGHT: Final = 1024
"""Probes at once: 2,000 new clients a second at the default timeout. More are offered their addresses unprobed."""

WAITERS: Final = 4
"""Packets that wait for one probe: a client asks again after 3 s at the earliest, or another one is after the same."""

REMEMBERED: Final = 16_384
"""Addresses that were silent, about 2 MB; the oldest is forgotten first, and asked again."""

DRAIN: Final = 64

WAITING, CROWDED = "waiting", "crowded"
"""What `Probes.ask` says while the answer is still to come."""

Place = tuple[int, int]
"""(index of the interface, 0 = by the route; address): networks of several tenants may overlap."""

Done = Callable[[bool], None]


class Echoes(Protocol):
    """What asks and hears; see `icmp.EchoSocket`."""

    def fileno(self) -> int:
        """For `loop.add_reader`."""

    def send(self, address: int, interface: int, source: int) -> bool:
        """Ask; False if that is not possible."""

    def receive(self, limit: int) -> list[Place]:
        """Who answered."""

    def close(self) -> None:
        """Give it back."""


@dataclass(slots=True)
class Probe:
    """One question on its way. waiting: called with whether it was answered."""

    timer: asyncio.TimerHandle
    cache: float
    waiting: list[Done] = field(default_factory=list)


class Probes:
    """Asks whether addresses answer, and remembers which did not. Opens its socket when it is first needed."""

    def __init__(self, boot: Callable[[], float], open_socket: Callable[[], Echoes] = EchoSocket) -> None:
        self._boot = boot
        self._open = open_socket
        self._socket: Echoes | None = None
        self._refused = False
        self._asked: dict[Place, Probe] = {}
        self._silent: dict[Place, float] = {}

    def ask(self, place: Place, source: int, check: PingCheck, done: Done) -> str:
        """WAITING: `done` will be called, once. CROWDED: it will not, enough others wait for the same answer.
        BELIEVED: the address was silent a short time ago. UNPROBED: it cannot be asked.

        source: own address to ask from, 0 = the kernel's choice.
        """
        if self._silent.get(place, 0.0) > self._boot():
            return BELIEVED
        probe = self._asked.get(place)
        if probe is None:
            if len(self._asked) >= IN_FLIGHT or not self._send(place, source):
                return UNPROBED
            timer = asyncio.get_running_loop().call_later(check.timeout, self._end, place, False)
            probe = self._asked[place] = Probe(timer, check.cache)
        elif len(probe.waiting) >= WAITERS:
            return CROWDED
        probe.waiting.append(done)
        return WAITING

    def read(self) -> None:
        """Take what came back."""
        if self._socket is not None:
            for interface, address in self._socket.receive(DRAIN):
                self._end((interface, address), True)
                self._end((0, address), True)

    def close(self) -> None:
        """Ask nothing more; who waits is not told."""
        for probe in self._asked.values():
            probe.timer.cancel()
        self._asked.clear()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _send(self, place: Place, source: int) -> bool:
        if self._socket is None and not self._refused:
            self._begin()
        interface, address = place
        return self._socket is not None and self._socket.send(address, interface, source)

    def _begin(self) -> None:
        try:
            self._socket = self._open()
        except OSError as error:
            self._refused = True
            words = "offers leave unprobed: ping-check needs CAP_NET_RAW, or the group in net.ipv4.ping_group_range"
            logs.get().warning(words, reason=error.strerror)
        else:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self.read)

    def _end(self, place: Place, answered: bool) -> None:
        probe = self._asked.pop(place, None)
        if probe is None:
            return
        probe.timer.cancel()
        if not answered and probe.cache:
            self._remember(place, self._boot() + probe.cache)
        for done in probe.waiting:
            done(answered)

    def _remember(self, place: Place, until: float) -> None:
        self._silent.pop(place, None)
        if len(self._silent) >= REMEMBERED:
            del self._silent[next(iter(self._silent))]
        self._silent[place] = until
