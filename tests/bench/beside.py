"""What work for an administrator costs the clients that are served meanwhile: lists, backups.

One node of three is asked by clients, at a fixed rate without a pause, and works at the same time: the worst case.
Blocks of two seconds without the work and beside it take turns under that one load (alone, beside, beside, alone, ...).
Each has a 99th percentile of REQUEST to ACK; each one beside the work is compared with its neighbour alone, for a
machine is not the same from minute to minute, and the median of all pairs counts: a stall of a disk spoils a pair, not
the measurement. By how much the pairs disagree says what the machine did by itself. Who asks for the work has the
lowest priority: what it does with the answers is not the node's cost.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bench import usage
from bench.capture import Delays, percentile
from bench.load import Bench
from bench.starting import fill, settle
from bench.systems import ADMIN_PORT, Everlease
from bench.wires import Wires
from everlease.lab.processes import Process, wait_until

ROOT = Path(__file__).resolve().parents[2]
DRAWS = 1000
"""Times that chance says which of two blocks was alone."""

WARM_S, SETTLING_S = 4.0, 0.3
"""Of the load, until blocks count; of a block, for the page that is on its way when the lister is stopped."""

FEWEST = 100
"""ACKs of a block that counts."""


@dataclass
class Block:
    """Some seconds of the load. start, end: seconds UTC; cpu: seconds of each process meanwhile; rows: worked on."""

    beside: bool
    start: float
    end: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return percentile(self.delays, 0.99) * 1e3


Pair = tuple[Block, Block]
"""Neighbours: one alone, one beside the work."""


@dataclass(frozen=True)
class Work:
    """name: for people; asker: a module that asks a node for it again and again, and prints how many rows have come.

    may_move: by how much it may move the 99th percentile, 0.2 = a fifth; None = no more than the machine itself does.
    """

    name: str
    asker: str
    leases: int
    rate: int
    may_move: float | None


class Asker:
    """Somebody who asks for the work when let."""

    def __init__(self, work: Work, system: Everlease, wires: Wires) -> None:
        argv = ["nice", "-n", "19", sys.executable, "-m", work.asker, f"127.0.0.1:{ADMIN_PORT}"]
        self._process = Process(wires.servers[0].place.command(argv), system.folder / "asker.log")
        self.pid = self._process.pid
        wait_until(self.rows, 60, f"{work.name} has begun")
        self._process.pause()

    def rows(self) -> int:
        """How many have come so far."""
        numbers = [int(line) for line in self._process.tail(50).splitlines() if line.isdigit()]
        return max(numbers, default=0)

    def let(self, asks: bool) -> None:
        """Go on, or stop."""
        if asks:
            self._process.resume()
        else:
            self._process.pause()

    def end(self) -> None:
        """Nobody asks any more; what went wrong meanwhile is told."""
        self._process.kill()
        for line in [line for line in self._process.tail(100_000).splitlines() if not line.isdigit()][:5]:
            _say(f"who asked: {line}")


class Turns:
    """Lets the asker ask in every other block, in a thread, until it is ended; `blocks` are those that are over."""

    def __init__(self, asker: Asker, seconds: float, pids: dict[str, int]) -> None:
        self.blocks: list[Block] = []
        self._asker, self._seconds, self._pids = asker, seconds, pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        number = 0
        while not self._over.is_set():
            beside = number % 4 in (1, 2)
            self._asker.let(beside)
            block, rows, before = Block(beside, time.time() + SETTLING_S), self._asker.rows(), self._cpu()
            self._over.wait(self._seconds)
            block.end, block.rows = time.time(), self._asker.rows() - rows
            block.cpu = {name: seconds - before[name] for name, seconds in self._cpu().items()}
            self.blocks.append(block)
            number += 1
        self._asker.let(False)

    def _cpu(self) -> dict[str, float]:
        return {name: usage.cpu_seconds(pid) for name, pid in self._pids.items()}

    def end(self) -> list[Block]:
        """No more turns; the blocks."""
        self._over.set()
        self._thread.join()
        return self.blocks


def pairs(blocks: Sequence[Block], seen: Delays) -> list[Pair]:
    """Neighbours within the load, each with the delays of the REQUESTs that were sent in it."""
    delays = sorted(zip(seen.asked, seen.ack, strict=True))
    first, last = delays[0][0] + WARM_S, delays[-1][0]
    for block in blocks:
        of_block = slice(bisect_left(delays, (block.start,)), bisect_left(delays, (block.end,)))
        block.delays = [delay for _, delay in delays[of_block]]
    return [
        (two, one) if one.beside else (one, two)
        for one, two in zip(blocks[::2], blocks[1::2], strict=False)
        if one.start >= first and two.end <= last and min(len(one.delays), len(two.delays)) >= FEWEST
    ]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def told(name: str, blocks: Sequence[Block]) -> None:
    """Two lines for some blocks."""
    p99s = [block.p99 for block in blocks]
    low, median, high = statistics.quantiles(p99s, n=4)
    everything = [delay for block in blocks for delay in block.delays]
    p50, pooled = (percentile(everything, share) * 1e3 for share in (0.5, 0.99))
    seconds = sum(block.end - block.start + SETTLING_S for block in blocks)
    busy = {each: f"{sum(block.cpu[each] for block in blocks) / seconds:.1%}" for each in blocks[0].cpu}
    rows = sum(block.rows for block in blocks) / seconds
    _say(f"{name}: {len(blocks)} blocks, median p99 {median:.2f} ms (half of them {low:.2f} to {high:.2f})")
    _say(f"    of all together p50 {p50:.2f} p99 {pooled:.2f} ms; {rows:.0f} rows/s; CPU {busy}")


def moved(both: Sequence[Pair]) -> tuple[float, float]:
    """By how much the work moves p99, and by how much the median of such pairs moves by itself in 19 of 20 draws."""
    steps = [math.log(beside.p99 / alone.p99) for alone, beside in both]
    middle, chance = statistics.median(steps), Random(1)
    draws = (statistics.median(chance.choice((1, -1)) * (step - middle) for step in steps) for _ in range(DRAWS))
    return math.expm1(middle), math.expm1(percentile(sorted(map(abs, draws)), 0.95))


def compared(work: Work, both: Sequence[Pair]) -> bool:
    """Tell what the work did, beside what the machine does by itself; whether the promise was kept."""
    told("alone", [alone for alone, _ in both])
    told(f"beside {work.name}", [beside for _, beside in both])
    by_work, by_itself = moved(both)
    _say(f"{work.name} moves p99 by {by_work:+.1%}; the machine by itself by {by_itself:.1%}")
    return by_work < (by_itself if work.may_move is None else work.may_move)


def run(work: Work, chosen: argparse.Namespace, wires: Wires) -> bool:
    """Whether the promise was kept."""
    with Everlease(wires.servers, chosen.data / "beside", asked=1) as system:
        fill(wires.servers[0], chosen.leases, system.folder)
        settle(system)
        asker = Asker(work, system, wires)
        turns = Turns(asker, chosen.block, system.pids() | {"asker": asker.pid})
        step = Bench(wires, chosen.data).step(system.targets(), chosen.rate, chosen.seconds, {}, capture=True)
        blocks = turns.end()
        asker.end()
    assert step.delays is not None
    _say(f"{step.goodput:.0f} exchanges/s ended in an ACK, {step.report.lost:.2%} lost, {step.delays.missed} not seen")
    return compared(work, pairs(blocks, step.delays))


def main(work: Work, about: str | None) -> int:
    """The command line of a measurement: exit 0 when its promise was kept."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--leases", type=int, default=work.leases)
    parser.add_argument("--rate", type=int, default=work.rate, help="exchanges per second")
    parser.add_argument("--seconds", type=int, default=120, help="of the load")
    parser.add_argument("--block", type=float, default=2.0, help="seconds with or without the work")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "bench")
    chosen = parser.parse_args()
    with Wires(chosen.data) as wires:
        return 0 if run(work, chosen, wires) else 1
