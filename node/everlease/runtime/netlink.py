"""rtnetlink messages, as far as links and IPv4 addresses need them: bytes <-> plain values, no socket.

Formats: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h. Native byte order throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
RTMGRP_LINK, RTMGRP_IPV4_IFADDR = 0x1, 0x10

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU = 1, 3, 4
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4

HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
LINK = Struct("=BxHiII")  # family, ARPHRD type, index, flags, change
ADDRESS = Struct("=BBBBI")  # family, prefix length, flags, scope, index
INTEGER = Struct("=i")  # an error number, an MTU
_ATTRIBUTE = Struct("=HH")
_NESTED_OR_ORDERED = 0xC000


def request(kind: int, flags: int, body: bytes) -> bytes:
    """One request, ready to be sent."""
    return HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each message in one datagram from the kernel; stops at a length that cannot be."""
    position = 0
    while position + HEADER.size <= len(data):
        length, kind, _flags, _sequence, _port = HEADER.unpack_from(data, position)
        if length < HEADER.size or position + length > len(data):
            return
        yield kind, data[position + HEADER.size : position + length]
        position += (length + 3) & ~3


def attributes(body: bytes, start: int) -> dict[int, bytes]:
    """The attributes that follow a fixed part of `start` octets; the last one of a kind wins."""
    found: dict[int, bytes] = {}
    while start + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, start)
        if length < _ATTRIBUTE.size or start + length > len(body):
            break
        found[kind & ~_NESTED_OR_ORDERED] = body[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
    return found
