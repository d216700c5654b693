"""The stage of the fault lab: three hosts, each an etcd member on a disk of its own and a node; two networks.

backbone 10.99.0.0/24, host i is .i+1      office 10.77.0.0/16, host i is .0.(i+2): clients are on the link itself
floor 10.91.0.0/16: clients behind dhcrelay, which is 10.91.0.1 there and 10.77.1.1 on the office link
"""

from __future__ import annotations

from collections.abc import Sequence

from everlease.lab.etcd import EtcdOptions
from everlease.lab.netns import Lab, Namespace
from faults.history.recorder import Recorder
from lab.clients import Dhcrelay
from lab.disks import Disk
from lab.site import Site

HOSTS = 3
ALL_HOSTS = range(HOSTS)
TIMERS = {
    "default": EtcdOptions(),
    "lan": EtcdOptions(heartbeat=50, election=300),
}
DISK = 256
"""MiB for each member, where nothing else is said."""

BOUNDS = {"default": 2.5, "lan": 1.5}
"""Seconds after a fault until commits go on, by etcd's timers."""

RELAY = "10.77.1.1"
FLOOR = """  - id: 91
    prefix: 10.91.0.0/16
    pools: [{range: 10.91.16.0-10.91.255.250}]
"""


class Stage(Site):
    """`timers`: "default" or "lan"; `bound` is what the timers allow."""

    def __init__(
        self,
        lab: Lab,
        timers: str = "default",
        quota: int = 0,
        relayed_to: Sequence[int] = ALL_HOSTS,
        disk: int = DISK,
    ) -> None:
        """quota: of member 0 alone, octets, 0 = etcd's default; relayed_to: the hosts that the relay sends to; disk: of
        each member, MiB.
        """
        super().__init__(lab, HOSTS, HOSTS, options=TIMERS[timers])
        self.timers = timers
        self.bound = BOUNDS[timers]
        self.floor = lab.switch("floor")
        self.disks = [Disk(lab.folder / "disks", member.name, disk) for member in self.etcd.members]
        for member, own in zip(self.etcd.members, self.disks, strict=True):
            member.data = own.path / "data"
        if quota:
            self.etcd.members[0].flags = (f"--quota-backend-bytes={quota}",)
        lab.on_close(self._clear)
        self._relay(relayed_to)
        self.recorder = Recorder(self)

    def start(self, document: str | None = None, timeout: float = 60.0) -> Stage:
        """The recorder first, then everything that it shall see."""
        self.recorder.start()
        super().start(document, timeout)
        return self

    def _relay(self, hosts: Sequence[int]) -> None:
        relay = self.lab.namespace("relay")
        self.links["office"].connect(relay, "up0", address=f"{RELAY}/16")
        self.floor.connect(relay, "down0", address="10.91.0.1/16")
        for host in self.hosts:
            host.ip("route", "replace", "10.91.0.0/16", "via", RELAY)
        Dhcrelay(self.lab, relay, "down0", "up0", *(f"10.77.0.{number + 2}" for number in hosts))

    def simple(self, lifetime: str = "1h", more: str = "") -> str:
        """The site's document, and the subnet behind the relay."""
        return super().simple(lifetime, more) + FLOOR

    def relayed(self, label: str) -> Namespace:
        """A fresh namespace whose eth0 is behind the relay."""
        namespace = self.lab.namespace(label)
        self.floor.connect(namespace, "eth0")
        return namespace

    def follower(self, apart: int = -1) -> int:
        """A member that does not lead, and is not number `apart`."""
        leader = self.etcd.leader()
        return next(number for number in range(HOSTS) if number not in (leader, apart))

    def stop(self) -> None:
        """Thaw first: whoever waits for a frozen disk cannot even be killed."""
        for disk in self.disks:
            disk.thaw()
        super().stop()

    def _clear(self) -> None:
        for disk in self.disks:
            disk.close()
