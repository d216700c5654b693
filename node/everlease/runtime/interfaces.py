"""What the kernel says about an interface, and word when it changes; rtnetlink, no third party.

Law: an interface is known by its name, because operators name it and it may be deleted and made again; the index
tells whether it is still the same one.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from everlease.errors import ConfigError
from everlease.runtime import netlink as nl

_ETHERNET = 1  # ARPHRD_ETHER
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_RECEIVE = 65536
_LONGEST_NAME = 15
# A burst of changes (hundreds of interfaces of a container host) must not overrun the socket at once.
_MONITOR_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class InterfaceInfo:
    """One Ethernet interface as it was when asked.

    mac: 6 octets; mtu: octets of IP; carrier: it is up and the other end is too.
    addresses: (IPv4, prefix length), the primary one first; broadcasts: what else reaches every host of its prefixes.
    """

    name: str
    index: int
    mac: bytes
    mtu: int
    carrier: bool
    addresses: tuple[tuple[int, int], ...]
    broadcasts: frozenset[int]


def describe(name: str) -> InterfaceInfo:
    """Ask the kernel about one interface. Raises ConfigError, in one line, if it is missing or not Ethernet."""
    if not 0 < len(name.encode()) <= _LONGEST_NAME:
        raise ConfigError(f"interface {name!r}: a name has 1 to {_LONGEST_NAME} characters")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        index, kind, flags, attributes = _link(kernel, name)
        if kind != _ETHERNET:
            raise ConfigError(f"interface {name}: not Ethernet (type {kind}); DHCP on a link needs Ethernet frames")
        rows = list(_addresses(kernel, index))
    up = flags & _IFF_UP and flags & _IFF_LOWER_UP
    return InterfaceInfo(
        name=name,
        index=index,
        mac=attributes[nl.IFLA_ADDRESS],
        mtu=nl.INTEGER.unpack(attributes[nl.IFLA_MTU])[0],
        carrier=bool(up),
        addresses=tuple((address, length) for address, length, _ in rows),
        broadcasts=frozenset(broadcast for *_, broadcast in rows if broadcast),
    )


def _link(kernel: socket.socket, name: str) -> tuple[int, int, int, dict[int, bytes]]:
    body = nl.LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + nl.attribute(nl.IFLA_IFNAME, name.encode() + b"\0")
    kernel.send(nl.request(nl.RTM_GETLINK, 0, body))
    for kind, answer in nl.messages(kernel.recv(_RECEIVE)):
        if kind == nl.NLMSG_ERROR:
            raise _no_such(name, -nl.INTEGER.unpack_from(answer)[0])
        if kind == nl.RTM_NEWLINK:
            _family, hardware, index, flags, _change = nl.LINK.unpack_from(answer)
            return index, hardware, flags, nl.attributes(answer, nl.LINK.size)
    raise _no_such(name, errno.ENODEV)


def _no_such(name: str, code: int) -> ConfigError:
    if code == errno.ENODEV:
        present = ", ".join(other for _, other in socket.if_nameindex())
        return ConfigError(f"interface {name} does not exist; this host has: {present}")
    return ConfigError(f"interface {name}: {os.strerror(code)}")


def _addresses(kernel: socket.socket, wanted: int) -> Iterator[tuple[int, int, int]]:
    """(address, prefix length, its directed broadcast or 0) in the kernel's order: primary addresses first."""
    kernel.send(nl.request(nl.RTM_GETADDR, nl.NLM_F_DUMP, nl.ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)))
    while True:
        for kind, answer in nl.messages(kernel.recv(_RECEIVE)):
            if kind in (nl.NLMSG_DONE, nl.NLMSG_ERROR):
                return
            family, length, _flags, _scope, index = nl.ADDRESS.unpack_from(answer)
            if kind == nl.RTM_NEWADDR and family == socket.AF_INET and index == wanted:
                yield _address(length, nl.attributes(answer, nl.ADDRESS.size))


def _address(length: int, attributes: dict[int, bytes]) -> tuple[int, int, int]:
    own = attributes.get(nl.IFA_LOCAL) or attributes[nl.IFA_ADDRESS]
    address = int.from_bytes(own, "big")
    if nl.IFA_BROADCAST in attributes:
        return address, length, int.from_bytes(attributes[nl.IFA_BROADCAST], "big")
    # RFC 3021: a /31 has no broadcast address, and a /32 is alone.
    return address, length, address | (0xFFFFFFFF >> length) if length < 31 else 0


class LinkMonitor:
    """Tells which of some interfaces changed: made, deleted, carrier, MTU, MAC or IPv4 addresses.

    Watch `fileno()` for readability, then call `changes()` and ask `describe` what is true now.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._index: dict[int, str] = {index: name for index, name in socket.if_nameindex() if name in self._names}
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _MONITOR_BUFFER)
        self._socket.bind((0, nl.RTMGRP_LINK | nl.RTMGRP_IPV4_IFADDR))

    def fileno(self) -> int:
        """For `loop.add_reader`."""
        return self._socket.fileno()

    def changes(self, limit: int = 64) -> set[str]:
        """Names of the watched interfaces that the kernel spoke of since the last call; never blocks.

        All of them when the kernel had to drop messages, for then nobody knows.
        """
        changed: set[str] = set()
        for _ in range(limit):
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return set(self._names)
            for kind, body in nl.messages(data):
                changed.add(self._name(kind, body))
        return changed & self._names

    def _name(self, kind: int, body: bytes) -> str:
        if kind in (nl.RTM_NEWLINK, nl.RTM_DELLINK):
            index = nl.LINK.unpack_from(body)[2]
            name = nl.attributes(body, nl.LINK.size).get(nl.IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
            return self._learn(kind, index, name)
        if kind in (nl.RTM_NEWADDR, nl.RTM_DELADDR):
            return self._index.get(nl.ADDRESS.unpack_from(body)[4], "")
        return ""

    def _learn(self, kind: int, index: int, name: str) -> str:
        previous = self._index.get(index, "")
        if kind == nl.RTM_DELLINK:
            self._index.pop(index, None)
        elif name in self._names:
            self._index[index] = name
        elif previous:  # renamed away from us
            del self._index[index]
            return previous
        return name

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
