"""Load on one system: a step at one rate, and the search for the highest rate with at most 1 % lost.

A step goes to all of a system's targets at once, one load client each, with the rate divided among them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import perfdhcp, usage
from bench.capture import Delays, capturing, delays, frames, missed
from bench.perfdhcp import Report, Step
from bench.wires import Host, Wires
from everlease.lab.processes import Process

MAY_LOSE = 0.01


@dataclass(frozen=True)
class Measured:
    """One step. `rate` asked for, `offered` really sent, `goodput` ended in an ACK (all per second); CPU in seconds."""

    rate: int
    seconds: int
    report: Report
    cpu: dict[str, float] = field(default_factory=dict)
    delays: Delays | None = None

    @property
    def offered(self) -> float:
        """DISCOVERs per second that the load clients managed to send."""
        return self.report.discovers / self.seconds

    @property
    def goodput(self) -> float:
        """Exchanges per second that ended in an ACK."""
        return self.report.acks / self.seconds

    @property
    def held(self) -> bool:
        """At most 1 % lost, and the load was really offered."""
        return self.report.lost <= MAY_LOSE and self.offered >= 0.95 * self.rate

    def cpu_per_thousand(self) -> dict[str, float]:
        """CPU seconds per 1,000 leases of every server process."""
        leases = max(self.report.acks, 1) / 1000
        return {name: seconds / leases for name, seconds in self.cpu.items()}


class Bench:
    """The load clients on the wires, and the folder for what they write. Numbers every step of a run differently."""

    def __init__(self, wires: Wires, folder: Path) -> None:
        self._wires = wires
        self._folder = folder
        self._numbers = itertools.cycle(range(1, 256))

    def step(
        self, targets: list[str], rate: int, seconds: int, pids: Mapping[str, int], capture: bool = False
    ) -> Measured:
        """Offer `rate` per second in all to `targets` (server addresses) and say what became of it."""
        number = next(self._numbers)
        loaders = self._wires.loaders[: len(targets)]
        before = {name: usage.cpu_seconds(pid) for name, pid in pids.items()}
        with ExitStack() as stack:
            if capture:
                for loader in loaders:
                    file = self._capture_file(loader)
                    stack.enter_context(capturing(loader.place, loader.interface, file))
            report = self._run(Step(number, rate // len(targets), seconds), targets, loaders)
        cpu = {name: usage.cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        seen = self._read(loaders) if capture else None
        return Measured(rate, seconds, report, cpu, seen)

    def _run(self, step: Step, targets: list[str], loaders: list[Host]) -> Report:
        running: list[Process] = []
        for number, (loader, target) in enumerate(zip(loaders, targets, strict=True)):
            log = self._folder / f"perfdhcp-{loader.place.label}.log"
            log.unlink(missing_ok=True)
            argv = perfdhcp.command(step, loader.address, target, number)
            running.append(Process(loader.place.command(argv), log))
        for process in running:
            process.wait(step.seconds + 60)  # its exit code only says whether anything was dropped
            process.stop()
        return perfdhcp.total(perfdhcp.parse(process.log.read_text()) for process in running)

    def _capture_file(self, loader: Host) -> Path:
        return self._folder / f"{loader.place.label}.pcap"

    def _read(self, loaders: list[Host]) -> Delays:
        def packets() -> Iterator[tuple[float, bytes]]:
            for loader in loaders:
                yield from frames(self._capture_file(loader).read_bytes())

        seen = delays(packets())
        seen.missed = sum(missed(self._capture_file(loader)) for loader in loaders)
        for loader in loaders:
            self._capture_file(loader).unlink()
        return seen


def search(attempt: Callable[[int], Measured], first: int, most: int, near: float) -> list[Measured]:
    """Raise the rate until more than 1 % is lost, then close in until the rates on both sides of the limit differ by
    a factor of at most `near`; every step made, in order of time.

    A rate that nearly held is tried once more, because a busy machine loses packets that a server would not have lost.
    """
    steps: list[Measured] = []
    low, high, rate = 0, 0, first
    while 0 < rate <= most and not (low and high and high / low <= near):
        steps.append(attempt(rate))
        if not steps[-1].held and steps[-1].report.lost < 5 * MAY_LOSE:
            steps.append(attempt(rate))
        if steps[-1].held:
            low = rate
        else:
            high = rate
        rate = (low + high) // 2 if high else 2 * low
    return steps


def best(steps: list[Measured]) -> Measured | None:
    """The fastest step that held; None if none did."""
    return max((step for step in steps if step.held), key=lambda step: step.goodput, default=None)
