"""The systems in the comparison, each with start, stop, the addresses to ask, and the processes to charge."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Protocol, Self

from bench import kea
from bench.wires import SERVICE, Host
from everlease.lab.etcd import EtcdCluster, EtcdOptions
from everlease.lab.processes import LabError, Process, wait_until

_START_S = 30.0
_DHCP_PORT_HEX = ":0043 "
SHARING = EtcdOptions(processors=1)
"""Members on cores that others need too: as deploy/etcd/etcd.env says."""

METRICS_PORT = 9167
ADMIN_PORT = 9067


class System(Protocol):
    """A DHCP service on the bench's hosts, running inside a `with` block: entered with fresh state, left with none."""

    durability: str

    def __enter__(self) -> Self:
        """Start, and wait until it would answer."""
        ...

    def __exit__(self, *error: object) -> None:
        """End every process and remove its data."""
        ...

    def targets(self) -> list[str]:
        """Addresses that a relay may send to; the first is the one asked when only one is."""
        ...

    def pids(self) -> dict[str, int]:
        """Every server process by a short name."""
        ...


class Kea:
    """Kea's memfile on one host, or a hot-standby pair on two, of which the primary answers.

    `disks`: where each server keeps its leases, if not in `folder`.
    """

    def __init__(self, hosts: list[Host], folder: Path, disks: Sequence[Path] = ()) -> None:
        self._hosts = hosts
        self._disks = disks
        self._pair = [kea.Peer(f"kea{i}", host.address) for i, host in enumerate(hosts)] if len(hosts) == 2 else []
        self._folder = folder
        self._running: dict[str, Process] = {}
        self.durability = "two memories, no fsync" if self._pair else "none, no fsync"

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        with ExitStack() as on_failure:
            on_failure.callback(self.stop)
            for number in range(len(self._hosts)):
                self.start_server(number)
            for host in self._hosts:
                wait_until(lambda h=host: self._ready(h), _START_S, f"Kea serves on {host.address}")
            on_failure.pop_all()
        return self

    def start_server(self, number: int) -> None:
        """Start the server of a host, again after it ended, on the leases that it left."""
        name, host = f"kea{number}", self._hosts[number]
        folder = self._folder / name
        leases = self._disks[number] if self._disks else folder
        document = kea.configuration(SERVICE, host.interface, leases, self._pair, name)
        argv = host.place.command(["kea-dhcp4", "-c", str(kea.write(folder, document))])
        own = {"KEA_PIDFILE_DIR": str(folder), "KEA_LOCKFILE_DIR": str(folder)}
        self._running[name] = Process(argv, folder / "log", own)

    def _ready(self, host: Host) -> bool:
        if any(process.returncode is not None for process in self._running.values()):
            logs = "\n".join(process.tail() for process in self._running.values())
            raise LabError(f"Kea ended:\n{logs}")
        if self._pair:
            return host.place.call(lambda: _ha_state(host.address)) == "hot-standby"
        return _DHCP_PORT_HEX in host.place.call(Path("/proc/thread-self/net/udp").read_text)

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End both servers and remove their data."""
        for process in self._running.values():
            process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def targets(self) -> list[str]:
        """The primary."""
        return [self._hosts[0].address]

    def running(self, number: int) -> bool:
        """Whether the server of a host has not ended."""
        return self._running[f"kea{number}"].returncode is None

    def pids(self) -> dict[str, int]:
        """kea0 (alone, or the primary), kea1."""
        return {name: process.pid for name, process in self._running.items()}


def _ha_state(address: str) -> str:
    """What a Kea server says of itself on its HA listener; empty while it does not answer."""
    question = json.dumps({"command": "ha-heartbeat", "service": ["dhcp4"]})
    with suppress(OSError, http.client.HTTPException), closing(_http(address, kea.HA_PORT)) as connection:
        connection.request("POST", "/", question, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        return str(answer[0].get("arguments", {}).get("state", ""))
    return ""


def _http(address: str, port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address, port, timeout=2)


class Everlease:
    """A node and an etcd member on each host; `asked` of the nodes hear clients.

    `disks`: where each member keeps its data, if not in `folder`.
    """

    durability = "fsync on a majority"

    def __init__(self, hosts: list[Host], folder: Path, asked: int, disks: Sequence[Path] = ()) -> None:
        self._hosts = hosts
        self._disks = disks
        self._asked = asked
        self.program = [str(Path(sys.executable).with_name("everlease"))]  # of the next node; it may be another build
        self.folder = folder
        self._nodes: dict[str, Process] = {}
        self._stack = ExitStack()
        self.etcd: EtcdCluster | None = None

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with ExitStack() as on_failure:
            on_failure.callback(self.stop)
            self.etcd = self._stack.enter_context(self._new_etcd())
            for number in range(len(self._hosts)):
                self.start_node(number)
            self.wait_ready(_START_S)
            on_failure.pop_all()
        return self

    def _new_etcd(self) -> EtcdCluster:
        places = [(host.place, host.address) for host in self._hosts]
        cluster = EtcdCluster(self.folder / "etcd", places=places, options=SHARING)
        for member, disk in zip(cluster.members, self._disks, strict=False):
            member.data = disk / member.name
        return cluster

    def start_node(self, number: int) -> Process:
        """Start the node of a host as an operator would, with the bench's configuration to apply once."""
        host = self._hosts[number]
        name = f"node{number}"
        endpoints = ",".join(f"http://{host.address}:2379" for host in self._hosts)
        flags = ["--name", name, "--etcd", endpoints, "--listen", host.address]
        ports = ["--admin", f"127.0.0.1:{ADMIN_PORT}", "--metrics", f"127.0.0.1:{METRICS_PORT}"]
        argv = [*self.program, "node", *flags, *ports, "--config-file", str(self._configuration())]
        self._nodes[name] = Process(host.place.command(argv), self.folder / f"{name}.log")
        return self._nodes[name]

    def _configuration(self) -> Path:
        subnet = {"id": 1, "name": "bench", "prefix": SERVICE.prefix, "pools": [{"range": SERVICE.pool}]}
        file = self.folder / "everlease.json"
        file.write_text(json.dumps({"schema": 1, "valid-lifetime": SERVICE.valid_lifetime, "subnets": [subnet]}))
        return file

    def running(self, number: int) -> bool:
        """Whether the node of a host has not ended."""
        return self._nodes[f"node{number}"].returncode is None

    @property
    def members(self) -> EtcdCluster:
        """The store, while the system runs."""
        if self.etcd is None:
            raise LabError("etcd does not run")
        return self.etcd

    def end_node(self, number: int) -> None:
        """SIGTERM to one node; the others go on."""
        self._nodes.pop(f"node{number}").stop()

    def store_bytes(self) -> int:
        """The size of one member's database file."""
        return sum(file.stat().st_size for file in (self.folder / "etcd" / "etcd0").rglob("snap/db"))

    def wait_ready(self, patience: float) -> None:
        """Until every node says that it would answer."""
        for number in range(len(self._hosts)):
            wait_until(lambda n=number: self.ready(n), patience, f"node{number} is ready", every=0.02)

    def ready(self, number: int) -> bool:
        """What the node's /readyz says; LabError with its log's end if it is gone."""
        process = self._nodes[f"node{number}"]
        if process.returncode is not None:
            raise LabError(f"node{number} ended with {process.returncode}:\n{process.tail()}")
        return self._hosts[number].place.call(_readyz)

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End nodes and members and remove their data."""
        for process in self._nodes.values():
            process.stop()
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def targets(self) -> list[str]:
        """The nodes that are asked."""
        return [host.address for host in self._hosts[: self._asked]]

    def pids(self) -> dict[str, int]:
        """node0.. and etcd0.."""
        members = {member.name: member.process.pid for member in self.etcd.members if member.process}
        return {name: process.pid for name, process in self._nodes.items()} | members


def _readyz() -> bool:
    with suppress(OSError, http.client.HTTPException), closing(_http("127.0.0.1", METRICS_PORT)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False
