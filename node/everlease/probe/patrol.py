"""`--rogue-probe`: a node asks on its links, now and then, as a client would; who answers and is no member is told.

The law of this file: the cluster's own nodes never answer it (`core.identity.PROBE`), so nothing is held or committed
for it; a link is asked once in a period, its answers are bounded, and what goes wrong on one costs that look alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

from everlease import logs
from everlease.core.identity import PROBE
from everlease.errors import ConfigError
from everlease.probe.discover import WAIT
from everlease.probe.frames import Offer, discover_packet, frame_of, open_client, read_offer
from everlease.runtime.counters import Counters
from everlease.runtime.interfaces import describe
from everlease.runtime.membership import Membership
from everlease.runtime.sockets import LARGEST
from everlease.store.records import dotted

SHORTEST: Final = 5.0
"""Seconds: more often would be a burden for the very server that one wants to find."""

MOST: Final = 32
"""Answers of one look: a server answers once."""

AGAIN: Final = 3600.0
"""Seconds after which a server that is still there is told of again."""


class Patrol:
    """links: label -> interface; period: seconds. `run` it.

    What it finds is in `counters.rogues`, link -> servers that are no members.
    """

    def __init__(self, name: str, links: Mapping[str, str], period: float, membership: Membership) -> None:
        self._name = name
        self._links = links
        self._period = period
        self._membership = membership
        self._told: dict[tuple[str, int], float] = {}

    async def run(self, counters: Counters) -> None:
        """Look at each link until cancelled. Nodes that were started together do not ask together."""
        counters.rogues = dict.fromkeys(self._links, 0)
        while True:
            await asyncio.sleep(self._period * (0.5 + random.random()))
            for link, interface in self._links.items():
                found = self.rogues(await self._ask(link, interface))
                counters.rogues[link] = len(found)
                self._tell(link, found)

    async def _ask(self, link: str, interface: str) -> list[Offer]:
        """Those who answer within `WAIT`; [] where there is nobody to ask."""
        loop, xid = asyncio.get_running_loop(), random.getrandbits(32)
        answers: list[Offer] = []
        try:
            info = describe(interface)
            sock = open_client(interface, xid)
        except ConfigError:  # the link is gone, or not yet there: the node itself says so
            return []
        with sock:
            sock.setblocking(False)
            asked = {xid: loop.time()}

            def hear() -> None:
                try:
                    offer = read_offer(sock.recv(LARGEST), asked, loop.time())
                except BlockingIOError:
                    return
                except OSError:  # the interface went down
                    loop.remove_reader(sock)
                    return
                if offer is not None and len(answers) < MOST:
                    answers.append(offer)

            loop.add_reader(sock, hear)
            try:
                sock.send(frame_of(discover_packet(xid, self.hardware(link)), info.mac))
                await asyncio.sleep(WAIT)
            except OSError:
                return []
            finally:
                loop.remove_reader(sock)
        return answers

    def hardware(self, link: str) -> bytes:
        """The marked address that this node asks with on a link: always the same, so that it is one client there."""
        return PROBE + bytes((crc32(f"{self._name} {link}".encode()) & 0xFF,))

    def rogues(self, offers: Iterable[Offer]) -> dict[int, Offer]:
        """Server -> its answer, of those that no member goes by, or went by lately."""
        known = self._membership.identifiers()
        return {offer.server: offer for offer in offers if offer.server not in known}

    def _tell(self, link: str, found: Mapping[int, Offer]) -> None:
        now = asyncio.get_running_loop().time()
        for server, offer in found.items():
            if now - self._told.get((link, server), -AGAIN) >= AGAIN:
                self._told[link, server] = now
                words = {"server": dotted(server), "source": dotted(offer.source), "server_hardware": _hex(offer)}
                logs.get().warning("rogue server", link=link, **words, offered=dotted(offer.packet.yiaddr))
        for known, server in [each for each in self._told if each[0] == link and each[1] not in found]:
            del self._told[known, server]
            logs.get().info("rogue server is silent", link=link, server=dotted(server))


def _hex(offer: Offer) -> str:
    return offer.hardware.hex("-")
