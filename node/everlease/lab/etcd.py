"""Real etcd clusters: on loopback ports that are free, or one member in each of several namespaces.

Law: data lies on a real file system and is synchronised, because the tests are about durability.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType

from everlease.lab.processes import LabError, Loopback, Place, Process, need, run, wait_until

PRE_VOTE = "--pre-vote"
"""Default from etcd 3.5 on, and asked for by deploy/etcd/etcd.env, which says why."""

PORTS = "EVERLEASE_LAB_PORTS"
"""Environment variable: FIRST-LAST, of which `free_ports` chooses; several labs at a time get their own each."""

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between choice and use.
ALL_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class EtcdOptions:
    """Flags of every member. Timers in ms (etcd's defaults); quota in bytes, 0 = etcd's default of 2 GB.

    processors: cores that a member uses at a time (GOMAXPROCS), 0 = all there are.
    """

    heartbeat: int = 100
    election: int = 1000
    quota: int = 0
    flags: tuple[str, ...] = ()
    processors: int = 0

    def environment(self) -> dict[str, str]:
        """What Go's runtime reads."""
        return {"GOMAXPROCS": str(self.processors)} if self.processors else {}

    def arguments(self) -> list[str]:
        """As etcd's command line takes them."""
        timers = [f"--heartbeat-interval={self.heartbeat}", f"--election-timeout={self.election}"]
        return [*timers, PRE_VOTE, f"--quota-backend-bytes={self.quota}", *self.flags]


DEFAULTS = EtcdOptions()


@dataclass
class Member:
    """One member: where it runs, its addresses, its data directory, and its process while it runs."""

    name: str
    place: Place
    address: str
    client_port: int
    peer_port: int
    data: Path
    flags: tuple[str, ...] = ()
    process: Process | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """`http://address:port` as clients use it."""
        return f"http://{self.address}:{self.client_port}"

    @property
    def peer(self) -> str:
        """`http://address:port` as other members use it."""
        return f"http://{self.address}:{self.peer_port}"

    def healthy(self) -> bool:
        """True when the member says that it can commit (its own /health, which does a linearizable read)."""
        return self.place.call(self._healthy)

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection(self.address, self.client_port, timeout=2)
        with (
            contextlib.closing(connection),
            contextlib.suppress(OSError, http.client.HTTPException, ValueError),
        ):
            connection.request("GET", "/health")
            return bool(json.loads(connection.getresponse().read()).get("health") == "true")
        return False


class EtcdCluster:
    """A cluster of real members. With `places` one member in each `(place, address)`; else all on loopback."""

    def __init__(
        self,
        folder: Path,
        members: int = 3,
        *,
        places: Sequence[tuple[Place, str]] = (),
        options: EtcdOptions = DEFAULTS,
    ) -> None:
        need("etcd", "etcdctl", "setpriv")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.options = options
        self._token = secrets.token_hex(4)
        self.members = _apart(folder, places) if places else _together(folder, members)

    @property
    def endpoints(self) -> list[str]:
        """Every member's client URL, whether it runs or not."""
        return [member.endpoint for member in self.members]

    def start(self, timeout: float = 30.0) -> EtcdCluster:
        """Start every member that does not run and wait until all of them can commit."""
        for number, member in enumerate(self.members):
            if member.process is None or member.process.returncode is not None:
                self.start_member(number)
        self.wait_healthy(timeout)
        return self

    def start_member(self, number: int) -> None:
        """Start one member, again after `kill` or `stop`, on the data that it left."""
        member = self.members[number]
        argv = ["etcd", *self._arguments(member)]
        log = self.folder / f"{member.name}.log"
        member.process = Process(member.place.command(argv), log, self.options.environment())

    def _arguments(self, member: Member) -> list[str]:
        everyone = ",".join(f"{other.name}={other.peer}" for other in self.members)
        addresses = [
            f"--listen-client-urls={member.endpoint}",
            f"--advertise-client-urls={member.endpoint}",
            f"--listen-peer-urls={member.peer}",
            f"--initial-advertise-peer-urls={member.peer}",
        ]
        birth = [f"--initial-cluster={everyone}", f"--initial-cluster-token={self._token}"]
        own = [f"--name={member.name}", f"--data-dir={member.data}", "--logger=zap", "--log-outputs=stderr"]
        return [*own, *addresses, *birth, *self.options.arguments(), *member.flags]

    def wait_healthy(self, timeout: float = 30.0) -> None:
        """Wait until every running member can commit; LabError with the logs' ends otherwise."""
        running = [member for member in self.members if member.process and member.process.returncode is None]
        try:
            wait_until(lambda: all(member.healthy() for member in running), timeout, "etcd healthy")
        except LabError as late:
            logs = "\n".join(f"{m.name}: {m.process.tail(5)}" for m in self.members if m.process)
            raise LabError(f"{late}\n{logs}") from late

    def process(self, number: int) -> Process:
        """The process of a member that was started."""
        process = self.members[number].process
        if process is None:
            raise LabError(f"{self.members[number].name} was never started")
        return process

    def kill(self, number: int) -> None:
        """kill -9."""
        self.process(number).kill()

    def pause(self, number: int) -> None:
        """SIGSTOP: TCP connections are accepted, nothing is answered."""
        self.process(number).pause()

    def resume(self, number: int) -> None:
        """SIGCONT."""
        self.process(number).resume()

    def leader(self) -> int:
        """The number of the member that leads; LabError while there is none."""
        status = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))
        by_endpoint = {row["Endpoint"]: row["Status"] for row in status}
        for number, member in enumerate(self.members):
            row = by_endpoint.get(member.endpoint)
            if row and row["leader"] and row["leader"] == row["header"]["member_id"]:
                return number
        raise LabError("etcd has no leader")

    def etcdctl(self, *arguments: str) -> str:
        """Run etcdctl against all running members and return what it printed."""
        running = [m for m in self.members if m.process and m.process.returncode is None]
        command = ["etcdctl", f"--endpoints={','.join(m.endpoint for m in running)}", *arguments]
        return run(running[0].place.command(["env", "ETCDCTL_API=3", *command]))

    def stop(self) -> None:
        """End every member; their data stays."""
        for member in self.members:
            if member.process is not None:
                member.process.kill()

    def __enter__(self) -> EtcdCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _together(folder: Path, members: int) -> list[Member]:
    ports = free_ports(2 * members)
    names = [f"etcd{number}" for number in range(members)]
    return [
        Member(name, Loopback(), "127.0.0.1", ports[2 * i], ports[2 * i + 1], folder / name)
        for i, name in enumerate(names)
    ]


def _apart(folder: Path, places: Sequence[tuple[Place, str]]) -> list[Member]:
    return [
        Member(f"etcd{i}", place, address, 2379, 2380, folder / f"etcd{i}") for i, (place, address) in enumerate(places)
    ]


@cache
def _ports() -> Iterator[int]:
    """In an order of this process's own, each again only when all the others have been."""
    first, last = map(int, os.environ.get(PORTS, f"{ALL_PORTS.start}-{ALL_PORTS.stop - 1}").split("-"))
    return cycle(random.sample(range(first, last + 1), last + 1 - first))


def free_ports(count: int, kind: int = socket.SOCK_STREAM) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses just now, and that were not given out a moment ago. Raises LabError."""
    found: list[int] = []
    for port in islice(_ports(), len(ALL_PORTS)):
        if len(found) == count:
            return found
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    raise LabError(f"127.0.0.1 has no {count} free ports")
