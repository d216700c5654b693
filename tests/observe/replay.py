"""A whole node in this process, fed through a real socket, and what an exchange costs it in processor time.

The law of this file: only the node's own work is timed. Packets are written before the time is taken, the time that
answers take to be read is taken off, and the store is another process's; waiting costs nothing. So no rate is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from bench.micro import client_message
from bench.wires import SERVICE
from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError
from everlease.metrics import Usages, collect, text
from everlease.node import Node, this_host
from everlease.runtime.counters import Counters
from everlease.runtime.lifeline import SERVING
from everlease.settings import Settings
from everlease.wire import v4

NODE, RELAY = "127.0.0.1", "127.0.0.2"
TOGETHER = 16
"""Packets that wait when the node looks, and changes in a batch: what comes in 4 ms at 4,000 exchanges/s."""

PATIENCE, TRIES = 3.0, 5
"""Seconds after which nothing will come any more, and how often that may be."""

DOCUMENT = (
    f"{{schema: 1, subnets: [{{id: 1, name: bench, prefix: {SERVICE.prefix}, relays: [{RELAY}], "
    f"pools: [{{range: {SERVICE.pool}}}]}}]}}"
)
_DISCOVER, _REQUEST = v4.parse(client_message(v4.DISCOVER)), v4.parse(client_message(v4.REQUEST))


@dataclass
class Replay:
    """`await begin()` it in a namespace of its own; then `exchanges` and `scrape`; `await end()`.

    bound: clients so far.
    """

    place: Namespace
    etcd: EtcdCluster
    counters: Counters = field(default_factory=Counters)
    usages: Usages = field(default_factory=Usages)
    bound: int = 0

    async def begin(self) -> None:
        """The node serves."""
        listens = ((int(IPv4Address(NODE)), 67),)
        settings = Settings(name="node0", etcd=tuple(self.etcd.endpoints), listens=listens)
        host = replace(this_host(settings), upkeep=None)  # what keeps the store is not what answers
        self.node = Node(settings, self.counters, host)
        self.place.call(lambda: self.node.service.open((), listens))
        self.relay = self.place.call(_relay)
        self._heard: list[bytes] = []
        self._reading = 0.0
        asyncio.get_running_loop().add_reader(self.relay.fileno(), self._read)
        self.node.service.start(asyncio.get_running_loop())
        serves = asyncio.Event()
        self.node.rooms.lifeline.told.append(lambda state, _reason: serves.set() if state == SERVING else None)
        await self.node.join(DOCUMENT)
        await asyncio.wait_for(serves.wait(), TRIES * PATIENCE)

    async def exchanges(self, count: int) -> float:
        """So many new clients are bound; processor seconds that one of them took."""
        bursts = [await self._burst() for _ in range(count // TOGETHER)]
        return (sum(bursts) + self._sort()) / (len(bursts) * TOGETHER)

    def _sort(self) -> float:
        """Processor seconds of what a node does each half second with what it has observed."""
        began = time.process_time()
        deque(self.counters.fold(), maxlen=0)
        return time.process_time() - began

    async def _burst(self) -> float:
        """Processor seconds of `TOGETHER` exchanges. Where the machine stood still, so that the node lost its echo and
        says nothing for a moment, others are tried instead."""
        for _ in range(TRIES):
            clients = range(self.bound, self.bound + TOGETHER)
            self.bound += TOGETHER
            try:
                offers, offering = await self._ask([_discover(client) for client in clients], v4.OFFER)
                _, binding = await self._ask([_request(offer) for offer in offers], v4.ACK)
            except TimeoutError:
                await asyncio.sleep(PATIENCE)  # until nothing of it can come any more
            else:
                return offering + binding
        raise LabError("the node does not answer")

    async def _ask(self, packets: list[v4.Packet], kind: int) -> tuple[list[v4.Packet], float]:
        for packet in packets:
            self.relay.send(v4.build(packet))
        self._wanted, self._all = len(packets), asyncio.get_running_loop().create_future()
        self._heard, self._reading = [], 0.0
        began = time.process_time()
        await asyncio.wait_for(self._all, PATIENCE)
        used = time.process_time() - began - self._reading
        answers = [v4.parse(payload) for payload in self._heard]
        if any(answer.message_type != kind for answer in answers):
            raise LabError(f"not what was asked for: {[answer.message_type for answer in answers]}")
        return answers, used

    def _read(self) -> None:
        began = time.process_time()
        with contextlib.suppress(BlockingIOError):
            while True:
                self._heard.append(self.relay.recv(2048))
        if len(self._heard) == self._wanted and not self._all.done():
            self._all.set_result(None)
        self._reading += time.process_time() - began

    def scrape(self) -> float:
        """Processor seconds of one scrape, compressed as Prometheus asks for it."""
        began = time.process_time()
        body = b"".join(text(collect(self.node.rooms, self.usages)))
        zlib.compress(body, wbits=31)
        return time.process_time() - began

    async def end(self) -> None:
        """The node lets go of everything."""
        asyncio.get_running_loop().remove_reader(self.relay.fileno())
        await self.node.close()
        self.relay.close()


def _relay() -> socket.socket:
    relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind((RELAY, 67))
    relay.connect((NODE, 67))
    relay.setblocking(False)
    return relay


def _discover(client: int) -> v4.Packet:
    hardware = b"\x02\xbe" + client.to_bytes(4, "big")
    return _packet(_DISCOVER, client, hardware, {61: b"\x01" + hardware})


def _request(offer: v4.Packet) -> v4.Packet:
    wanted = {61: b"\x01" + offer.chaddr, 50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]}
    return _packet(_REQUEST, offer.xid, offer.chaddr, wanted)


def _packet(usual: v4.Packet, xid: int, hardware: bytes, options: dict[int, bytes]) -> v4.Packet:
    relay = int(IPv4Address(RELAY))
    return replace(usual, xid=xid, chaddr=hardware, giaddr=relay, options={**usual.options, **options})
