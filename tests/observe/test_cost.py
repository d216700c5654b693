"""What all metrics together cost a node: it observes and leaves it, in turns of half a second under a steady load.

So short, because the load of a machine, the size of a view and the length of a batch change from one minute to the next
by more than what is looked for; neighbouring turns have them alike.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from statistics import mean, quantiles

import pytest

from bench.load import Bench, Measured
from bench.systems import METRICS_PORT, Everlease
from bench.wires import Wires
from everlease.lab.netns import Namespace
from everlease.lab.processes import Process

pytestmark = [pytest.mark.root, pytest.mark.etcd]

RATE, WARM_UP, PAIRS = 4000, 3.0, 60
WITHIN_REACH = 0.7
"""Of what the machine does at most, where that is less than RATE: the load and the store are on it, too."""

TURN, SETTLES = 0.5, 0.02
"""Seconds of a turn, and until a signal has been heeded."""

SCRAPED_EVERY = 30
"""Turns: 15 s, as deploy/prometheus says."""

MAY_COST = 0.03
NORMAL = 0.93
"""Error of a median, for a distance of one between the quartiles and one value."""

TESTS = Path(__file__).resolve().parents[1]


class Single(Everlease):
    """One node and one member, so that the node gets a processor of its own."""

    def start_node(self, number: int) -> Process:
        self.program = [sys.executable, "-m", "observe.unobserved"]
        return super().start_node(number)


class Loaded:
    """A node under load."""

    def __init__(self, bench: Bench, system: Single, place: Namespace) -> None:
        self._bench, self._system, self._place = bench, system, place
        self._pid = system.pids()["node0"]

    def reach(self, rate: int) -> int:
        """The rate, or what of it the machine can hold."""
        step = self._step(rate, 5)
        return rate if step.held else int(WITHIN_REACH * step.goodput)

    def _step(self, rate: int, seconds: int) -> Measured:
        return self._bench.step(self._system.targets(), rate, seconds, {})

    def pairs(self, rate: int) -> list[tuple[float, float]]:
        """Shares of a processor that the node used in neighbouring turns, (with, without) metrics."""
        load = threading.Thread(target=self._step, args=(rate, int(WARM_UP + 2 * PAIRS * TURN) + 2))
        load.start()
        time.sleep(WARM_UP)
        found = []
        for number in range(PAIRS):
            order = (True, False) if number % 2 else (False, True)
            used = {observing: self._turn(number, observing=observing) for observing in order}
            found.append((used[True], used[False]))
        load.join()
        return found

    def _turn(self, number: int, *, observing: bool) -> float:
        os.kill(self._pid, signal.SIGUSR1 if observing else signal.SIGUSR2)
        time.sleep(SETTLES)
        before, begun = busy(self._pid), time.monotonic()
        if observing and number % SCRAPED_EVERY == 0:
            self._place.call(scrape)
        time.sleep(max(0.0, begun + TURN - time.monotonic()))
        return (busy(self._pid) - before) / (time.monotonic() - begun)


def busy(pid: int) -> float:
    """Seconds that all threads of a process have run; /proc/PID/schedstat counts nanoseconds."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def scrape() -> None:
    """As Prometheus does."""
    with closing(http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=10)) as connection:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        connection.getresponse().read()


@pytest.mark.parametrize("rate", [pytest.param(RATE, id="cost", marks=pytest.mark.slow)])
def test_metrics_cost_less_than_three_percent_of_a_nodes_processor(
    tmp_path: Path, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with Wires(tmp_path / "wires", servers=1, loaders=1) as wires, Single(wires.servers, tmp_path / "one", 1) as system:
        node = Loaded(Bench(wires, tmp_path), system, wires.servers[0].place)
        rate = node.reach(rate)
        pairs = node.pairs(rate)
    shares = [(observed - bare) / observed for observed, bare in pairs]
    low, cost, high = quantiles(shares)  # not the mean: a turn in which the machine does something else says nothing
    noise = NORMAL * (high - low) / len(shares) ** 0.5
    print(f"at {rate} exchanges/s the node uses {mean(used for used, _ in pairs):.0%} of a processor; ", end="")
    print(f"metrics cost {cost:.1%} of that, give or take {noise:.1%}")
    assert cost < MAY_COST
