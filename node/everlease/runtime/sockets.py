"""What every socket of the packet path has in common: the datagram, the endpoint, receive times, ports, errors.

Law: nothing here blocks and nothing here raises because of a packet; what cannot be read or sent is counted.
An error at *opening* is the operator's, and is one line that says what to do.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from struct import Struct
from typing import Final, Protocol

import msgspec

from everlease.core.actions import UNREAD
from everlease.errors import ConfigError

# The longest message that wire accepts, with an IP header with options and Ethernet and UDP headers around it.
LARGEST: Final = 9216 + 60 + 8 + 14
# The kernel doubles it, and counts 1,280 octets for a DISCOVER: 6,500 packets, half a second of work at full speed.
# More would only age in the queue; less would lose a boot storm.
RECEIVE_BUFFER: Final = 4 << 20
SO_TIMESTAMPNS: Final = 35
TIMESTAMP: Final = Struct("qq")  # seconds, nanoseconds
# Why a packet is dropped before anybody parses it; label values of everlease_packets_dropped_total.
REASONS: Final = ("malformed", "bad_checksum", "tagged", "outgoing", "other_host", "too_large", "queue_full")
_SO_RCVBUFFORCE: Final = 33
_OLDEST: Final = 60.0  # no queue is that long: such a stamp tells of a stepped clock
_STEP: Final = 0.1


class Datagram(msgspec.Struct, gc=False):
    """One UDP payload that came in; nobody writes to it.

    data: the payload; source, source_port, destination: of the IP packet, addresses as ints; hardware: source MAC,
    b"" where the socket does not tell; received_at: when the kernel got it, seconds of CLOCK_BOOTTIME.
    """

    data: bytes
    source: int
    source_port: int
    destination: int
    hardware: bytes
    received_at: float


class Endpoint(Protocol):
    """A socket that packets come in by, and the way back to whoever sent them.

    label: the link's, None for `--listen`; address: own primary IPv4 address there, 0 = none; addresses: all own ones;
    interface: the same as (address, prefix length), () for `--listen`; mtu: octets of IP; index: the interface's,
    0 for `--listen`.
    dropped, unsent: counts by reason, monotone; read them, never write. They may be the node's own tables, given at
    opening, with every one of `REASONS` in it.
    """

    label: str | None
    address: int
    addresses: frozenset[int]
    interface: tuple[tuple[int, int], ...]
    mtu: int
    index: int
    dropped: dict[str, int]
    unsent: dict[str, int]

    def fileno(self) -> int:
        """For `loop.add_reader`."""

    def receive(self, limit: int = 64) -> list[Datagram]:
        """What is waiting, at most `limit` packets; never blocks. Call again while it returns `limit` of them."""

    def send_udp(self, payload: bytes, address: int, port: int, source: int = 0) -> bool:
        """Send by UDP from our port to an address that ARP or a route reaches; source 0 = the kernel's choice.

        False, and counted, if the kernel refused it.
        """

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        """Send one Ethernet frame on the link to a client without an address, or to all (RFC 2131 section 4.1).

        False, and counted, if the kernel refused it or there is no link (`--listen`).
        """


class FrameSender(Protocol):
    """The half of an endpoint that a link's raw socket lends to its UDP socket."""

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        """As `Endpoint.send_frame`."""


class ReceiveClock:
    """Turns the kernel's receive stamps (CLOCK_REALTIME) into CLOCK_BOOTTIME; a step of the wall clock harms nothing.

    `sample()` once for each batch, `convert()` for each packet. Where a stamp cannot be trusted the time is `now`: a
    packet that seems young is answered, one that seems two seconds old would be dropped.
    """

    __slots__ = ("_offset", "_trusted", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._offset = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_REALTIME)
        self._trusted = True

    def sample(self) -> None:
        """Read both clocks. An offset that jumped since the last batch distrusts the stamps of this one."""
        self.now = time.clock_gettime(time.CLOCK_BOOTTIME)
        offset = self.now - time.clock_gettime(time.CLOCK_REALTIME)
        self._trusted = abs(offset - self._offset) < _STEP
        self._offset = offset

    def convert(self, stamp: bytes) -> float:
        """Seconds of CLOCK_BOOTTIME for a `struct timespec` of the kernel; `now` if it cannot be right."""
        seconds, nanoseconds = TIMESTAMP.unpack(stamp)
        then: float = seconds + nanoseconds * 1e-9 + self._offset
        return then if self._trusted and self.now - _OLDEST < then <= self.now else self.now


class Ports:
    """Binds UDP ports: taken by a stranger is an error, shared between sockets of our own is not.

    `--interface eth0 --listen 0.0.0.0` needs port 67 twice; the kernel gives a packet to the most specific socket.
    """

    def __init__(self) -> None:
        self._bound: dict[int, list[socket.socket]] = {}

    def bind(self, sock: socket.socket, address: int, port: int, device: str = "") -> None:
        """Bind, or raise ConfigError in one line that names `device`, too. A socket that was closed is forgotten."""
        where = (str(IPv4Address(address)), port)
        siblings = [other for other in self._bound.get(port, []) if other.fileno() >= 0]
        with opening(f"UDP {where[0]}:{port}{device and f' on {device}'}"):
            try:
                sock.bind(where)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not siblings:
                    raise
                for each in (*siblings, sock):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(where)
        self._bound[port] = [*siblings, sock]


@contextmanager
def opening(what: str) -> Iterator[None]:
    """Turn the kernel's refusal to open `what` into a ConfigError that says what to do."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{what}: {_ADVICE.get(error.errno or 0, os.strerror(error.errno or 0))}") from error


_CAPABILITIES = "CAP_NET_RAW CAP_NET_BIND_SERVICE"
_ADVICE: Final = {
    errno.EPERM: f"needs CAP_NET_RAW: run as root, or in systemd say AmbientCapabilities={_CAPABILITIES}",
    errno.EACCES: f"needs CAP_NET_BIND_SERVICE: run as root, or in systemd say AmbientCapabilities={_CAPABILITIES}",
    errno.EADDRINUSE: "in use by another program (see `ss -lunp`): stop it, or serve another address",
    errno.EADDRNOTAVAIL: "not an address of this host",
    errno.ENODEV: "the interface does not exist",
    errno.ENXIO: "the interface does not exist",
    errno.EMFILE: "too many open files: raise the limit (LimitNOFILE=)",
}


def prepare(sock: socket.socket) -> None:
    """Receive stamps, a bounded but larger receive buffer, no blocking."""
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:  # without CAP_NET_ADMIN the host's net.core.rmem_max bounds it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


_SEND_REASONS: Final = {
    errno.EAGAIN: "queue_full",
    errno.ENOBUFS: "queue_full",
    errno.EMSGSIZE: "too_large",
    errno.ENETDOWN: "link_down",
    errno.ENXIO: "link_down",
    errno.ENODEV: "link_down",
    errno.EBADF: "link_down",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EPERM: "firewall",
    errno.EACCES: "firewall",
    errno.EINVAL: "bad_source",
    errno.EADDRNOTAVAIL: "bad_source",
}


UNSENT: Final = (*dict.fromkeys(_SEND_REASONS.values()), "no_link", "other")
"""Label values of everlease_packets_unsent_total."""


@dataclass(slots=True)
class Tally:
    """What a node's sockets count. By reason, dropped: before anybody parses; unsent: refused by the kernel.

    received: by operation, the dropped ones under `UNREAD`.
    """

    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    unsent: dict[str, int] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=lambda: {UNREAD: 0})

    def drop(self, reason: str, count: int = 1) -> None:
        """Count packets that nobody will parse."""
        self.received[UNREAD] += count
        self.dropped[reason] += count


def count_unsent(unsent: dict[str, int], error: OSError) -> None:
    """Count a refusal to send by its reason."""
    reason = _SEND_REASONS.get(error.errno or 0, "other")
    unsent[reason] = unsent.get(reason, 0) + 1
