"""The site that the clients live in: three nodes on one link, and a floor behind a relay that sends to two of them.

office 10.77.0.0/16, node i is .0.(i+2)     floor 10.91.0.0/16, a router at .0.254 and 10.77.1.254, dhcrelay at .0.1

Router and relay are two hosts: dhcrelay takes the unicast messages that it sees passing by for its own, and relays
them once more.
"""

from __future__ import annotations

import time

from cluster.audit import Records
from everlease.core.lifecycle import STATE_NAMES, Lease
from everlease.lab.netns import Lab, Namespace, Switch
from everlease.lab.processes import wait_until
from everlease.runtime.candidates import OVERLAP
from lab.clients import Dhcrelay
from lab.packet_client import ipv4
from lab.site import Site

LIFETIME = 180
"""Seconds. udhcpc would drop its address 12 s after T1 of a shorter lease, so T1 and T2 come early instead."""

PRINTER = "02:00:00:00:00:77"
PRINTERS_ADDRESS = "10.77.0.50"

DOCUMENT = f"""schema: 1
valid-lifetime: {LIFETIME}s
renew-time: 12s
rebind-time: 24s
option-data:
  domain-name: example.org
  domain-name-servers: [10.77.0.53, 10.77.0.54]
  ntp-servers: [10.77.0.123]
subnets:
  - id: 1
    prefix: 10.77.0.0/16
    link: office
    pools: [{{range: 10.77.16.0-10.77.255.250}}]
    option-data: {{routers: [10.77.1.254]}}
    reservations: [{{hw-address: "{PRINTER}", address: {PRINTERS_ADDRESS}, hostname: printer}}]
  - id: 91
    prefix: 10.91.0.0/16
    ping-check: {{enabled: true, timeout: 300ms}}
    pools: [{{range: 10.91.16.0-10.91.255.250}}]
    option-data: {{routers: [10.91.0.254]}}
  - id: 78
    prefix: 10.78.0.0/16
    link: warehouse
    allocator: ordered
    ping-check: {{enabled: true, timeout: 300ms}}
    pools: [{{range: 10.78.16.10-10.78.16.99}}]
"""


class Office:
    """The site, its relay and its records. `plug` puts a test's own namespaces on a link."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.site = Site(lab, nodes=3, members=3, links=("office", "warehouse"))
        self.floor = lab.switch("floor")
        self._relay()
        self.site.start(DOCUMENT)
        time.sleep(OVERLAP)  # so long a node goes on to answer clients that another one has come to own

    def _relay(self) -> None:
        router, relay = self.lab.namespace("router"), self.lab.namespace("relay")
        for host, number in ((router, 254), (relay, 1)):
            self.site.links["office"].connect(host, "up0", address=f"10.77.1.{number}/16")
            self.floor.connect(host, "down0", address=f"10.91.0.{number}/16")
            host.sysctl("net.ipv4.ip_forward", "1")
        for host in self.site.hosts:
            host.ip("route", "add", "10.91.0.0/16", "via", "10.77.1.254")
            host.ip("route", "add", "10.91.0.1/32", "via", "10.77.1.1")
        Dhcrelay(self.lab, relay, "down0", "up0", "10.77.0.2", "10.77.0.3")

    def link(self, name: str) -> Switch:
        """ "office", "warehouse", or "floor"."""
        return self.floor if name == "floor" else self.site.links[name]

    def plug(self, lab: Lab, label: str, link: str = "office", **settings: str) -> Namespace:
        """A namespace that lives as long as the test's laboratory, its eth0 on a link."""
        namespace = lab.namespace(label)
        self.link(link).connect(namespace, "eth0", **settings)
        return namespace

    def record(self, address: str) -> Lease | None:
        """What etcd says of an address."""
        return Records(self.site.etcd).leases.get(ipv4(address))

    def wait_state(self, address: str, state: int, timeout: float = 10.0) -> Lease:
        """An address's record as soon as it is in a state (lifecycle.BOUND, ...)."""

        def found() -> Lease | None:
            lease = self.record(address)
            return lease if lease is not None and lease.state == state else None

        return wait_until(found, timeout, f"{address} {STATE_NAMES[state]}")
