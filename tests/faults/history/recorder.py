"""Records a run of a site: `Recorder(site).start()`, then `site.start()`, taps and faults, and `finish()` at the end.

Law: the recorder stands beside the service: a host of its own on the backbone, sockets that only listen, and what nodes
write anyway. No fault is injected into it; what it misses all the same is written down as a gap.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from bench.capture import missed
from everlease.config.load import load
from everlease.core.identity import BY_CLIENT_ID
from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError, Process, wait_until
from faults.history import events, frames, lines
from faults.history.events import Event, Fault, Gap, Mark, Scrape, Setup, Usage
from faults.history.model import History
from lab.site import FIRST_NETWORK, Site

TESTS = Path(__file__).resolve().parents[2]
OWN_ADDRESS = "10.99.0.250/24"
RETIRED = 0.5
"""Seconds until what was seen is written: packets one by one, commits as the watch brings them."""


class Recorder:
    """Make it before the site is started: nodes are told to log their ACKs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.lab.folder / "history"
        self._folder.mkdir()
        self._began = time.time()
        self._events: list[Event] = []
        self._places: dict[str, str] = {}
        self._taps: dict[str, Process] = {}
        self._watcher: Process | None = None
        for node in site.nodes:
            node.arguments.append("--log-leases")

    def start(self) -> Recorder:
        """Begin to watch the store, which need not be there yet."""
        site = self._site
        observer = site.lab.namespace("observer")
        site.backbone.connect(observer, "eth0", address=OWN_ADDRESS)
        argv = ["-m", "faults.history.watcher", str(self._commits), "/everlease", *site.etcd.endpoints]
        self._watcher = site.lab.start(observer, sys.executable, *argv, log="watcher", PYTHONPATH=str(TESTS))
        return self

    @property
    def _commits(self) -> Path:
        return self._folder / "commits.jsonl"

    def tap(self, namespace: Namespace, link: str = "", interface: str = "eth0", but: str = "") -> None:
        """Keep what is on a client namespace's wire; link: the site's link that it is on, "" = behind a relay.

        but: what to leave out, for pcap-filter(7).
        """
        self._places[namespace.label] = link
        file = self._folder / f"{namespace.label}.pcap"
        options = [
            "-i",
            interface,
            "-n",
            "-s",
            "2048",
            "-B",
            "32768",
            "-U",
            "--time-stamp-precision=nano",
            "-Z",
            "root",
        ]
        options.append("--immediate-mode")  # no block of the kernel's waits to be filled
        argv = namespace.command(["tcpdump", *options, "-w", str(file), f"udp port 67{but and f' and not ({but})'}"])
        process = self._taps[namespace.label] = Process(argv, file.with_suffix(".log"))
        self._site.lab.on_close(process.kill)
        wait_until(lambda: "listening on" in process.tail(), 10, "tcpdump listens")

    # --- what the scenario says ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def fault(self, id_: str, what: str) -> Iterator[None]:
        """A fault is there while the block runs."""
        self._events.append(Fault(time.time(), id_, what, True))
        try:
            yield
        finally:
            self._events.append(Fault(time.time(), id_, what, False))

    def mark(self, what: str) -> None:
        """See `events.Mark`."""
        self._events.append(Mark(time.time(), what))

    def add(self, event: Event) -> None:
        """An event of the scenario's own: a Call of the admin API."""
        self._events.append(event)

    def scrape(self) -> None:
        """/metrics of every node that answers."""
        for node in self._site.nodes:
            with contextlib.suppress(LabError):
                read = [(_sample(name, labels), value) for name, labels, value in node.metrics()]
                finite = {name: value for name, value in read if isfinite(value)}  # JSON knows no NaN
                self._events.append(Scrape(time.time(), node.name, finite))

    def usage(self) -> None:
        """What every process of the site uses now."""
        processes = [(node.name, node.process) for node in self._site.nodes]
        processes += [(member.name, member.process) for member in self._site.etcd.members]
        for name, process in processes:
            if process is not None and process.returncode is None:
                self._events.append(Usage(time.time(), name, _figures(process.pid)))

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self, file: Path | None = None) -> History:
        """End all recording, and put everything together; `file`: where it is kept (default: in the lab's folder)."""
        self.mark("end")
        time.sleep(RETIRED)
        for process in self._taps.values():
            process.stop()
        if self._watcher is None:
            raise LabError("the recorder was never started")
        if self._watcher.stop():
            raise LabError(f"the watcher failed:\n{self._watcher.tail()}")
        history = History([self._setup(), *self._events, *self._packets(), *self._committed(), *self._logs()])
        history.write(file or self._folder / "history.jsonl")
        return history

    def _setup(self) -> Setup:
        return Setup(self._began, self._addresses(), self._site.document.read_text(), self._places)

    def _addresses(self) -> dict[str, list[str]]:
        site = self._site
        return {
            node.name: [f"10.{FIRST_NETWORK + place}.0.{number + 2}" for place, _ in enumerate(site.links)]
            for number, node in enumerate(site.nodes)
        }

    def _packets(self) -> Iterator[Event]:
        nodes = {address: node for node, some in self._addresses().items() for address in some}
        subnets = load(self._site.document.read_text()).subnets.values()
        identity = next((subnet.client_identity for subnet in subnets), BY_CLIENT_ID)
        seen = {place: list(frames.of_file(self._folder / f"{place}.pcap")) for place in self._taps}
        yield from frames.packets(seen, nodes, identity)
        for place in self._taps:
            if lost := missed(self._folder / f"{place}.pcap"):
                yield Gap(time.time(), f"{lost} packets of {place}")

    def _committed(self) -> Iterator[Event]:
        with self._commits.open("rb") as recorded:
            yield from map(events.decode, recorded)

    def _logs(self) -> Iterator[Event]:
        for node in self._site.nodes:
            with node.log.open(errors="replace") as log:
                yield from lines.read(node.name, log)


def _sample(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"


def _figures(pid: int) -> dict[str, float]:
    """Open files, threads and resident octets, from /proc."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return {"fds": files, "threads": float(status["Threads"]), "rss": float(status["VmRSS"].split()[0]) * 1024}
