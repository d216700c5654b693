"""What a backup every few seconds costs clients: the incident was a backup. Rounds of the same load, with and without.

`PYTHONPATH=tests python -m bench.saving [--leases N] [--rate N] [--rounds N] [--seconds N] [--every S]`: three nodes,
all of them asked, on a store that was filled before; the file goes to the disk of the machine that everything runs on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table

from bench import starting
from bench.capture import percentile
from bench.load import Bench
from bench.systems import ADMIN_PORT, Everlease
from bench.wires import Host, Wires
from everlease.backup.files import write_whole
from everlease.lab.processes import Process
from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.pb.admin.v1 import backup_service_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
SHARES = (0.5, 0.9, 0.99, 0.999)


@dataclass
class Side:
    """All rounds of one kind: delays in seconds, and how many exchanges were lost."""

    offers: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    lost: int = 0
    exchanges: int = 0
    by_round: list[float] = field(default_factory=list)

    def line(self, name: str) -> list[str]:
        """A row of the table."""
        values = [f"{percentile(values, share) * 1e3:.2f}" for values in (self.offers, self.acks) for share in SHARES]
        rounds = " ".join(f"{value * 1e3:.1f}" for value in self.by_round)
        return [name, f"{self.exchanges}", f"{self.lost}", *values, rounds]


def measure(system: Everlease, wires: Wires, folder: Path, chosen: argparse.Namespace) -> tuple[dict[str, Side], list]:
    """Rounds in turn; what clients saw, and what the saver says of each backup."""
    bench, sides, saves = Bench(wires, folder), {"without": Side(), "with": Side()}, []
    bench.step(system.targets(), 200, 3, system.pids())
    for number in range(2 * chosen.rounds):
        name = "with" if number % 2 else "without"
        if name == "with":
            with saving(wires.servers[0], folder, chosen.every) as told:
                _round(bench, system, chosen, sides[name])
            saves += told
        else:
            _round(bench, system, chosen, sides[name])
    return sides, saves


def _round(bench: Bench, system: Everlease, chosen: argparse.Namespace, side: Side) -> None:
    step = bench.step(system.targets(), chosen.rate, chosen.seconds, system.pids(), capture=True)
    assert step.delays is not None
    side.offers += step.delays.offer
    side.acks += step.delays.ack
    side.exchanges += step.report.acks
    side.lost += step.report.discovers - step.report.acks
    side.by_round.append(percentile(step.delays.ack, 0.99))


@contextmanager
def saving(host: Host, folder: Path, every: float) -> Iterator[list[dict[str, float]]]:
    """Saves on a host, one after the other; afterwards what was said of each of them."""
    log = folder / "saver.log"
    log.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "bench.saving", "--save-into", str(folder / "backup.jsonl"), "--every", str(every)]
    process = Process(host.place.command(argv), log, {"PYTHONPATH": str(ROOT / "tests")})
    told: list[dict[str, float]] = []
    try:
        yield told
    finally:
        process.stop()
        told += [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def save_for_ever(file: Path, every: float) -> None:
    """One save after the other, `every` seconds from start to start, until somebody ends the process."""
    with grpc.insecure_channel(f"127.0.0.1:{ADMIN_PORT}") as channel:
        stub = backup_service_pb2_grpc.BackupServiceStub(channel)
        while True:
            began = time.monotonic()
            size = write_whole(file, (piece.data for piece in stub.SaveBackup(pb.SaveBackupRequest())))
            took = time.monotonic() - began
            print(json.dumps({"seconds": round(took, 2), "bytes": size}), flush=True)
            time.sleep(max(every - took, 0))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--asked", type=int, default=1, help="nodes that hear clients")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "bench")
    parser.add_argument("--save-into", type=Path, default=None, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.save_into is not None:
        save_for_ever(chosen.save_into, chosen.every)
    folder = chosen.data / "saving"
    with Wires(chosen.data) as wires, Everlease(wires.servers, folder, asked=chosen.asked) as system:
        starting.fill(wires.servers[0], chosen.leases, folder)
        starting.settle(system)
        sides, saves = measure(system, wires, folder, chosen)
    table = Table(title=f"{chosen.leases:,} leases, {chosen.rate}/s, a backup each {chosen.every:g} s; milliseconds")
    for name in ("backups", "exchanges", "lost"):
        table.add_column(name)
    for kind in ("offer", "ack"):
        for share in SHARES:
            table.add_column(f"{kind} p{share * 100:g}")
    table.add_column("ack p99 by round")
    for name, side in sides.items():
        table.add_row(*side.line(name))
    console = Console(width=200)
    console.print(table)
    console.print("backups:", saves)


if __name__ == "__main__":
    main()
