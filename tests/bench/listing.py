"""`python -m bench.listing`: what listing a million leases costs the clients that are served meanwhile.

One node of three is asked by clients, at a fixed rate, and lists at the same time: the worst case. Steps without a list
and steps beside one take turns, because a machine is not the same from minute to minute; the list must move the 99th
percentile of REQUEST to ACK by less than a fifth.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from threading import Timer

from bench.capture import percentile
from bench.load import Bench
from bench.starting import fill, settle
from bench.systems import ADMIN_PORT, Everlease
from bench.wires import Wires
from everlease.lab.processes import Process, wait_until

ROOT = Path(__file__).resolve().parents[2]
MAY_MOVE = 0.2
_BEGINS_S = 1.0


class Scene:
    """A system with its load, and somebody who lists when let."""

    def __init__(self, system: Everlease, wires: Wires, chosen: argparse.Namespace) -> None:
        self._system, self._chosen = system, chosen
        self._bench = Bench(wires, chosen.data)
        argv = [sys.executable, "-m", "bench.lister", f"127.0.0.1:{ADMIN_PORT}"]
        self._lister = Process(wires.servers[0].place.command(argv), system.folder / "lister.log")
        wait_until(self._listed, 60, "the list has begun")
        self._lister.pause()

    def _listed(self) -> int:
        numbers = [int(line) for line in self._lister.tail(50).splitlines() if line.isdigit()]
        return max(numbers, default=0)

    def alone(self) -> float:
        """The 99th percentile of one step without a list, milliseconds."""
        return self._step("alone")

    def beside(self) -> tuple[float, float]:
        """The same of one beside a list, and how many rows were listed meanwhile, per second."""
        before, timers = self._listed(), self._timers()
        for timer in timers:
            timer.start()
        p99 = self._step("beside a list")
        for timer in timers:
            timer.join()
        return p99, (self._listed() - before) / (self._chosen.seconds - _BEGINS_S)

    def _timers(self) -> tuple[Timer, Timer]:
        """Somebody lists while clients are served, not before they come nor after they have gone."""
        return Timer(_BEGINS_S, self._lister.resume), Timer(self._chosen.seconds, self._lister.pause)

    def _step(self, what: str) -> float:
        rate, seconds = self._chosen.rate, self._chosen.seconds
        step = self._bench.step(self._system.targets(), rate, seconds, self._system.pids(), capture=True)
        assert step.delays is not None
        p50, p99 = (percentile(step.delays.ack, share) * 1e3 for share in (0.5, 0.99))
        busy = {name: f"{step.cpu[name] / seconds:.0%}" for name in ("node0", "etcd0")}
        _say(f"{what}: {step.goodput:.0f}/s bound, {step.report.lost:.2%} lost, p50 {p50:.2f} p99 {p99:.2f} ms, {busy}")
        return p99

    def end(self) -> None:
        """Nobody lists any more; what went wrong meanwhile is told."""
        self._lister.kill()
        failed = [line for line in self._lister.tail(100_000).splitlines() if not line.isdigit()]
        for line in failed[:5]:
            _say(f"the lister: {line}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(chosen: argparse.Namespace, wires: Wires) -> bool:
    """Whether the promise was kept."""
    with Everlease(wires.servers, chosen.data / "listing", asked=1) as system:
        fill(wires.servers[0], chosen.leases, system.folder)
        settle(system)
        scene = Scene(system, wires, chosen)
        scene.alone()  # to warm up
        turns = [(scene.alone(), *scene.beside()) for _ in range(chosen.turns)]
        scene.end()
    alone, beside, rows = (statistics.median(column) for column in zip(*turns, strict=True))
    moved = beside / alone - 1
    _say(f"median p99 {alone:.2f} ms alone, {beside:.2f} ms beside a list of {rows:.0f} rows/s: moved by {moved:+.0%}")
    return moved < MAY_MOVE


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.listing", description=__doc__)
    parser.add_argument("--leases", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=2000, help="exchanges per second")
    parser.add_argument("--seconds", type=int, default=10, help="of a step")
    parser.add_argument("--turns", type=int, default=5, help="steps of each kind")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "bench")
    chosen = parser.parse_args()
    with Wires(chosen.data) as wires:
        return 0 if run(chosen, wires) else 1


if __name__ == "__main__":
    sys.exit(main())
