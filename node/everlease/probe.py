"""A DISCOVER sent as a client would send it, and every server that answers: ours, and those that nobody knows of.

The law of this file: nothing is asked for beyond an offer, so that no server keeps anything for longer than an offer.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from everlease.errors import ConfigError, WireError
from everlease.runtime import bpf
from everlease.runtime.ethernet import BROADCAST_HARDWARE, parse
from everlease.runtime.interfaces import InterfaceInfo, describe
from everlease.runtime.sockets import LARGEST, opening
from everlease.wire import v4

WAIT: Final = 3.0
"""Seconds to listen after the last DISCOVER: a relay, a ping check and a takeover all fit in."""

PERIOD: Final = 1.0
"""Seconds between DISCOVERs."""

WANTED: Final = bytes((1, 3, 6, 15, 51, 54, 58, 59))
"""Parameter request list: mask, routers, name servers, domain, lifetimes, server identifier."""

_CLIENT_PORT: Final = 68
_ETH_P_IP: Final = 0x0800
_BROADCAST: Final = 0xFFFFFFFF
_IP: Final = Struct("!BBHHHBBHII")
_UDP: Final = Struct("!HHHH")
_ETHERNET: Final = Struct("!6s6sH")


@dataclass(frozen=True, slots=True)
class Offer:
    """One answer: who sent it (option 54, IP source, source MAC), the packet, and seconds since its DISCOVER."""

    identifier: int
    source: int
    hardware: bytes
    packet: v4.Packet
    seconds: float


def discover(interface: str, count: int = 1, hardware: bytes | None = None, wait: float = WAIT) -> Iterator[Offer]:
    """Send `count` DISCOVERs, a second apart, and yield answers as they come, until `wait` seconds after the last.

    hardware: the client's address, 6 octets; None = the interface's own. Raises ConfigError: no such interface, not
    allowed, no carrier.
    """
    info = describe(interface)
    if not info.carrier:
        raise ConfigError(f"interface {interface} has no carrier: is it up, and is the cable in?")
    with opening(f"interface {interface}"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    with sock:
        with opening(f"interface {interface}"):
            bpf.attach(sock, _for_client())
            sock.bind((interface, _ETH_P_IP))
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
                yield from _read(sock.recv(LARGEST), asked)


def _read(frame: bytes, asked: dict[int, float]) -> Iterator[Offer]:
    read = parse(frame, verify=False)  # on veth and virtio a good frame may carry an unfinished checksum
    if isinstance(read, str):
        return
    payload, source, _port, _destination = read
    try:
        packet = v4.parse(payload)
    except WireError:
        return
    if packet.op != v4.BOOTREPLY or packet.xid not in asked or packet.message_type not in (v4.OFFER, v4.ACK):
        return
    identifier = int.from_bytes(packet.options.get(54, b""), "big")
    yield Offer(identifier, source, frame[6:12], packet, time.monotonic() - asked[packet.xid])


def discover_packet(xid: int, hardware: bytes) -> v4.Packet:
    """What a client without an address says first, answers wanted by broadcast (RFC 2131 section 4.4.1)."""
    options = {53: bytes((v4.DISCOVER,)), 55: WANTED, 57: (1500).to_bytes(2, "big"), 60: b"everlease-probe"}
    return v4.Packet(xid=xid, flags=v4.BROADCAST_FLAG, hlen=len(hardware), chaddr=hardware, options=options)


def frame_of(packet: v4.Packet, hardware: bytes) -> bytes:
    """The frame to all servers, from 0.0.0.0 port 68, with an IP checksum; UDP's is optional (RFC 768)."""
    payload = v4.build(packet)
    udp = _UDP.pack(_CLIENT_PORT, bpf.SERVER_PORT, 8 + len(payload), 0)
    fields = (0x45, 0, 28 + len(payload), 0, 0, 64, socket.IPPROTO_UDP, 0, 0, _BROADCAST)
    checksum = -int.from_bytes(_IP.pack(*fields), "big") % 0xFFFF
    ip = _IP.pack(*fields[:7], checksum, *fields[8:])
    return _ETHERNET.pack(BROADCAST_HARDWARE, hardware, _ETH_P_IP) + ip + udp + payload


def _for_client() -> list[bpf.Instruction]:
    """Frames: IPv4, UDP, no fragment, to the client's port."""
    return [
        (0x28, 0, 0, 12),  # Ethernet type
        (0x15, 0, 8, _ETH_P_IP),
        (0x30, 0, 0, 23),  # protocol
        (0x15, 0, 6, socket.IPPROTO_UDP),
        (0x28, 0, 0, 20),  # fragment
        (0x45, 4, 0, 0x3FFF),
        (0xB1, 0, 0, 14),  # length of the IP header
        (0x48, 0, 0, 16),  # destination port
        (0x15, 0, 1, _CLIENT_PORT),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    ]
