"""The bench's network: server hosts and load clients, each a namespace, on one switch.

All addresses are of one large subnet, so that a load client's address is a giaddr inside the prefix and the pool cannot
run out. Nothing is connected to the machine's own networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.kea import Service
from everlease.lab.netns import Lab, Namespace, Switch
from everlease.lab.processes import need

SERVICE = Service("10.64.0.0/10", "10.65.0.0-10.127.255.254")
_SUBNET, _PREFIX_LENGTH = "10.64.0", 10


@dataclass(frozen=True)
class Host:
    """One end of a wire: its namespace, its address, and the interface that carries it."""

    place: Namespace
    address: str
    interface: str = "eth0"


class Wires:
    """`servers` and `loaders` see each other and nothing else, until the `with` block ends; `prefix` begins labels."""

    def __init__(self, folder: Path, servers: int = 3, loaders: int = 3, prefix: str = "") -> None:
        need("perfdhcp", "tcpdump")
        self._lab = Lab(folder)
        switch = self._lab.switch()
        self.servers = [self._host(switch, f"{prefix}host{i}", f"{_SUBNET}.{i}") for i in range(1, servers + 1)]
        self.loaders = [self._host(switch, f"{prefix}load{i}", f"{_SUBNET}.{10 + i}") for i in range(1, loaders + 1)]

    def _host(self, switch: Switch, label: str, address: str) -> Host:
        host = Host(self._lab.namespace(label), address)
        switch.connect(host.place, host.interface, address=f"{address}/{_PREFIX_LENGTH}")
        return host

    def __enter__(self) -> Wires:
        return self

    def __exit__(self, *error: object) -> None:
        self._lab.close()
