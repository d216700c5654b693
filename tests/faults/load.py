"""Clients that come at a rate, in a thread of their own, so that a fault can be injected beside them.

Law: nothing is judged here; what happened is in the captures.
"""

from __future__ import annotations

import threading
import time

from cluster.crowd import BOUND, Crowd
from everlease.lab.processes import LabError
from faults.stage import Stage
from lab.capture import Captured
from lab.packet_client import PacketClient

RETURN_AFTER = 2.0
"""Seconds after which some of a second's clients come back with the address that they have."""


class Arrivals:
    """`rate` new clients a second on one wire; every second `known` of those that are bound come back."""

    def __init__(self, talker: PacketClient, rate: int, known: int, number: int) -> None:
        self._talker = talker
        self._rate, self._known, self._number = rate, known, number
        self._waves: list[tuple[float, Crowd]] = []
        self._next = 0.0
        self._count = 0

    def step(self, *, coming: bool) -> bool:
        """Let everybody act; True while somebody waits for an answer."""
        now = time.monotonic()
        if coming and now >= self._next:
            self._next = max(self._next + 1.0, now)
            self._begin(now)
        busy = False
        for _, crowd in self._waves:
            crowd.step()
            busy = busy or not crowd.all_bound()
        return busy

    def _begin(self, now: float) -> None:
        self._count += 1
        crowd = Crowd(self._talker, self._rate, 100 * self._number + self._count)
        crowd.boot(within=1.0)
        self._waves = [(at, wave) for at, wave in self._waves if now - at < RETURN_AFTER + 1 or not wave.all_bound()]
        for at, wave in self._waves:
            if RETURN_AFTER <= now - at < RETURN_AFTER + 1:
                wave.reboot(1.0, [guest for guest in wave.guests if guest.state == BOUND][: self._known])
        self._waves.append((now, crowd))


class Load:
    """Both networks' clients. `packets` is what was on their wires."""

    def __init__(self, stage: Stage, rate: int = 200, known: int = 40) -> None:
        behind = rate // 10
        self._talkers = [PacketClient(stage.client("clients")), PacketClient(stage.relayed("floor"))]
        for talker in self._talkers:
            stage.lab.on_close(talker.close)
        self._arrivals = [
            Arrivals(self._talkers[0], rate - behind, known, 0),
            Arrivals(self._talkers[1], behind, 2, 1),
        ]
        self._coming = self._running = True
        self._busy = True
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        stage.lab.on_close(self.stop)

    def start(self) -> Load:
        """Begin."""
        self._thread.start()
        return self

    def _run(self) -> None:
        while self._running:
            coming = self._coming
            busy = [arrivals.step(coming=coming) for arrivals in self._arrivals]
            self._busy = coming or any(busy)
            time.sleep(0.002)

    def finish(self, timeout: float = 30.0) -> None:
        """Nobody comes any more; wait until everybody who came is bound, `timeout` seconds at most."""
        self._coming = False
        end = time.monotonic() + timeout
        while self._busy and time.monotonic() < end:
            time.sleep(0.05)
        self.stop()

    def stop(self) -> None:
        """End; harmless to call twice."""
        self._running = False
        if self._thread.is_alive():
            self._thread.join()

    @property
    def packets(self) -> list[Captured]:
        """Everything on the clients' wires."""
        if not self._thread.is_alive() and self._running:
            raise LabError("the load died")
        return [packet for talker in self._talkers for packet in talker.capture.packets]
