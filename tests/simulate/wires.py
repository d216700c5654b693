"""Links and relays between clients and nodes: packets come late, twice, out of order, or not at all.

Law: a packet is bytes, and what a node sends leaves from the place that it was handed to; who hears it is decided as
Ethernet and a relay agent do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from everlease.runtime.sockets import Datagram
from everlease.wire import v4
from simulate.world import World

EVERYBODY = 0xFFFFFFFF
CLIENT_PORT, SERVER_PORT = 68, 67
_CHADDR = slice(28, 34)


class Hearer(Protocol):
    """A client."""

    mac: bytes

    def hear(self, packet: v4.Packet, node: str) -> None:
        """A reply has come."""


@dataclass(slots=True)
class Quality:
    """How bad a wire is. loss, twice: shares of packets; late: seconds at most."""

    loss: float = 0.0
    twice: float = 0.0
    late: float = 0.02


@dataclass(slots=True, eq=False)
class Endpoint:
    """`runtime.sockets.Endpoint` of one node at one wire. deaf, mute: what its side of the wire does not do.

    ring: tells the node that something is waiting; sent: looks at each reply (payload) that leaves.
    """

    node: str
    label: str | None
    address: int
    length: int
    wire: Wire
    boot: Callable[[], float]
    ring: Callable[[Endpoint], None]
    sent: Callable[[Endpoint, bytes], None]
    mtu: int = 1500
    index: int = 1
    deaf: bool = False
    mute: bool = False
    dead: bool = False
    waiting: list[Datagram] = field(default_factory=list)
    heard: dict[tuple[bytes, int], float] = field(default_factory=dict)
    asked: dict[tuple[bytes, int], int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    unsent: dict[str, int] = field(default_factory=dict)

    @property
    def addresses(self) -> frozenset[int]:
        return frozenset({self.address})

    @property
    def interface(self) -> tuple[tuple[int, int], ...]:
        return ((self.address, self.length),) if self.label is not None else ()

    def fileno(self) -> int:
        return -1

    def receive(self, limit: int = 64) -> list[Datagram]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        if self.waiting:
            self.ring(self)
        return taken

    def take(self, datagram: Datagram) -> None:
        """The kernel has got a packet for this socket."""
        if not (self.deaf or self.dead):
            datagram.received_at = self.boot()
            self.waiting.append(datagram)
            self.ring(self)

    def send_udp(self, payload: bytes, address: int, port: int, source: int = 0) -> bool:
        return self._send(payload, address)

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        return self._send(payload, 0)

    def _send(self, payload: bytes, address: int) -> bool:
        if not self.dead:
            self.sent(self, payload)
            if not self.mute:
                self.wire.answer(self, payload, address)
        return True


class Wire:
    """One link. nodes: the endpoints on it; clients: by hardware address."""

    def __init__(self, world: World, name: str, quality: Quality) -> None:
        self.world = world
        self.name = name
        self.quality = quality
        self.nodes: dict[str, Endpoint] = {}
        self.clients: dict[bytes, Hearer] = {}

    def ask(self, packet: v4.Packet, to: int = EVERYBODY) -> None:
        """A client sends: to every node on the link, or to the one with this address."""
        self._record(packet, packet.ciaddr, to)
        payload = v4.build(packet)
        for endpoint in self.nodes.values():
            if to in (EVERYBODY, endpoint.address):
                self._carry(
                    endpoint, payload, packet, Datagram(payload, packet.ciaddr, CLIENT_PORT, to, packet.chaddr, 0.0)
                )

    def _carry(self, endpoint: Endpoint, payload: bytes, packet: v4.Packet, datagram: Datagram) -> None:
        for delay in self._delays():
            copy = Datagram(
                payload, datagram.source, datagram.source_port, datagram.destination, datagram.hardware, 0.0
            )
            self.world.loop.outside(delay, self._deliver, endpoint.node, copy, packet)

    def _deliver(self, node: str, datagram: Datagram, packet: v4.Packet) -> None:
        endpoint = self.nodes.get(node)  # of the process that runs now
        if endpoint is not None:
            conversation = packet.chaddr, packet.xid
            endpoint.heard[conversation] = self.world.now
            if packet.message_type == v4.REQUEST:
                endpoint.asked[conversation] = packet.ciaddr or int.from_bytes(packet.options[50], "big")
            endpoint.take(datagram)

    def _delays(self) -> list[float]:
        """When the copies of one packet arrive; none at all if it is lost."""
        chance, quality = self.world.chance, self.quality
        copies = 0 if chance.random() < quality.loss else 1 + (chance.random() < quality.twice)
        return [chance.uniform(0.0001, quality.late) for _ in range(copies)]

    def answer(self, endpoint: Endpoint, payload: bytes, address: int) -> None:
        """A node sends a reply."""
        client = self.clients.get(payload[_CHADDR])
        if client is not None:
            for delay in self._delays():
                self.world.loop.outside(delay, self._hand_over, client, payload, endpoint)

    def _hand_over(self, client: Hearer, payload: bytes, endpoint: Endpoint) -> None:
        packet = v4.parse(payload)
        self._record(packet, endpoint.address, packet.yiaddr)
        client.hear(packet, endpoint.node)

    def _record(self, packet: v4.Packet, source: int, destination: int) -> None:
        if self.world.recorder is not None:
            self.world.recorder.packet(self.world, self.name, replace(packet), source, destination)


class Relay(Wire):
    """A link behind a relay agent, which sends to the nodes in `servers`."""

    def __init__(self, world: World, name: str, quality: Quality, giaddr: int, servers: frozenset[str]) -> None:
        super().__init__(world, name, quality)
        self.giaddr = giaddr
        self.servers = servers

    def ask(self, packet: v4.Packet, to: int = EVERYBODY) -> None:
        """A broadcast goes to every server that the relay knows; a unicast past it."""
        self._record(packet, packet.ciaddr, to)
        relayed = to == EVERYBODY
        if relayed:
            packet.giaddr, packet.hops = self.giaddr, 1
        payload = v4.build(packet)
        source, port = (self.giaddr, SERVER_PORT) if relayed else (packet.ciaddr, CLIENT_PORT)
        for endpoint in self.nodes.values():
            if (endpoint.node in self.servers) if relayed else endpoint.address == to:
                self._carry(endpoint, payload, packet, Datagram(payload, source, port, endpoint.address, b"", 0.0))
