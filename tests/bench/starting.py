"""A node that starts on a full store: how soon it would answer, what it holds in memory, and whether its loop stalls;
then the same node, serving, reads the whole store again because it was compacted under its watch.

The stall is seen from outside: /healthz is asked every few milliseconds while the node loads, and the longest wait for
an answer is an upper bound, for it holds the machine's own scheduling too: nodes and members share its cores. How much
that may be is shown by `noise`: the most by which the asking thread itself woke up too late.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import usage
from bench.systems import METRICS_PORT, Everlease
from bench.wires import Host
from everlease.lab.processes import LabError, Process, wait_until

_FILL_S, _READY_S = 600, 120
_ASK_EVERY_S = 0.002
_SCRAPE_EVERY_S = 0.25  # each scrape takes turns of the loop, too
_SETTLE_S, _IDLE = 120, 0.5  # after the fill the other nodes work off their watch; then they use less CPU than this


@dataclass(frozen=True)
class Start:
    """One node started on `leases` records. Seconds, MB (10^6 bytes), milliseconds; `store_mb` is one member's file.

    cpu_s: of the start alone; reload_s: from when the node was let go on until it had listed everything again.
    """

    leases: int
    ready_s: float
    resident_mb: float
    peak_mb: float
    longest_stall_ms: float
    noise_ms: float
    cpu_s: float
    store_mb: float
    reload_s: float
    reload_stall_ms: float
    reload_noise_ms: float


@dataclass(frozen=True)
class Aim:
    """What the project promises for a number of leases."""

    ready_s: float
    resident_mb: float
    stall_ms: float = 20.0


AIMS = {100_000: Aim(2.0, 120.0), 1_000_000: Aim(15.0, 600.0)}


def measure(system: Everlease, host: Host, leases: int) -> Start:
    """Fill the store of a system that serves, and start its last node again on `host`."""
    last = len(system.targets()) - 1
    system.end_node(last)
    fill(host, leases, system.folder)
    settle(system)
    begun = time.monotonic()
    process = system.start_node(last)
    with _Watch(host) as watch:
        while not system.ready(last):
            if time.monotonic() - begun > _READY_S:
                raise LabError(f"not ready after {_READY_S} s on {leases} leases:\n{process.tail()}")
            time.sleep(0.01)
        ready = time.monotonic() - begun
    cpu_s = usage.cpu_seconds(process.pid)
    resident_mb, peak_mb = usage.megabytes(process.pid), usage.megabytes(process.pid, "VmHWM")
    reload_s, again = _reload(system, host, process)
    return Start(
        leases=leases,
        ready_s=ready,
        resident_mb=resident_mb,
        peak_mb=peak_mb,
        longest_stall_ms=watch.longest * 1e3,
        noise_ms=watch.noise * 1e3,
        cpu_s=cpu_s,
        store_mb=system.store_bytes() / 1e6,
        reload_s=reload_s,
        reload_stall_ms=again.longest * 1e3,
        reload_noise_ms=again.noise * 1e3,
    )


def _reload(system: Everlease, host: Host, process: Process) -> tuple[float, _Watch]:
    """Seconds in which a serving node lists everything again, and how its loop did meanwhile."""
    etcd, before = system.members, host.place.call(_reloads)
    process.pause()
    for number in range(len(etcd.members)):  # wherever its watch is, it breaks
        etcd.kill(number)
        etcd.start_member(number)
        etcd.wait_healthy(_SETTLE_S)
    revision = json.loads(etcd.etcdctl("get", "/", "--write-out=json"))["header"]["revision"]
    etcd.etcdctl("compact", str(revision))
    process.resume()
    begun = time.monotonic()
    host.place.call(_reloads)  # what the pause left to do is not the listing's doing
    with _Watch(host) as watch:
        what = "the node has listed everything again"
        wait_until(lambda: host.place.call(_reloads) > before, _READY_S, what, every=_SCRAPE_EVERY_S)
    return time.monotonic() - begun, watch


def _reloads() -> int:
    """How often the node has read its view again."""
    connection = http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=10)
    with closing(connection):
        connection.request("GET", "/metrics")
        found = re.search(rb"^everlease_view_reloads_total (\d+)", connection.getresponse().read(), re.MULTILINE)
    if found is None:
        raise LabError("the node does not tell how often it read its view again")
    return int(found[1])


def settle(system: Everlease) -> None:
    """Wait until the nodes that run have worked off what was written."""
    wait_until(lambda: _idle(system.pids()), _SETTLE_S, "the nodes have caught up")


def fill(host: Host, leases: int, folder: Path) -> None:
    """Write so many leases into the store, from a host."""
    argv = [sys.executable, "-m", "bench.prefill", "--etcd", f"http://{host.address}:2379", "--leases", str(leases)]
    process = Process(host.place.command(argv), folder / "prefill.log")
    if process.wait(_FILL_S):
        raise LabError(f"etcd could not be filled:\n{process.tail()}")
    process.stop()


def _idle(pids: Mapping[str, int]) -> bool:
    """Whether all processes together used little CPU during one second."""
    before = sum(map(usage.cpu_seconds, pids.values()))
    time.sleep(1)
    return sum(map(usage.cpu_seconds, pids.values())) - before < _IDLE


class _Watch:
    """Asks the node whether it lives until the block ends; `longest` wait for an answer, and `noise`, in seconds."""

    def __init__(self, host: Host) -> None:
        self.longest = 0.0
        self.noise = 0.0
        self._host = host
        self._over = threading.Event()
        self._thread = threading.Thread(target=host.place.call, args=(self._ask,))

    def _ask(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=10)
            with suppress(OSError, http.client.HTTPException):
                self._ask_on(connection)
            connection.close()
            time.sleep(_ASK_EVERY_S)

    def _ask_on(self, connection: http.client.HTTPConnection) -> None:
        connection.connect()  # refused until the process listens: that time is start-up, not a stall
        while not self._over.is_set():
            asked = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            answered = time.perf_counter()
            self.longest = max(self.longest, answered - asked)
            time.sleep(_ASK_EVERY_S)
            self.noise = max(self.noise, time.perf_counter() - answered - _ASK_EVERY_S)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
