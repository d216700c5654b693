"""The clients of a scenario: those that come on the link and behind the relay, and those that are there and renew.

Law: nothing is judged here; what happened is in the recorder's history.
"""

from __future__ import annotations

import contextlib
import time

from everlease.lab.processes import LabError, wait_until
from faults.client import FRESH, PATIENT, Behaviour, LoadClient, Plan
from faults.stage import Stage

BEHIND = 0.1
"""The share of those that come which sits behind the relay."""

RESIDENTS, RENEW_EVERY = 150, 6.0
_NEVER = 3600.0

JUDGED = (PATIENT, FRESH)
"""Clients that wait 4, 8, 16 s for an answer: those whose second try comes after the gap that a fault may make."""


class Load:
    """`rate` new clients a second on both networks together, and RESIDENTS on the link, who renew and reboot."""

    def __init__(
        self,
        stage: Stage,
        rate: float = 200,
        *,
        stay: float = _NEVER,
        reboots: float = 1.0,
        behaviours: tuple[Behaviour, ...] = JUDGED,
        seed: int = 1,
    ) -> None:
        """stay: seconds after which those that came release their address; reboots: residents, per second."""
        here, there, known = stage.client("coming"), stage.relayed("floor"), stage.client("residents")
        coming = Plan(rate=rate * (1 - BEHIND), stay=stay, behaviours=behaviours, number=1, seed=seed)
        behind = Plan(rate=rate * BEHIND, stay=stay, behaviours=behaviours, number=2, seed=seed + 1)
        staying = Plan(
            residents=RESIDENTS,
            arrive=2.0,
            reboots=reboots,
            renew_every=RENEW_EVERY,
            behaviours=behaviours,
            seed=seed + 2,
            number=3,
        )
        for namespace, link in ((here, "office"), (there, ""), (known, "office")):
            stage.recorder.tap(namespace, link)
        self._recorder = stage.recorder
        places = [(here, coming), (there, behind), (known, staying)]
        self._clients = [LoadClient(stage.lab, namespace, plan) for namespace, plan in places]

    def start(self) -> Load:
        """Begin; the residents come first."""
        self._clients[2].start()
        self._clients[2].wait_bound()
        for client in self._clients[:2]:
            client.start()
        return self

    def finish(self, timeout: float = 30.0, *, audit: bool = True) -> float:
        """Nobody comes any more; wait until everybody who came is bound, `timeout` seconds at most.

        audit: everybody who has an address asks for it by INIT-REBOOT meanwhile, and must get it (I2). Returns when
        they begin to, UTC seconds.
        """
        for client in self._clients[:2]:
            client.rate(0)
        ended = time.time()
        if audit:
            self._recorder.mark("audit")
            for client in self._clients:
                client.reboot()
        with contextlib.suppress(LabError):  # who is left is seen on the wire
            wait_until(self._all_bound, timeout, "everybody bound", every=0.2)
        for client in self._clients:
            client.stop()
        return ended

    def _all_bound(self) -> bool:
        return all(set(client.counts()) <= {"bound"} for client in self._clients)
