"""One scene: a service under load, one server's storage struck and healed, and the account of who was answered."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import perfdhcp
from bench.capture import capturing, missed
from bench.perfdhcp import Step
from bench.wires import Wires
from everlease.lab.processes import Process
from incident.account import PATIENCE_S, Account, Accountant, captured
from incident.relay import Relay
from incident.stage import FAULTS, KeaPair, Service, ThreeNodes
from lab.packet_client import ipv4

RATE, RENEWALS = 200, 50
"""New clients per second, and renewals per second of those that were bound."""

_LEAD_S = 2
"""perfdhcp gets going, and Everlease's nodes learn which of them this relay can reach; it is not shown."""


@dataclass(frozen=True)
class Scene:
    """What happens to whom. system: a name of SYSTEMS; role: whose storage; fault: a name of FAULTS."""

    system: str
    role: str
    fault: str


@dataclass(frozen=True)
class Acts:
    """Seconds of load before the fault, while it lasts, and after it was healed."""

    before: int
    fault: int
    after: int

    @property
    def seconds(self) -> range:
        """Numbers of the seconds, 0 beginning with the fault."""
        return range(-self.before, self.fault + self.after)


WHOLE, SHORT = Acts(4, 16, 7), Acts(2, 7, 0)

SYSTEMS: dict[str, Callable[[Wires, Path], Service]] = {
    "kea": lambda wires, folder: KeaPair(wires.servers[:2], folder),
    "everlease": lambda wires, folder: ThreeNodes(wires.servers[:3], folder),
}

SCENES = (
    Scene("kea", "primary", "full"),
    Scene("kea", "primary", "frozen"),
    Scene("kea", "standby", "full"),
    Scene("kea", "standby", "frozen"),
    Scene("everlease", "leader", "full"),
    Scene("everlease", "leader", "frozen"),
    Scene("everlease", "follower", "full"),
    Scene("everlease", "follower", "frozen"),
)

SHORT_SCENES = (Scene("kea", "standby", "frozen"), Scene("everlease", "leader", "frozen"))


@dataclass(frozen=True)
class Told:
    """A scene as it was seen. zero, healed: UTC s; servers: their addresses; struck: the one whose storage it was;
    ended: programs that gave up; missed: packets that the capture could not keep.
    """

    scene: Scene
    acts: Acts
    account: Account
    zero: float
    healed: float
    servers: tuple[int, ...]
    struck: int
    ended: tuple[str, ...]
    missed: int


class Play:
    """The load: new clients and renewals behind one relay, which sends what they ask to every server."""

    def __init__(self, wires: Wires, folder: Path) -> None:
        self._wires, self._folder = wires, folder
        self._numbers = itertools.cycle(range(1, 256))

    def tell(self, scene: Scene, acts: Acts) -> Told:
        """Play one scene on a service that starts afresh; LabError if it could not be started."""
        with SYSTEMS[scene.system](self._wires, self._folder / "stage") as service:
            file = self._folder / "load.pcap"
            loader, relay = self._wires.loaders
            with capturing(loader.place, loader.interface, file), Relay(relay, service.servers()):
                zero, healed, struck, ended = self._strike(service, scene, acts)
        account = Accountant().take(captured(file))
        servers = tuple(map(ipv4, service.servers()))
        return Told(scene, acts, account, zero, healed, servers, servers[struck], tuple(ended), missed(file))

    def _strike(self, service: Service, scene: Scene, acts: Acts) -> tuple[float, float, int, list[str]]:
        """When it began, when it was over, which server it hit, and what ended of it."""
        load = self._load(_LEAD_S + acts.before + acts.fault + acts.after + 1)
        strike, heal = FAULTS[scene.fault]
        time.sleep(_LEAD_S + acts.before)
        struck = service.host(scene.role)
        zero = time.time()
        strike(service.disk(struck))
        time.sleep(max(0.0, zero + acts.fault - time.time()))
        healed = time.time()
        heal(service.disk(struck))
        ended = service.revive()
        load.wait(acts.after + 30)
        time.sleep(PATIENCE_S - 1)  # the last questions have their time, too
        return zero, healed, struck, ended

    def _load(self, seconds: int) -> Process:
        loader, relay = self._wires.loaders
        step = Step(next(self._numbers), RATE, seconds, RENEWALS)
        log = self._folder / "perfdhcp.log"
        return Process(loader.place.command(perfdhcp.command(step, loader.address, relay.address, 0)), log)
