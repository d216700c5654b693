"""The simulated world: one time, one source of chance, etcd, hosts with clocks of their own, wires, and what happened.

Law: everything that happens is told here, in order; a trace of the same seed is the same, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from simulate.channel import Path
from simulate.etcd import Cluster
from simulate.loop import SimulatedLoop

if TYPE_CHECKING:
    from simulate.history import Recorder

EPOCH = 1_800_000_000.0
"""UTC at the beginning."""


@dataclass(slots=True)
class Clocks:
    """One host's clocks. boot: CLOCK_BOOTTIME less true time; wall: error of the wall clock, seconds; drift: of it."""

    boot: float = 0.0
    wall: float = 0.0
    drift: float = 0.0
    drift_since: float = 0.0

    def error(self, now: float) -> float:
        """Of the wall clock, seconds."""
        return self.wall + self.drift * (now - self.drift_since)


@dataclass(slots=True, eq=False)
class World:
    """seed: of everything; violations: (time, invariant's id, words); recorder: told of everything, or None."""

    seed: int
    tracing: bool = False
    trace: list[str] = field(default_factory=list)
    violations: list[tuple[float, str, str]] = field(default_factory=list)
    chance: Random = field(init=False)
    loop: SimulatedLoop = field(init=False)
    etcd: Cluster = field(init=False)
    paths: dict[tuple[str, str], Path] = field(default_factory=dict)
    recorder: Recorder | None = None

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)
        self.loop = SimulatedLoop(Random(self.seed ^ 0x5EED))
        self.etcd = Cluster(self.loop, Random(self.seed ^ 0xE7CD), ("m1:2379", "m2:2379", "m3:2379"))
        if self.tracing:
            self.etcd.noted = self.note

    @property
    def now(self) -> float:
        """True time, seconds since the beginning."""
        return self.loop.time()

    def note(self, words: str) -> None:
        """Something happened. (Who makes words at some cost asks `tracing` first.)"""
        if self.tracing:
            self.trace.append(f"{self.now:10.6f} {words}")

    def violate(self, invariant: str, words: str) -> None:
        """Something happened that must not."""
        self.note(f"!! {invariant}: {words}")
        self.violations.append((self.now, invariant, words))

    def path(self, host: str, member: str) -> Path:
        """The way from a host to a member of etcd."""
        found = self.paths.get((host, member))
        if found is None:
            found = self.paths[host, member] = Path(host, self.etcd, self.etcd.members[member])
        return found
