"""UDP endpoints: a link's unicast packets, and `--listen` for relays.

Law: a reply leaves from the address that the packet was sent to (IP_PKTINFO), or the client will not know it; and port
67 is ours on every address that we serve, or the kernel answers renewals with ICMP port unreachable.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from struct import Struct
from typing import Final

from everlease.errors import ConfigError
from everlease.runtime import bpf
from everlease.runtime.interfaces import InterfaceInfo
from everlease.runtime.overflow import dropped_by_udp_socket
from everlease.runtime.sockets import (
    LARGEST,
    SO_TIMESTAMPNS,
    Datagram,
    FrameSender,
    Ports,
    ReceiveClock,
    Tally,
    count_unsent,
    opening,
    prepare,
)

_IP_PKTINFO: Final = 8
_IP_FREEBIND: Final = 15
_PKTINFO: Final = Struct("=i4sI")  # interface, local address to use, destination of the packet's header
_SEND_FROM: Final = Struct("!4xI4x")
_ADDRESS: Final = Struct("!I")
_ANCILLARY: Final = socket.CMSG_SPACE(_PKTINFO.size) + socket.CMSG_SPACE(16)
_ETHERNET_MTU: Final = 1500
# socket's own are enums, and an enum's `&` costs more than the rest of the loop.
_TRUNCATED: Final = int(socket.MSG_TRUNC)


# A relay's address comes and goes with every packet behind it: looked up in a third of the time of making it.
@lru_cache(maxsize=256)
def _number(text: str) -> int:
    (address,) = _ADDRESS.unpack(socket.inet_aton(text))
    return int(address)


@lru_cache(maxsize=256)
def _text(address: int) -> str:
    return socket.inet_ntoa(_ADDRESS.pack(address))


class _UdpSocket:
    """What both endpoints do: drain with stamps and destinations, send from a chosen address."""

    def __init__(self, sock: socket.socket, tally: Tally | None, bound: int = 0) -> None:
        tally = tally or Tally()
        self.tally, self.dropped, self.unsent = tally, tally.dropped, tally.unsent
        self._socket = sock
        self._bound = bound  # what the kernel sends from unless told otherwise; 0 = what the route says
        self._clock = ReceiveClock()
        self._lost = 0

    def fileno(self) -> int:
        """For `loop.add_reader`."""
        return self._socket.fileno()

    def receive(self, limit: int = 64) -> list[Datagram]:
        """At most `limit` packets that were waiting; never blocks."""
        found: list[Datagram] = []
        receive, clock = self._socket.recvmsg, self._clock
        clock.sample()
        for _ in range(limit):
            try:
                data, ancillary, flags, origin = receive(LARGEST, _ANCILLARY)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error about something we sent: it is cleared by being read
                continue
            if flags & _TRUNCATED:
                self.tally.drop("too_large")
                continue
            at, destination = clock.now, 0
            for level, name, value in ancillary:
                if level == socket.SOL_SOCKET and name == SO_TIMESTAMPNS:
                    at = clock.convert(value)
                elif level == socket.IPPROTO_IP and name == _IP_PKTINFO:
                    (destination,) = _ADDRESS.unpack_from(value, 8)
            found.append(Datagram(data, _number(origin[0]), origin[1], destination, b"", at))
        return found

    def send_udp(self, payload: bytes, address: int, port: int, source: int = 0) -> bool:
        """Send from our port; source: own address to send from, 0 = the kernel's choice. False if refused."""
        to = (_text(address), port)
        try:
            if source and source != self._bound:
                own = (socket.IPPROTO_IP, _IP_PKTINFO, _SEND_FROM.pack(source))
                self._socket.sendmsg([payload], [own], 0, to)
            else:
                self._socket.sendto(payload, to)
        except OSError as error:
            count_unsent(self.unsent, error)
            return False
        return True

    def lost(self) -> int:
        """Packets that the kernel found no room for, or its filter refused, since this was last asked."""
        before, self._lost = self._lost, dropped_by_udp_socket(self._socket)
        return (self._lost - before) & 0xFFFFFFFF

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


class UdpEndpoint(_UdpSocket):
    """A link's unicast: whatever reaches the interface for port 67 of any own address, and is no broadcast.

    One socket on the wildcard address, held to the interface by SO_BINDTODEVICE: so an address that is added later,
    or a service address on `lo`, is served too, and it works in a VRF.
    """

    def __init__(self, label: str, info: InterfaceInfo, ports: Ports, tally: Tally | None = None) -> None:
        super().__init__(_open(0, bpf.SERVER_PORT, ports, info), tally)
        self.label: str | None = label
        self.frames: FrameSender | None = None
        self.learn(info)

    def learn(self, info: InterfaceInfo) -> None:
        """Take over what changed about the interface: addresses, MTU; and what the kernel lets through."""
        self.interface = info.addresses
        self.addresses = frozenset(address for address, _ in info.addresses)
        self.address = info.addresses[0][0] if info.addresses else 0
        self.mtu = info.mtu
        self.index = info.index
        bpf.attach(self._socket, bpf.for_udp(info.broadcasts))

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        """Through the link's raw socket."""
        return self.frames is not None and self.frames.send_frame(payload, hardware, address, source, port)


class ListenEndpoint(_UdpSocket):
    """`--listen ADDR[:PORT]`: unicast for an address that may not be local yet (VIP, anycast), or for all (0.0.0.0).

    Broadcasts are left to links. Raises ConfigError, in one line, if it cannot be bound.
    """

    def __init__(self, address: int, port: int, ports: Ports, tally: Tally | None = None) -> None:
        super().__init__(_open(address, port, ports, None), tally, address)
        self.label: str | None = None
        self.address = address
        self.addresses = frozenset({address} if address else ())
        self.interface: tuple[tuple[int, int], ...] = ()
        self.mtu = _ETHERNET_MTU
        self.index = 0

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        """There is no link here: counted, and False."""
        self.unsent["no_link"] = self.unsent.get("no_link", 0) + 1
        return False


def _open(address: int, port: int, ports: Ports, info: InterfaceInfo | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        with opening(f"interface {info.name}" if info else "UDP"):
            bpf.attach(sock, bpf.for_udp(info.broadcasts) if info else bpf.for_relays())
            prepare(sock)
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            if info:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, info.name.encode())
        ports.bind(sock, address, port, info.name if info else "")
    except ConfigError:
        sock.close()
        raise
    return sock
