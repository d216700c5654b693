"""One running node with everybody who may talk to it: a client on its link, a relay agent on its backbone.

Law: what a packet did is read where an operator reads it, on /metrics: each one that came in ends as one reply or as
one drop with its reason, and nothing else. Whatever is put on the wire for the node is counted here.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from badinput.octets import random_mac
from everlease.lab.netns import Lab, Namespace, Switch
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import PacketClient, PacketRelay
from lab.site import Site

SERVER, LISTEN = "10.77.0.2", "10.99.0.1"
"""Where the node is: its own address on the link, and its relay socket."""

RESERVED_MAC, RESERVED = bytes.fromhex("020000000010"), "10.77.0.10"
TWICE_MAC, TWICE_ID, TWICE = bytes.fromhex("020000000011"), b"\1\xaa\xbb\xcc", "10.77.0.11"
"""A client that two reservations name; the address is the one of its hardware address."""

SMALL = 8
"""Addresses in the pool of the smallest subnet, 10.81.0.0/24 (id 5)."""

DOCUMENT = """\
schema: 1
valid-lifetime: 1h
option-data: {domain-name-servers: [10.77.0.53], domain-name: example.org}
subnets:
  - id: 1
    prefix: 10.77.0.0/16
    link: office
    option-data: {routers: [10.77.0.1]}
    pools: [{range: 10.77.16.0-10.77.255.250}]
    reservations:
      - {hw-address: "02:00:00:00:00:10", address: 10.77.0.10, hostname: printer}
      - {hw-address: "02:00:00:00:00:11", address: 10.77.0.11}
      - {client-id: "01:aa:bb:cc", address: 10.77.0.12}
  - {id: 2, prefix: 10.78.0.0/24, pools: [{range: 10.78.0.10-10.78.0.250}]}
  - {id: 3, prefix: 10.79.0.0/24, relays: [10.79.0.1], strict-relays: true, pools: [{range: 10.79.0.10-10.79.0.250}]}
  - {id: 4, prefix: 10.80.0.0/24, space: tenant, relays: [10.80.0.1], pools: [{range: 10.80.0.10-10.80.0.250}]}
  - {id: 5, prefix: 10.81.0.0/24, pools: [{range: 10.81.0.10-10.81.0.17}]}
  - {id: 6, prefix: 10.82.0.0/16, pools: [{range: 10.82.16.0-10.82.255.250}]}
"""

BURST = 2000
"""Packets that are sent without a look at whether the node keeps up: its receive buffer holds three times as many."""

Totals = dict[str, int]


class Client(PacketClient):
    """Counts what it sends."""

    count = 0

    def send_raw(self, frame: bytes) -> None:
        """An Ethernet frame as it is."""
        self.count += 1
        super().send_raw(frame)

    def send_udp(self, packet: v4.Packet, address: str | int, server: str | int) -> None:
        """Through the namespace's kernel."""
        self.count += 1
        super().send_udp(packet, address, server)


class Relay(PacketRelay):
    """Sends octets as well as packets, and counts them."""

    def __init__(self, namespace: Namespace, giaddr: str) -> None:
        super().__init__(namespace, giaddr, LISTEN)
        self.count = 0
        self._octets = namespace.call(lambda: _udp("0.0.0.0", 0))

    def send(self, packet: v4.Packet) -> None:
        """As a relay agent does."""
        self.count += 1
        super().send(packet)

    def send_octets(self, payload: bytes) -> None:
        """By UDP to the relay socket, giaddr and all else as it is."""
        self.count += 1
        self._octets.sendto(payload, (LISTEN, 67))

    def close(self) -> None:
        """Give sockets back."""
        super().close()
        self._octets.close()


class Besieged:
    """`link`, `relay`: who sends; `node`, `site`: who is attacked."""

    def __init__(self, lab: Lab) -> None:
        self.site = Site(lab, nodes=1, members=1)
        self.node = self.site.nodes[0]
        self.node.arguments += ["--listen", LISTEN]
        outside = self._outside(lab, "relay", "10.99.0.200", 78, 79, 80, 81)
        self._flooder = self._outside(lab, "flooder", "10.99.0.201", 82).call(lambda: _udp("10.82.0.1", 67))
        _only_switch(self.site.links["office"])
        self.site.start(DOCUMENT)
        self.link = Client(self.site.client("client", address="10.77.9.9/16"))
        self.relay = Relay(outside, "10.78.0.1")
        self._flooded = 0
        self._last: tuple[int, Totals] = (-1, {})
        lab.on_close(self.link.close)
        lab.on_close(self.relay.close)
        lab.on_close(self._flooder.close)

    def _outside(self, lab: Lab, label: str, address: str, *networks: int) -> Namespace:
        """A host on the backbone that is relay agent 10.N.0.1 for each of these networks."""
        host = lab.namespace(label)
        self.site.backbone.connect(host, "eth0", address=f"{address}/24")
        for network in networks:
            host.ip("address", "add", f"10.{network}.0.1/24", "dev", "lo")
            self.site.hosts[0].ip("route", "add", f"10.{network}.0.0/24", "via", address)
        return host

    @property
    def sent(self) -> int:
        """Packets put on the wire for the node."""
        return self.link.count + self.relay.count + self._flooded

    # --- what came of it ----------------------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """Every packet that came in, by its end: "sent", "unsent", or the reason of its drop. Zeros are left out."""
        found: Counter[str] = Counter()
        for name, labels, value in self.node.metrics():
            if name == "everlease_packets_sent_total":
                found["sent"] += int(value)
            elif name == "everlease_packets_unsent_total":
                found["unsent"] += int(value)
            elif name == "everlease_packets_dropped_total":
                found[labels["reason"]] += int(value)
        return dict(+found)

    def settled(self) -> Totals:
        """The totals once every packet that was sent has an end."""
        if self._last[0] != self.sent:
            self._last = wait_until(self._all_ended, 20, f"an end for each of {self.sent} packets")
        return self._last[1]

    def _all_ended(self) -> tuple[int, Totals] | None:
        totals = self.totals()
        return (self.sent, totals) if sum(totals.values()) >= self.sent else None

    def ends(self, send: Callable[[], object]) -> Totals:
        """What became of the packets that `send` sent."""
        before = self.settled()
        send()
        after = self.settled()
        return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}

    def reply_to(self, payload: bytes, by: Client | Relay) -> Captured:
        """Send a message, and return the reply that has its xid."""
        start = len(by.capture.packets)
        (by.send_frame if isinstance(by, Client) else by.send_octets)(payload)
        return by.capture.wait(lambda seen: _answers(seen, payload), 5.0, start)

    def serve_somebody(self) -> Captured:
        """A client that nobody has seen gets a lease on the link."""
        self.link.mac = random_mac()
        return self.link.obtain()

    def flood(self, payloads: Iterable[bytes]) -> None:
        """Send all of them to the relay socket, no faster than the node takes them, from where nobody listens."""
        for payload in payloads:
            self._flooded += 1
            self._flooder.sendto(payload, (LISTEN, 67))
            if self._flooded % BURST == 0:
                self.settled()

    # --- what is left behind ------------------------------------------------------------------------------------------

    def keys(self, what: str = "") -> list[str]:
        """The keys in etcd below our prefix."""
        return self.site.etcd.etcdctl("get", "--prefix", f"/everlease/{what}", "--keys-only").split()

    def memory(self) -> float:
        """Resident octets of the node."""
        return self.node.metric("process_resident_memory_bytes")

    def faults(self) -> list[str]:
        """Log lines that tell of a fault of ours."""
        text = self.node.log.read_text(errors="replace")
        return [line for line in text.splitlines() if "Traceback" in line or '"level": "error"' in line]

    def restart(self) -> None:
        """End the node and start it on the records that it left."""
        self.node.stop()
        self.node.start().wait_ready(60)


def _udp(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def _only_switch(switch: Switch) -> None:
    """The kernel's bridge filter, where it is loaded, would drop frames with bad IP headers on their way."""
    if Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        switch.namespace.sysctl("net.bridge.bridge-nf-call-iptables", "0")


def _answers(seen: Captured, payload: bytes) -> bool:
    packet = seen.packet
    return not seen.sent and packet is not None and packet.op == v4.BOOTREPLY and seen.payload[4:8] == payload[4:8]
