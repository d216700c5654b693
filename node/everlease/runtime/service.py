"""Which sockets a node serves, kept true while interfaces come, go and change.

The law of this file: what presence says of a link is what its sockets can do now. A link without carrier leaves
presence at once, and so the other nodes answer its clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from everlease.runtime.interfaces import LinkMonitor
from everlease.runtime.links import Link
from everlease.runtime.membership import Membership
from everlease.runtime.overflow import LOOK, FullQueues
from everlease.runtime.responder import Responder
from everlease.runtime.sockets import Endpoint, Ports, Tally
from everlease.runtime.udp import ListenEndpoint
from everlease.store.records import dotted

SERVER_PORT = 67
ANNOUNCED = (0.0, 2.0)
"""Seconds after a change of an interface: the switch may not have opened its port yet (RFC 5227 section 2.3)."""


@dataclass(frozen=True, slots=True)
class Served:
    """One `--interface [LABEL=]IF`. label: as the operator gave it, "" = none."""

    label: str
    interface: str


class Service:
    """Opens what the flags name, reads it, and tells membership. `changed` is called when a link came or went.

    tally: the node's counters by reason, of packets that a socket drops before they are parsed, or cannot send.
    """

    def __init__(self, responder: Responder, membership: Membership, changed: Callable[[], None], tally: Tally) -> None:
        self._responder = responder
        self._membership = membership
        self._changed = changed
        self._tally = tally
        self._ports = Ports()
        self._named: dict[str, str] = {}
        self._links: dict[str, Link] = {}
        self._listens: list[ListenEndpoint] = []
        self._monitor: LinkMonitor | None = None
        self._full_queues: FullQueues | None = None
        self.identifier = 0

    def open(self, links: Sequence[Served], listens: Sequence[tuple[int, int]]) -> None:
        """Open every socket. Raises ConfigError, in one line, for the first that cannot be."""
        self._full_queues = FullQueues()
        for served in links:
            label = served.label or served.interface
            self._named[label] = served.label
            link = self._links[served.interface] = Link(label, served.interface, self._ports, self._tally)
            link.open()
        for address, port in listens:
            self._listens.append(ListenEndpoint(address, port, self._ports, self._tally))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read from now on."""
        self._loop = loop
        for endpoint in self._listens:
            self._read(endpoint)
        for link in self._links.values():
            for each in link.endpoints:
                self._read(each)
        if self._links:
            self._monitor = LinkMonitor(self._links)
            loop.add_reader(self._monitor.fileno(), self._look)
        self._tell()

    def _read(self, endpoint: Endpoint) -> None:
        self._loop.add_reader(endpoint.fileno(), self._responder.reader(endpoint))

    async def watch_queues(self) -> None:
        """Count what the kernel found no room for, once a second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            self.count_lost()

    def count_lost(self) -> None:
        """Count what the kernel found no room for since the last look."""
        links = [link.endpoints for link in self._links.values() if link.endpoints]
        if self._full_queues is not None:
            udp = [*self._listens, *(each for _, each in links)]
            self._tally.drop("queue_full", self._full_queues.count([each for each, _ in links], udp))

    def _look(self) -> None:
        """The kernel spoke of interfaces."""
        assert self._monitor is not None
        for link in (self._links[name] for name in self._monitor.changes()):
            self._refresh(link)
            for delay in ANNOUNCED:
                self._loop.call_later(delay, link.announce)
        self._tell()
        self._changed()

    def _refresh(self, link: Link) -> None:
        link.refresh(self._loop.remove_reader)
        for endpoint in link.endpoints:
            self._read(endpoint)

    def _tell(self) -> None:
        links: dict[str, tuple[int, ...]] = {}
        places: dict[str, str] = {}
        for link in self._links.values():
            place = places[link.label] = self._named[link.label] or _prefix_of(link)
            if link.up:
                links[place] = tuple(sorted(link.endpoints[0].addresses)) if link.endpoints else ()
        own = tuple(endpoint.address for endpoint in self._listens if endpoint.address)
        if self._listens:
            links[""] = own
        if self.identifier:
            links = {place: (*addresses, self.identifier) for place, addresses in links.items()}
        self._membership.serve(links, places)

    def stop(self) -> None:
        """Read no more, and give every socket back; also those that were opened and never read."""
        loop = asyncio.get_running_loop()
        if self._monitor is not None:
            loop.remove_reader(self._monitor.fileno())
            self._monitor.close()
        for endpoint in (*self._listens, *(each for link in self._links.values() for each in link.endpoints)):
            loop.remove_reader(endpoint.fileno())
            endpoint.close()
        if self._full_queues is not None:
            self._full_queues.close()
            self._full_queues = None


def _prefix_of(link: Link) -> str:
    """What two hosts that serve the same link unnamed have in common: the prefix of its first address."""
    interface = link.endpoints[0].interface if link.endpoints else ()
    if not interface:
        return link.name
    address, length = interface[0]
    return f"{dotted(address >> (32 - length) << (32 - length))}/{length}"
