"""`./tests/run.sh bench [--short] [--systems NAME,...] [--rates N,...] [--starts N,...]`: measure, tell, save."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
from everlease.lab.processes import LabError
from everlease.lab.processes import run as output_of

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
    etcd = output_of(["etcd", "--version"]).splitlines()[0].split()[-1]
    return {"everlease": version("everlease"), "kea": output_of(["kea-dhcp4", "-v"]).strip(), "etcd": etcd}


class Run:
    """One run of the bench: what could be measured, and what could not."""

    def __init__(self, chosen: argparse.Namespace, wires: Wires, console: Console) -> None:
        self._chosen, self._wires, self._console = chosen, wires, console
        self.failed = False

    def loads(self) -> list[Row]:
        """Every system, one after the other; one that fails does not take the others' results with it."""
        rates = tuple(int(rate) for rate in self._chosen.rates.split(",") if rate)
        plan = Plan(seconds=2, rates=rates, near=1.3) if self._chosen.short else Plan(rates=rates)
        bench, known = Bench(self._wires, self._chosen.data), systems(self._wires, self._chosen.data)
        rows = []
        for name in filter(None, self._chosen.systems.split(",")):
            with self._reported(name), known[name]() as system:
                rows.append(measure(name, system, bench, plan, self._console.print))
        return rows

    def starts(self) -> list[Start]:
        """A node on each number of leases."""
        counts = [int(count) for count in self._chosen.starts.split(",") if count]
        starts: list[Start] = []
        for count in filter(None, counts or (SHORT_STARTS if self._chosen.short else AIMS)):
            hosts = self._wires.servers
            everlease = Everlease(hosts, self._chosen.data / "start", asked=len(hosts))
            with self._reported(f"start on {count:,} leases"), everlease as system:
                starts.append(starting.measure(system, hosts[-1], count))
                self._console.print(f"start on {count:,} leases: ready in {starts[-1].ready_s:.1f} s")
        return starts

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        try:
            yield
        except (LabError, ReportError) as error:
            self.failed = True
            self._console.print(f"[red]{what}:[/]", Text(str(error)))


def main() -> int:
    """Exit 0 when everything was measured, 1 when something could not be (or, with --strict, missed its aim)."""
    chosen = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        speed = disk.measure(chosen.data)
        with Wires(chosen.data) as wires:
            run = Run(chosen, wires, console)
            results = Results(speed, run.loads(), run.starts())
        report.write(chosen.json, results, _versions())
    except LabError as error:
        console.print("[red]bench:[/]", Text(str(error)))
        return 1
    report.show(console, results)
    missed = chosen.strict and not all(promise.kept for promise in report.promises(results))
    return 1 if run.failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
