"""What all metrics together cost a node: two nodes of one cluster, of which one times nothing, asked in turns."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from statistics import median

import pytest

from bench.load import Bench
from bench.systems import METRICS_PORT, Everlease
from bench.wires import Host, Wires
from everlease.lab.processes import Process

pytestmark = [pytest.mark.root, pytest.mark.etcd]

RATE, SECONDS, ROUNDS = 4000, 5, 9
WITHIN_REACH = 0.7
"""Of what the machine does at most, where that is less than RATE: with the load, two members and two nodes on it."""

MAY_COST = 0.03
WITH, WITHOUT = 0, 1
TESTS = Path(__file__).resolve().parents[1]


class Pair(Everlease):
    """Node 1 is the one that observes nothing."""

    def start_node(self, number: int) -> Process:
        if number == WITHOUT:
            self.program = [sys.executable, "-m", "observe.unobserved"]
        return super().start_node(number)


class Asker:
    """Load on one of the two, and what it cost that node."""

    def __init__(self, bench: Bench, pair: Pair, observed: Host) -> None:
        self._bench, self._pair, self._observed = bench, pair, observed

    def reach(self, number: int, rate: int) -> int:
        """The rate, or what of it a node can hold for long."""
        step = self._bench.step([self._pair.targets()[number]], rate, SECONDS, {})
        return rate if step.held else int(WITHIN_REACH * step.goodput)

    def spent(self, number: int, rate: int) -> float:
        """Seconds of the node's processor for one exchange."""
        around = scraped(self._observed) if number == WITH else nullcontext()
        with around:
            step = self._bench.step([self._pair.targets()[number]], rate, SECONDS, self._pair.pids())
        return step.cpu[f"node{number}"] / step.report.acks


@contextmanager
def scraped(host: Host) -> Iterator[None]:
    """Once while the block runs, as Prometheus does: three times as often as deploy/prometheus says."""

    def ask() -> None:
        time.sleep(SECONDS / 2)
        with closing(http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=10)) as connection:
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            connection.getresponse().read()

    thread = threading.Thread(target=host.place.call, args=(ask,), daemon=True)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("rate", [pytest.param(RATE, id="cost", marks=pytest.mark.slow)])
def test_metrics_cost_less_than_three_percent_of_a_nodes_processor(
    tmp_path: Path, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    ratios = []
    with Wires(tmp_path / "wires", servers=2, loaders=1) as wires, Pair(wires.servers, tmp_path / "pair", 2) as pair:
        asker = Asker(Bench(wires, tmp_path), pair, wires.servers[WITH])
        rate = min(asker.reach(number, rate) for number in (WITH, WITHOUT))
        for turn in range(ROUNDS):
            order = (WITH, WITHOUT) if turn % 2 else (WITHOUT, WITH)
            spent = {number: asker.spent(number, rate) for number in order}
            ratios.append(spent[WITHOUT] / spent[WITH])
            print(f"at {rate} exchanges/s: {spent[WITH] * 1e6:.1f} us each, without {spent[WITHOUT] * 1e6:.1f} us")
    cost = 1 - median(ratios)
    print(f"metrics cost {cost:.1%} of a node's processor at {rate} exchanges/s")
    assert cost < MAY_COST
