"""The two services with their storage on disks of their own, and what may happen to one of those disks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.systems import Everlease, Kea
from bench.wires import Host
from everlease.lab.etcd import EtcdCluster
from everlease.lab.processes import LabError
from lab.disks import Disk

FAULTS: dict[str, tuple[Callable[[Disk], None], Callable[[Disk], None]]] = {
    "full": (Disk.fill, Disk.empty),
    "frozen": (Disk.freeze, Disk.thaw),
}
"""Each by what it does and what ends it. Frozen is fsfreeze: every write waits, as for a backup that holds a lock."""


class Service:
    """A service on hosts, inside a `with` block: started afresh, every server's storage on a disk of its own."""

    def __init__(self, hosts: list[Host], folder: Path) -> None:
        self._hosts, self._folder = hosts, folder
        self._stack = ExitStack()
        self._disks: list[Disk] = []

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.push(self.__exit__)
            self._disks = [self._stack.enter_context(Disk(self._folder, host.place.label)) for host in self._hosts]
            self._start([disk.path for disk in self._disks])
            on_failure.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        for disk in self._disks:
            disk.thaw()
        self._stack.close()

    def servers(self) -> list[str]:
        """The address of each, in the order of the hosts."""
        return [host.address for host in self._hosts]

    def disk(self, number: int) -> Disk:
        """Where the server of a host keeps what must not be lost."""
        return self._disks[number]

    def host(self, role: str) -> int:
        """The number of the host that has a role now."""
        raise NotImplementedError

    def revive(self) -> list[str]:
        """Start again what ended by itself, as a supervisor does, and say what that was."""
        raise NotImplementedError

    def _start(self, disks: list[Path]) -> None:
        """Start every server with its storage on its disk, and wait until it would answer."""
        raise NotImplementedError


class KeaPair(Service):
    """The primary answers; it tells the standby of every lease before it sends the ACK."""

    _ROLES = ("primary", "standby")

    def host(self, role: str) -> int:
        """As configured."""
        return self._ROLES.index(role)

    def revive(self) -> list[str]:
        """Servers, by their roles."""
        ended = [number for number in range(len(self._hosts)) if not self._kea.running(number)]
        for number in ended:
            self._kea.start_server(number)
        return [self._ROLES[number] for number in ended]

    def _start(self, disks: list[Path]) -> None:
        self._kea = self._stack.enter_context(Kea(self._hosts, self._folder / "kea", disks))


class ThreeNodes(Service):
    """A node and an etcd member on each host; each node answers its share of the clients."""

    def host(self, role: str) -> int:
        """Of etcd's leader just now, or the one after it."""
        return (self._etcd.leader() + (role == "follower")) % len(self._hosts)

    def revive(self) -> list[str]:
        """Members and nodes, by number."""
        numbers = range(len(self._hosts))
        members = [number for number in numbers if self._etcd.process(number).returncode is not None]
        nodes = [number for number in numbers if not self._everlease.running(number)]
        for number in members:
            self._etcd.start_member(number)
        for number in nodes:
            self._everlease.start_node(number)
        return [f"etcd {number}" for number in members] + [f"node {number}" for number in nodes]

    @property
    def _etcd(self) -> EtcdCluster:
        if self._everlease.etcd is None:
            raise LabError("Everlease was not started")
        return self._everlease.etcd

    def _start(self, disks: list[Path]) -> None:
        everlease = Everlease(self._hosts, self._folder / "everlease", len(self._hosts), disks)
        self._everlease = self._stack.enter_context(everlease)
