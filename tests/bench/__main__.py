"""`./tests/run.sh bench [--short] [--systems NAME,...] [--rates N,...] [--starts N,...]`: measure, tell, save."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench import disk, report, starting
from bench.load import Bench
from bench.perfdhcp import ReportError
from bench.report import Results
from bench.scenarios import Plan, Row, measure, systems
from bench.starting import AIMS, Start
from bench.systems import Everlease
from bench.wires import Wires
from lab.processes import LabError, run

ROOT = Path(__file__).resolve().parents[2]
SHORT_STARTS = (100_000,)
_NAMES = ("kea", "kea-hot-standby", "everlease-one", "everlease-three")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tests/run.sh bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="steps of 2 s and a coarse search; minutes become one")
    parser.add_argument("--systems", default=",".join(_NAMES), help=f"of {', '.join(_NAMES)}")
    parser.add_argument("--starts", default="", help="leases in etcd for the starts; '0' = none; both aims by default")
    parser.add_argument("--rates", default="", help="try these rates instead of searching")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "bench", help="where servers keep data")
    parser.add_argument("--json", type=Path, default=ROOT / "artifacts" / "bench.json", help="where results go")
    parser.add_argument("--strict", action="store_true", help="exit 1 if an aim is not reached")
    chosen = parser.parse_args()
    unknown = set(filter(None, chosen.systems.split(","))) - set(_NAMES)
    if unknown:
        parser.error(f"no such system: {', '.join(sorted(unknown))}")
    return chosen


def _versions() -> dict[str, str]:
    etcd = run(["etcd", "--version"]).splitlines()[0].split()[-1]
    return {"everlease": version("everlease"), "kea": run(["kea-dhcp4", "-v"]).strip(), "etcd": etcd}


def main() -> int:
    """Exit 0 when everything was measured, 1 when something could not be."""
    chosen = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    rates = tuple(int(rate) for rate in chosen.rates.split(",") if rate)
    plan = Plan(seconds=2, rates=rates, near=1.3) if chosen.short else Plan(rates=rates)
    try:
        speed = disk.measure(chosen.data)
        with Wires(chosen.data) as wires:
            rows = _loads(chosen, wires, plan, console)
            results = Results(speed, rows, _starts(chosen, wires, console))
        report.write(chosen.json, results, _versions())
    except (LabError, ReportError) as error:
        console.print("[red]bench:[/]", Text(str(error)))
        return 1
    report.show(console, results)
    return 1 if chosen.strict and not all(promise.kept for promise in report.promises(results)) else 0


def _loads(chosen: argparse.Namespace, wires: Wires, plan: Plan, console: Console) -> list[Row]:
    bench, known, rows = Bench(wires, chosen.data), systems(wires, chosen.data), []
    for name in filter(None, chosen.systems.split(",")):
        with known[name]() as system:
            rows.append(measure(name, system, bench, plan, console.print))
    return rows


def _starts(chosen: argparse.Namespace, wires: Wires, console: Console) -> list[Start]:
    counts = [int(count) for count in chosen.starts.split(",") if count] or (SHORT_STARTS if chosen.short else AIMS)
    starts = []
    for count in filter(None, counts):
        with Everlease(wires.servers, chosen.data / "start", asked=len(wires.servers)) as system:
            starts.append(starting.measure(system, wires.servers[-1], count))
        console.print(f"start on {count:,} leases: ready in {starts[-1].ready_s:.1f} s")
    return starts


if __name__ == "__main__":
    sys.exit(main())
