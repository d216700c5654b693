"""The results as a table for people and as JSON for programs, with the project's aims beside what was measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.disk import Disk
from bench.scenarios import FIXED_RATE, Row
from bench.starting import AIMS, Start


@dataclass(frozen=True)
class Promise:
    """A line of the project's aims: what it says, and what this run measured."""

    text: str
    measured: str
    kept: bool


@dataclass(frozen=True)
class Results:
    """Everything that a run measured."""

    disk: Disk
    rows: Sequence[Row]
    starts: Sequence[Start]


def promises(results: Results) -> list[Promise]:
    """The aims that this run can judge: those whose systems were measured."""
    return _speed(results.rows) + _starts(results.starts)


def _speed(rows: Sequence[Row]) -> list[Promise]:
    by_name = {row.system: row for row in rows}
    ours = by_name.get("everlease-one")
    if ours is None:
        return []
    found = [
        Promise(
            f"ACK p50 <= 4 ms and p99 <= 25 ms at {FIXED_RATE}/s",
            f"{ours.at_fixed.ack_p50:.1f} and {ours.at_fixed.ack_p99:.1f} ms",
            ours.at_fixed.ack_p50 <= 4 and ours.at_fixed.ack_p99 <= 25,
        ),
    ]
    if ours.limited:
        found += _overload(ours)
    for peer, least in (("kea-hot-standby", 2.0), ("kea", 0.8)):
        if peer in by_name and by_name[peer].limited:
            ratio = _share(ours.peak, by_name[peer].peak)
            found.append(Promise(f">= {least} times the rate of {peer}", f"{ratio:.2f}", ratio >= least))
    return found


def _overload(ours: Row) -> list[Promise]:
    kept = _share(ours.overload_goodput, ours.peak)
    age = ours.overload.oldest_ack
    return [
        Promise("twice the capacity offered: goodput >= 80 % of the peak", f"{kept:.0%}", kept >= 0.8),
        Promise("twice the capacity offered: no ACK older than 1 s", f"{age:.0f} ms", age <= 1000),
    ]


def _starts(starts: Sequence[Start]) -> list[Promise]:
    found = []
    for start in starts:
        if aim := AIMS.get(start.leases):
            text = f"{start.leases:,} leases: ready in {aim.ready_s:.0f} s, {aim.resident_mb:.0f} MB, no stall over"
            stall = max(start.longest_stall_ms, start.reload_stall_ms)
            measured = (start.ready_s, start.resident_mb, stall)
            kept = all(value <= most for value, most in zip(measured, astuple(aim), strict=True))
            said = f"{start.ready_s:.1f} s, {start.resident_mb:.0f} MB, {stall:.0f} ms"
            found.append(Promise(f"{text} {aim.stall_ms:.0f} ms", said, kept))
    return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def show(console: Console, results: Results) -> None:
    """One table with a column for each system, one of starts, then the promises."""
    disk = results.disk
    console.print(f"Data on {disk.filesystem}: fdatasync p50 {disk.p50_ms:.2f} ms, p99 {disk.p99_ms:.2f} ms")
    if results.rows:
        console.print(_table(results.rows))
    if results.starts:
        console.print(_start_table(results.starts))
    for promise in promises(results):
        mark = "[green]kept[/]" if promise.kept else "[red]not kept[/]"
        console.print(f"{mark}  {promise.text}: {promise.measured}")


_CELLS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("an ACK survives by", lambda row: row.durability),
    ("peak at <= 1 % lost, exchanges/s", lambda row: f"{'' if row.limited else '>= '}{row.peak:,.0f}"),
    (f"OFFER at {FIXED_RATE}/s, p50 / p99 ms", lambda row: _ms(row.at_fixed.offer_p50, row.at_fixed.offer_p99)),
    (f"ACK at {FIXED_RATE}/s, p50 / p99 ms", lambda row: _ms(row.at_fixed.ack_p50, row.at_fixed.ack_p99)),
    ("twice the peak offered, exchanges/s", lambda row: f"{row.overload_offered:,.0f}"),
    ("  goodput, exchanges/s", lambda row: f"{row.overload_goodput:,.0f}"),
    ("  ACK, p50 / p99 / oldest ms", lambda row: _ms(*astuple(row.overload)[2:])),
    ("addresses given twice", lambda row: str(row.twice)),
    ("packets that the capture missed", lambda row: str(row.missed)),
    ("CPU s per 1,000 leases, all", lambda row: f"{sum(row.cpu.values()):.3f}"),
    ("  each process", lambda row: "\n".join(f"{name} {seconds:.3f}" for name, seconds in row.cpu.items())),
)


def _ms(*values: float) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="New leases; latencies from a capture, by client and xid")
    table.add_column("")
    for row in rows:
        table.add_column(row.system, justify="right")
    for title, cell in _CELLS:
        table.add_row(title, *(cell(row) for row in rows))
    return table


def _start_table(starts: Sequence[Start]) -> Table:
    table = Table(title="A node that starts on a full store, and reads it again, beside two others and three members")
    for title in (
        "leases",
        "ready s",
        "resident MB",
        "peak MB",
        "longest stall ms",
        "noise ms",
        "CPU s",
        "one member's file MB",
        "reload s",
        "longest stall ms",
        "noise ms",
    ):
        table.add_column(title, justify="right")
    for start in starts:
        first, *rest = astuple(start)
        table.add_row(f"{first:,}", *(f"{value:.1f}" for value in rest))
    return table


def write(file: Path, results: Results, versions: dict[str, str]) -> None:
    """Everything that was measured, and on what."""
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    document = {
        "machine": machine,
        "versions": versions,
        "disk": asdict(results.disk),
        "systems": [asdict(row) for row in results.rows],
        "starts": [asdict(start) for start in results.starts],
        "promises": [asdict(promise) for promise in promises(results)],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n")
