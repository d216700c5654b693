"""Everlease nodes as processes: started by their command line, judged by their health and metrics pages."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from everlease.lab.etcd import free_ports
from everlease.lab.processes import LabError, Loopback, Place, Process, run, wait_until


def free_listen() -> str:
    """An address for `--listen` on this machine that nobody has just now."""
    return f"127.0.0.1:{free_ports(1, socket.SOCK_DGRAM)[0]}"


class Node:
    """One `everlease node`. In a namespace it has the default ports of 127.0.0.1, on the machine itself free ones."""

    def __init__(
        self,
        folder: Path,
        place: Place,
        name: str,
        endpoints: Sequence[str],
        *,
        interfaces: Sequence[str] = (),
        listens: Sequence[str] = (),
        document: Path | None = None,
        prefix: str = "/everlease",
        flags: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        admin, metrics = free_ports(2) if isinstance(place, Loopback) else (9067, 9167)
        self.place = place
        self.name = name
        self.admin = f"127.0.0.1:{admin}"
        self.metrics_port = metrics
        self.log = folder / f"{name}.log"
        self.environment = environment or {}
        self.process: Process | None = None
        self.program = [sys.executable, "-m", "everlease"]  # a test may put another build of it here
        self.arguments = [
            *("--name", name, "--etcd", ",".join(endpoints), "--prefix", prefix),
            *("--admin", self.admin, "--metrics", f"127.0.0.1:{metrics}"),
            *(word for interface in interfaces for word in ("--interface", interface)),
            *(word for listen in listens for word in ("--listen", listen)),
            *(("--config-file", str(document)) if document else ()),
            *flags,
        ]

    def start(self) -> Node:
        """Start it, also again; `wait_ready` waits until it serves."""
        argv = [*self.program, "node", *self.arguments]
        self.process = Process(self.place.command(argv), self.log, self.environment)
        return self

    def wait_ready(self, timeout: float = 20.0) -> Node:
        """Wait until /readyz says yes; LabError with the log's end if it stops or does not get there."""
        try:
            wait_until(lambda: self.ready() or self._ended(), timeout, f"{self.name} ready")
        except LabError as late:
            raise LabError(f"{late}\n{self._tail()}") from late
        if self._ended():
            raise LabError(f"{self.name} ended with {self.running.returncode}:\n{self._tail()}")
        return self

    def wait_silent(self, timeout: float = 10.0) -> None:
        """Wait until /readyz says no, or is gone."""
        wait_until(lambda: not self.ready(), timeout, f"{self.name} not ready any more")

    def ready(self) -> bool:
        """What /readyz says; False also when nobody answers."""
        return self._get("/readyz")[0] == 200

    def readiness(self) -> str:
        """The state and its reason, as /readyz says them; "" when nobody answers."""
        return self._get("/readyz")[1].decode()

    def wait_alive(self, timeout: float = 20.0) -> Node:
        """Wait until /healthz answers."""
        wait_until(lambda: self.alive() or self._ended(), timeout, f"{self.name} alive")
        return self

    def alive(self) -> bool:
        """What /healthz says."""
        return self._get("/healthz")[0] == 200

    def exposition(self) -> bytes:
        """/metrics as Prometheus reads it."""
        status, body = self._get("/metrics")
        if status != 200:
            raise LabError(f"{self.name}: /metrics says {status}")
        return body

    def metrics(self) -> list[tuple[str, dict[str, str], float]]:
        """Every sample of /metrics: (name, labels, value)."""
        families = text_string_to_metric_families(self.exposition().decode())
        return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that carry these labels; 0 if there is none."""
        wanted = labels.items()
        return sum(value for found, has, value in self.metrics() if found == name and wanted <= has.items())

    def cli(self, *arguments: str) -> str:
        """`everlease ARGUMENTS` against this node's admin API; what it printed."""
        command = [sys.executable, "-m", "everlease", *arguments]
        environment = ["env", f"EVERLEASE_SERVER={self.admin}"]
        return run(self.place.command([*environment, *command]))

    @property
    def running(self) -> Process:
        """Its process; LabError if it was never started."""
        if self.process is None:
            raise LabError(f"{self.name} was never started")
        return self.process

    def kill(self) -> None:
        """kill -9."""
        self.running.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        self.running.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self.running.resume()

    def stop(self, patience: float = 10.0) -> int:
        """SIGTERM: it drains; returns the exit code."""
        return self.running.stop(patience)

    def _ended(self) -> bool:
        return self.running.returncode is not None

    def _tail(self) -> str:
        return self.process.tail() if self.process else "never started"

    def _get(self, path: str) -> tuple[int, bytes]:
        return self.place.call(lambda: _get(self.metrics_port, path))


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    return 0, b""
