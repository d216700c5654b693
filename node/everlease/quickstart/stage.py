"""The stage of the quickstart: three hosts, each an etcd member and a node, and clients beside them.

Two stages of one shape: `namespaces` (root: hosts on a switch of their own, raw sockets, real clients) and `loopback`
(anybody: ports of 127.0.0.1, clients behind a relay). Each node reaches the store through valves that can be closed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from everlease.lab.etcd import EtcdCluster, free_ports
from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, Loopback, Place, Process
from everlease.quickstart.clients import Client, RelayedClient, Udhcpc

HOSTS: Final = 3

CONFIGURATION: Final = """\
schema: 1
valid-lifetime: 10m
option-data:
  domain-name: quickstart.example
subnets:
  - id: 1
    name: quickstart
    prefix: 10.77.0.0/16
    {where}
    pools: [{{range: 10.77.16.0-10.77.31.255}}]
    option-data: {{routers: [10.77.0.1]}}
"""


@dataclass(slots=True)
class Host:
    """One host: where its processes run, how its node is reached, and the processes themselves."""

    name: str
    place: Place
    serving: list[str]
    identifier: str
    admin: str
    metrics: str
    node: Process | None = None
    valve: Process | None = None

    def close_valve(self) -> None:
        """From now on this node's storage is stuck: connected, and silent."""
        self._the_valve().pause()

    def open_valve(self) -> None:
        """The storage answers again."""
        self._the_valve().resume()

    def _the_valve(self) -> Process:
        if self.valve is None:
            raise LabError(f"{self.name} was not started")
        return self.valve


@dataclass(slots=True)
class Stage:
    """Hosts, the store, and where clients come from."""

    folder: Path
    hosts: list[Host]
    etcd: EtcdCluster
    where: str
    new_client: Callable[[], Client]

    def start_store(self) -> None:
        """Every member, until all can commit."""
        self.etcd.start()

    def start_nodes(self) -> None:
        """Every node, behind its valves."""
        document = self.folder / "cluster.yaml"
        document.write_text(CONFIGURATION.format(where=self.where))
        for host in self.hosts:
            argv = [
                sys.executable, "-m", "everlease", "node", "--name", host.name, "--etcd", ",".join(self._valves(host)),
                "--admin", host.admin, "--metrics", host.metrics, "--config-file", str(document), *host.serving,
            ]  # fmt: skip
            host.node = Process(host.place.command(argv), self.folder / f"{host.name}.log")

    def _valves(self, host: Host) -> list[str]:
        ports = host.place.call(lambda: free_ports(len(self.etcd.members)))
        pairs = [
            f"{port}={member.address}:{member.client_port}"
            for port, member in zip(ports, self.etcd.members, strict=True)
        ]
        argv = [sys.executable, "-m", "everlease.quickstart.valve", *pairs]
        host.valve = Process(host.place.command(argv), self.folder / f"valve-{host.name}.log")
        return [f"http://127.0.0.1:{port}" for port in ports]

    def stop(self) -> None:
        """End every process."""
        for host in self.hosts:
            for process in (host.node, host.valve):
                if process is not None:
                    process.stop()
        self.etcd.stop()


def namespaces(lab: Lab) -> Stage:
    """Hosts 10.77.0.11-13 on one switch; a client is udhcpc in a namespace of its own."""
    switch = lab.switch()
    hosts = []
    places = []
    for number in range(1, HOSTS + 1):
        namespace = lab.namespace(f"host{number}")
        address = f"10.77.0.{10 + number}"
        switch.connect(namespace, address=f"{address}/16")
        places.append((namespace, address))
        hosts.append(
            Host(
                f"node-{number}", namespace, ["--interface", "office=eth0"], address, "127.0.0.1:9067", "127.0.0.1:9167"
            )
        )
    clients = iter(range(1, 1000))

    def new_client() -> Client:
        number = next(clients)
        namespace = lab.namespace(f"client{number}")
        switch.connect(namespace)
        return Udhcpc(namespace, lab.folder, number)

    return Stage(lab.folder, hosts, EtcdCluster(lab.folder / "etcd", places=places), "link: office", new_client)


def loopback(folder: Path) -> Stage:
    """Hosts 127.0.0.1-3 on free ports; a client is ours, behind a relay that knows every node."""
    ports = free_ports(3 * HOSTS)
    hosts = []
    helpers = []
    for number in range(1, HOSTS + 1):
        serve, admin, metrics = ports[3 * number - 3 : 3 * number]
        address = f"127.0.0.{number}"
        helpers.append((address, serve))
        serving = ["--listen", f"{address}:{serve}", "--reply-to", "source"]
        hosts.append(Host(f"node-{number}", Loopback(), serving, address, f"127.0.0.1:{admin}", f"127.0.0.1:{metrics}"))
    etcd = EtcdCluster(folder / "etcd", HOSTS)
    return Stage(folder, hosts, etcd, "relays: [127.0.0.1]", lambda: RelayedClient(helpers))
