"""A DISCOVER sent as a client would send it, and every server that answers: ours, and those that nobody knows of.

The law of this file: nothing is asked for beyond an offer, so that no server keeps anything for longer than an offer.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections.abc import Iterator
from typing import Final

from everlease.errors import ConfigError
from everlease.probe.frames import Offer, discover_packet, frame_of, open_client, read_offer
from everlease.runtime.interfaces import InterfaceInfo, describe
from everlease.runtime.sockets import LARGEST, opening

__all__ = ["PERIOD", "WAIT", "Offer", "discover"]

WAIT: Final = 3.0
"""Seconds to listen after the last DISCOVER: a relay, a ping check and a takeover all fit in."""

PERIOD: Final = 1.0
"""Seconds between DISCOVERs."""


def discover(interface: str, count: int = 1, hardware: bytes | None = None, wait: float = WAIT) -> Iterator[Offer]:
    """Send `count` DISCOVERs, a second apart, and yield answers as they come, until `wait` seconds after the last.

    hardware: the client's address, 6 octets; None = the interface's own. Raises ConfigError: no such interface, not
    allowed, no carrier.
    """
    info = describe(interface)
    if not info.carrier:
        raise ConfigError(f"interface {interface} has no carrier: is it up, and is the cable in?")
    with open_client(interface) as sock:
        yield from _converse(sock, info, count, (hardware or info.mac, wait))


def _converse(sock: socket.socket, info: InterfaceInfo, count: int, client: tuple[bytes, float]) -> Iterator[Offer]:
    hardware, wait = client
    asked: dict[int, float] = {}
    for left in range(count, 0, -1):
        xid = random.getrandbits(32)
        asked[xid] = time.monotonic()
        with opening(f"interface {info.name}"):
            sock.send(frame_of(discover_packet(xid, hardware), info.mac))
        until = asked[xid] + (PERIOD if left > 1 else wait)
        while (remaining := until - time.monotonic()) > 0:
            if select.select([sock], [], [], remaining)[0]:
                offer = read_offer(sock.recv(LARGEST), asked, time.monotonic())
                if offer is not None:
                    yield offer
