"""`./tests/run.sh bench [--short] [--systems NAME,...] [--rates N,...]`: measure, print, write JSON."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from bench import disk, report
from bench.load import Bench
from bench.perfdhcp import ReportError
from bench.scenarios import Plan, measure, systems
from bench.wires import Wires
from lab.processes import LabError, run

ROOT = Path(__file__).resolve().parents[2]
_NAMES = ("kea", "kea-hot-standby", "everlease-one", "everlease-three")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tests/run.sh bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="steps of 2 s and a coarse search; minutes become one")
    parser.add_argument("--systems", default=",".join(_NAMES), help=f"of {', '.join(_NAMES)}")
    parser.add_argument("--rates", default="", help="try these rates instead of searching")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "bench", help="where servers keep data")
    parser.add_argument("--json", type=Path, default=ROOT / "artifacts" / "bench.json", help="where results go")
    parser.add_argument("--strict", action="store_true", help="exit 1 if an aim is not reached")
    chosen = parser.parse_args()
    unknown = set(chosen.systems.split(",")) - set(_NAMES)
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
        rows = []
        with Wires(chosen.data) as wires:
            bench, known = Bench(wires, chosen.data), systems(wires, chosen.data)
            for name in chosen.systems.split(","):
                with known[name]() as system:
                    rows.append(measure(name, system, bench, plan, console.print))
        report.write(chosen.json, rows, speed, _versions())
    except (LabError, ReportError) as error:
        console.print(f"[red]bench:[/] {error}")
        return 1
    report.show(console, rows, speed)
    return 1 if chosen.strict and not all(promise.kept for promise in report.promises(rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
