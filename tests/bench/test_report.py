"""What the report claims: only aims that the run could judge, and each from the numbers beside it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.disk import Disk
from bench.report import Results, promises, show, write
from bench.scenarios import Latency, Row
from bench.starting import Start

QUICK = Latency(0.2, 1.0, 2.0, 20.0, 24.0)
DISK = Disk("ext4", 0.2, 0.9)


def row(system: str, peak: float, **more: object) -> Row:
    """A system that was driven to its limit."""
    cpu = {"node0": 0.06, "etcd0": 0.04}
    known = Row(system, "fsync", peak, True, QUICK, 2 * peak, 0.9 * peak, QUICK, cpu, 0, 0, ((1000, 999.0, 0.0),))
    return replace(known, **more)


def kept(*rows: Row, starts: tuple[Start, ...] = ()) -> dict[str, bool]:
    """The judged aims by their text."""
    return {promise.text: promise.kept for promise in promises(Results(DISK, rows, starts))}


def test_twice_the_rate_of_the_pair_is_asked_for() -> None:
    text = ">= 2.0 times the rate of kea-hot-standby"
    assert kept(row("everlease-one", 6000), row("kea-hot-standby", 3000))[text]
    assert not kept(row("everlease-one", 5990), row("kea-hot-standby", 3000))[text]


def test_a_comparison_with_a_system_that_was_not_driven_to_its_limit_is_not_made() -> None:
    judged = kept(row("everlease-one", 500), row("kea", 500, limited=False))
    assert not [text for text in judged if "times the rate" in text]


def test_nothing_is_claimed_of_twice_a_capacity_that_is_not_known() -> None:
    judged = kept(row("everlease-one", 500, limited=False))
    assert not [text for text in judged if "twice the capacity" in text]


def test_one_late_ack_is_enough_to_miss_the_aim() -> None:
    judged = kept(row("everlease-one", 5000, overload=replace(QUICK, oldest_ack=1001.0)))
    assert not judged["twice the capacity offered: no ACK older than 1 s"]


def test_without_everlease_nothing_is_claimed() -> None:
    assert kept(row("kea", 8000), row("kea-hot-standby", 3000)) == {}


@pytest.mark.parametrize(("stall", "expected"), [(19.0, True), (21.0, False)])
def test_a_start_is_judged_by_time_memory_and_stall(stall: float, expected: bool) -> None:
    start = Start(1_000_000, 14.0, 590.0, 595.0, stall, 1.0, 9.0, 600.0, 5.0, 3.0, 1.0)
    assert list(kept(starts=(start,)).values()) == [expected]
    again = replace(start, longest_stall_ms=3.0, reload_stall_ms=stall)
    assert list(kept(starts=(again,)).values()) == [expected]


def test_the_table_and_the_document_hold_every_system(tmp_path: Path) -> None:
    results = Results(DISK, [row("kea", 8000), row("everlease-one", 7000)], [])
    console = Console(file=io.StringIO(), width=120)
    show(console, results)
    shown = console.file.getvalue()
    assert "8,000" in shown
    assert "7,000" in shown
    write(tmp_path / "bench.json", results, {"etcd": "3.4.23"})
    document = json.loads((tmp_path / "bench.json").read_text())
    assert [system["system"] for system in document["systems"]] == ["kea", "everlease-one"]
    assert document["disk"]["filesystem"] == "ext4"
