"""What all metrics together cost a node: two nodes of one cluster, of which one times nothing, asked in turns."""

from __future__ import annotations

import http.client
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import pytest

from bench.load import Bench
from bench.systems import METRICS_PORT, Everlease
from bench.wires import Host, Wires
from everlease.lab.processes import Process

pytestmark = [pytest.mark.root, pytest.mark.etcd]

RATE, SECONDS, ROUNDS = 4000, 6, 7
WARM_UP = 300
SCRAPED_EVERY = 5.0
"""Seconds; three times as often as deploy/prometheus says."""

MAY_COST = 0.03
WITH, WITHOUT = 0, 1
TESTS = Path(__file__).resolve().parents[1]


class Pair(Everlease):
    """Node 1 is the one that observes nothing."""

    def start_node(self, number: int) -> Process:
        if number == WITHOUT:
            self.program = [sys.executable, "-m", "observe.unobserved"]
        return super().start_node(number)


@contextmanager
def scraped(host: Host) -> Iterator[None]:
    """As Prometheus does, while the block runs."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with closing(http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=10)) as connection:
                connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
                connection.getresponse().read()
            over.wait(SCRAPED_EVERY)

    thread = threading.Thread(target=host.place.call, args=(ask,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("rate", [pytest.param(RATE, id="cost", marks=pytest.mark.slow)])
def test_metrics_cost_less_than_three_percent_of_a_nodes_processor(
    tmp_path: Path, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    spent: dict[int, list[float]] = {WITH: [], WITHOUT: []}
    with Wires(tmp_path / "wires", servers=2, loaders=1) as wires, Pair(wires.servers, tmp_path / "pair", 2) as pair:
        bench, targets, pids = Bench(wires, tmp_path), pair.targets(), pair.pids()
        for number in (WITH, WITHOUT):
            bench.step([targets[number]], WARM_UP, 2, pids)
        for turn in range(ROUNDS):
            for number in (WITH, WITHOUT) if turn % 2 else (WITHOUT, WITH):
                if number == WITH:
                    with scraped(wires.servers[WITH]):
                        step = bench.step([targets[number]], rate, SECONDS, pids)
                else:
                    step = bench.step([targets[number]], rate, SECONDS, pids)
                each = step.cpu[f"node{number}"] / step.report.acks
                spent[number].append(each)
                name = "without" if number else "with"
                print(f"{name}: {step.goodput:.0f} exchanges/s, {each * 1e6:.1f} us of the node's processor each")
    cost = 1 - median(spent[WITHOUT]) / median(spent[WITH])
    print(f"metrics cost {cost:.1%} of a node's processor")
    assert cost < MAY_COST
