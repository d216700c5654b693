"""The bench measures real servers: a step of load in namespaces, counted the same by perfdhcp and by the capture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Bench
from bench.systems import Kea
from bench.wires import Wires

RATE, SECONDS = 100, 2

pytestmark = [pytest.mark.root, pytest.mark.patient]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def wires(folder: Path) -> Iterator[Wires]:
    with Wires(folder, servers=2, loaders=1) as network:
        yield network


@pytest.mark.parametrize("servers", [1, 2], ids=["alone", "hot-standby"])
def test_a_step_on_kea_counts_each_exchange_once(wires: Wires, folder: Path, servers: int) -> None:
    with Kea(wires.servers[:servers], folder / "kea") as system:
        step = Bench(wires, folder).step(system.targets(), RATE, SECONDS, system.pids(), capture=True)
        assert set(step.cpu) == {f"kea{number}" for number in range(servers)}
    assert 0 < step.report.discovers <= RATE * SECONDS
    assert step.report.acks == step.report.discovers
    assert step.report.twice == 0
    assert step.delays is not None
    assert step.delays.missed == 0
    assert len(step.delays.offer) == len(step.delays.ack) == step.report.acks
    assert not (folder / "kea").exists()
