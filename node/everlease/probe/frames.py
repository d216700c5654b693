"""The frames of a probe: the DISCOVER that leaves, the offers that come back, and the socket for both.

The law of this file: what is read here came from anybody; it is parsed as every packet is, or dropped.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from everlease.errors import WireError
from everlease.runtime import bpf
from everlease.runtime.ethernet import BROADCAST_HARDWARE, parse
from everlease.runtime.sockets import opening
from everlease.wire import v4

WANTED: Final = bytes((1, 3, 6, 15, 51, 54, 58, 59))
"""Parameter request list: mask, routers, name servers, domain, lifetimes, server identifier."""

_CLIENT_PORT: Final = 68
_ETH_P_IP: Final = 0x0800
_BROADCAST: Final = 0xFFFFFFFF
_IP: Final = Struct("!BBHHHBBHII")
_UDP: Final = Struct("!HHHH")
_ETHERNET: Final = Struct("!6s6sH")
_XID: Final = 14 + 8 + 4  # Ethernet, UDP and the first word of BOOTP; the IP header's length comes from the filter


@dataclass(frozen=True, slots=True)
class Offer:
    """One answer: who sent it (option 54, IP source, source MAC), the packet, and seconds since its DISCOVER."""

    identifier: int
    source: int
    hardware: bytes
    packet: v4.Packet
    seconds: float

    @property
    def server(self) -> int:
        """The address by which its clients know the server; the packet's source where it names none."""
        return self.identifier or self.source


def open_client(interface: str, xid: int | None = None) -> socket.socket:
    """A raw socket that hears what is sent to clients: to one transaction, or to all (None). Raises ConfigError."""
    with opening(f"interface {interface}"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            bpf.attach(sock, _for_client(xid))
            sock.bind((interface, _ETH_P_IP))
        except OSError:
            sock.close()
            raise
    return sock


def read_offer(frame: bytes, asked: Mapping[int, float], now: float) -> Offer | None:
    """The answer in a frame, None if it is none. asked: when each transaction was begun."""
    read = parse(frame, verify=False)  # on veth and virtio a good frame may carry an unfinished checksum
    if isinstance(read, str):
        return None
    payload, source, _port, _destination = read
    try:
        packet = v4.parse(payload)
    except WireError:
        return None
    if packet.op != v4.BOOTREPLY or packet.xid not in asked or packet.message_type not in (v4.OFFER, v4.ACK):
        return None
    identifier = int.from_bytes(packet.options.get(54, b"")[:4], "big")
    return Offer(identifier, source, frame[6:12], packet, now - asked[packet.xid])


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


def _for_client(xid: int | None) -> list[bpf.Instruction]:
    """Frames: IPv4, UDP, no fragment, to the client's port; of one transaction, if one is named."""
    one: list[bpf.Instruction] = [] if xid is None else [(0x40, 0, 0, _XID), (0x15, 0, 1, xid)]
    drop = len(one)  # instructions more to jump over
    return [
        (0x28, 0, 0, 12),  # Ethernet type
        (0x15, 0, 8 + drop, _ETH_P_IP),
        (0x30, 0, 0, 23),  # protocol
        (0x15, 0, 6 + drop, socket.IPPROTO_UDP),
        (0x28, 0, 0, 20),  # fragment
        (0x45, 4 + drop, 0, 0x3FFF),
        (0xB1, 0, 0, 14),  # length of the IP header
        (0x48, 0, 0, 16),  # destination port
        (0x15, 0, 1 + drop, _CLIENT_PORT),
        *one,
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    ]
