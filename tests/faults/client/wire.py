"""How a crowd's messages leave and its answers come: frames on a link, or as a relay agent that hands them on.

Law: the namespace's kernel has none of the clients' addresses on a link: ARP for them is answered here, with each
client's own MAC, so that a server finds a thousand hosts where there is one process.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Protocol

from everlease.errors import WireError
from everlease.runtime import bpf
from everlease.runtime.ethernet import BROADCAST_HARDWARE, build, parse
from everlease.wire import v4
from faults.client.plan import Relayed
from lab.packet_client import EVERYBODY, from_client_port

_ETH_P_ALL = 0x0003
_ETH_P_ARP = b"\x08\x06"
_ARP_REQUEST = b"\x00\x01\x08\x00\x06\x04\x00\x01"
_ARP_REPLY = _ARP_REQUEST[:-1] + b"\x02"
_BUFFER = 8 << 20
_SO_RCVBUFFORCE, _SOL_PACKET, _PACKET_IGNORE_OUTGOING = 33, 263, 23
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=i4s4s")
# ARP, or UDP (no fragment) to port 68.
_FILTER = [
    (0x28, 0, 0, 12),
    (0x15, 8, 0, 0x0806),
    (0x15, 0, 6, 0x0800),
    (0x30, 0, 0, 23),
    (0x15, 0, 4, socket.IPPROTO_UDP),
    (0xB1, 0, 0, 14),
    (0x48, 0, 0, 16),
    (0x15, 0, 1, 68),
    (0x06, 0, 0, 0xFFFFFFFF),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
]


class Wire(Protocol):
    """What the load needs of a network. held: client addresses, each with its owner's MAC."""

    held: dict[int, bytes]
    sockets: list[socket.socket]

    def send(self, packet: v4.Packet, to: int = EVERYBODY) -> None:
        """Send a client's message: to everybody, or from its ciaddr to one server. What cannot leave is lost."""

    def receive(self, ready: socket.socket) -> Iterator[v4.Packet]:
        """What waits in one of the sockets."""


class LinkWire:
    """Clients on a link: raw frames with each client's MAC."""

    def __init__(self, interface: str) -> None:
        self.held: dict[int, bytes] = {}
        self._servers: dict[int, bytes] = {}
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        bpf.attach(raw, _FILTER)
        raw.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        raw.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        raw.bind((interface, _ETH_P_ALL))
        raw.setblocking(False)
        self._raw = raw
        self.sockets = [raw]

    def send(self, packet: v4.Packet, to: int = EVERYBODY) -> None:
        """A frame; to a server whose MAC was never seen it cannot leave."""
        hardware = BROADCAST_HARDWARE if to == EVERYBODY else self._servers.get(to)
        if hardware is not None:
            ends = (packet.ciaddr, to)  # who rebinds broadcasts from its address (RFC 2131 section 4.1)
            self._put(from_client_port(build(v4.build(packet), (packet.chaddr, hardware), ends, 67)))

    def receive(self, ready: socket.socket) -> Iterator[v4.Packet]:
        """Replies; ARP is answered on the way."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = ready.recv(2048)
                if frame[12:14] == _ETH_P_ARP:
                    self._answer(frame)
                    continue
                read = parse(frame, verify=False)
                if not isinstance(read, str):
                    self._servers[read[1]] = frame[6:12]
                    yield from _parsed(read[0])

    def _answer(self, frame: bytes) -> None:
        """Who-has for an address of a client of ours, or a server's own announcement."""
        sender, target = frame[22:32], frame[38:42]
        owner = self.held.get(int.from_bytes(target, "big"))
        if frame[14:22] == _ARP_REQUEST and owner is not None and frame[28:32] != bytes(4):
            self._put(sender[:6] + owner + _ETH_P_ARP + _ARP_REPLY + owner + target + sender)

    def _put(self, frame: bytes) -> None:
        with contextlib.suppress(OSError):  # the link is down, or the queue is full: lost, as on any wire
            self._raw.send(frame)


class RelayWire:
    """Clients behind a relay agent: broadcasts go to every server with giaddr, renewals from the client's address."""

    def __init__(self, relayed: Relayed) -> None:
        self.held: dict[int, bytes] = {}
        self._giaddr = int(IPv4Address(relayed.giaddr))
        self._targets = [_target(server) for server in relayed.servers]
        self._agent = _udp(relayed.giaddr, 67)
        self._clients = _udp("0.0.0.0", 68)
        self.sockets = [self._agent, self._clients]

    def send(self, packet: v4.Packet, to: int = EVERYBODY) -> None:
        """By the agent, or from the client's own address (any of the network is local here)."""
        with contextlib.suppress(OSError):
            if to != EVERYBODY:
                source = _PKTINFO.pack(0, packet.ciaddr.to_bytes(4, "big"), bytes(4))
                ancillary = [(socket.IPPROTO_IP, _IP_PKTINFO, source)]
                self._clients.sendmsg([v4.build(packet)], ancillary, 0, (str(IPv4Address(to)), 67))
                return
            relayed = v4.build(replace(packet, giaddr=self._giaddr, hops=packet.hops + 1))
            for target in self._targets:
                self._agent.sendto(relayed, target)

    def receive(self, ready: socket.socket) -> Iterator[v4.Packet]:
        """Replies to the agent, and to clients directly."""
        with contextlib.suppress(OSError):  # empty, or what an unreachable server's host says
            while True:
                yield from _parsed(ready.recv(2048))


def _parsed(payload: bytes) -> Iterator[v4.Packet]:
    with contextlib.suppress(WireError):
        packet = v4.parse(payload)
        if packet.op == v4.BOOTREPLY:
            yield packet


def _target(server: str) -> tuple[str, int]:
    host, _, port = server.partition(":")
    return host, int(port or 67)


def _udp(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock
