"""ICMP echo: one socket that asks whether an address answers, and hears those that do (RFC 792).

The law of this file: nothing here blocks, and nothing raises because of a packet. What comes back counts only if it
carries this process's own token; who answers is told, never believed to be harmless.
"""

from __future__ import annotations

import errno
import os
import socket
from fcntl import ioctl
from struct import Struct
from typing import Final

_ECHO_REPLY, _ECHO = 0, 8
_ECHO_HEADER: Final = Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_ADDRESS: Final = Struct("!I")
_PKTINFO: Final = Struct("=i4s4x")  # interface, local address to use
_ANCILLARY: Final = socket.CMSG_SPACE(_PKTINFO.size)
_IP_PKTINFO: Final = 8
_SOL_RAW, _ICMP_FILTER = 255, 1
_FILTER: Final = Struct("=I")
_LARGEST: Final = 1500
_SIOCGARP: Final = 0x8954
_ARP_REQUEST: Final = Struct("=H2x4s8x16x4x16x16s")  # struct arpreq (arp(7)): family, address, device
_ARP_ENTRY: Final = Struct("=16x2x6s8xI")  # the same: hardware address, flags
_COMPLETE: Final = 2
_REFUSED: Final = (errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT)


class EchoSocket:
    """Sends echo requests, reads echo replies. Raises OSError at opening: neither kind of socket is allowed.

    A raw socket needs CAP_NET_RAW, which a node with links has; otherwise the kernel's own ICMP socket is tried
    (sysctl net.ipv4.ping_group_range), which sets identifier and checksum by itself.
    """

    def __init__(self) -> None:
        self._token = os.urandom(8)
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._socket = _open()
        self._raw = self._socket.type == socket.SOCK_RAW

    def fileno(self) -> int:
        """For `loop.add_reader`."""
        return self._socket.fileno()

    def send(self, address: int, interface: int, source: int) -> bool:
        """Ask an address. interface: index of the one to leave by, 0 = by the route; source: own address, 0 = any.

        False if the kernel would not send it.
        """
        own = (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(interface, _ADDRESS.pack(source)))
        try:
            self._socket.sendmsg([self._request()], [own], 0, (socket.inet_ntoa(_ADDRESS.pack(address)), 0))
        except OSError:
            return False
        return True

    def receive(self, limit: int) -> list[tuple[int, int]]:
        """(interface, address) of those that answered, out of at most `limit` messages that were waiting."""
        found = []
        for _ in range(limit):
            try:
                data, ancillary, _, origin = self._socket.recvmsg(_LARGEST, _ANCILLARY)
            except BlockingIOError:
                break
            except OSError:  # an error about something we sent: it is cleared by being read
                continue
            if self._is_answer(data):
                found.append((_interface(ancillary), _ADDRESS.unpack(socket.inet_aton(origin[0]))[0]))
        return found

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _request(self) -> bytes:
        unsigned = _ECHO_HEADER.pack(_ECHO, 0, 0, self._identifier, 0) + self._token
        return _ECHO_HEADER.pack(_ECHO, 0, checksum(unsigned), self._identifier, 0) + self._token

    def _is_answer(self, data: bytes) -> bool:
        body = data[(data[0] & 15) * 4 :] if self._raw and data else data
        return body[:1] == bytes((_ECHO_REPLY,)) and body[_ECHO_HEADER.size :] == self._token


def hardware_of(address: int, interface: int) -> bytes:
    """The MAC that ARP has found for an address on an interface (its index), b"" if none.

    Whoever answered there was asked for it just now. The kernel looks up one entry: reading its table as a file takes
    6 ms with 900 neighbours.
    """
    try:
        device = socket.if_indextoname(interface).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
            entry = ioctl(asked, _SIOCGARP, _ARP_REQUEST.pack(socket.AF_INET, _ADDRESS.pack(address), device))
    except OSError:  # the interface is gone, or nobody was looked for there
        return b""
    hardware, flags = _ARP_ENTRY.unpack_from(entry)
    return hardware if flags & _COMPLETE else b""


def checksum(data: bytes) -> int:
    """RFC 1071, of an even number of octets."""
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _interface(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, name, value in ancillary:
        if (level, name) == (socket.IPPROTO_IP, _IP_PKTINFO):
            interface: int = _PKTINFO.unpack(value)[0]
            return interface
    return 0


def _open() -> socket.socket:
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP)
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, _FILTER.pack(0xFFFFFFFF ^ 1 << _ECHO_REPLY))
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP)
    sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    sock.setblocking(False)
    return sock
