"""Packets that the kernel dropped because a socket's queue was full; nobody of ours has seen them.

The law of this file: asked once a second, never on the packet path. A raw socket says what it dropped. What a UDP
socket says holds what its filter refused, too (every broadcast of its link), so no more of it counts than the kernel
has dropped for full queues in the whole network namespace in that second.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from struct import Struct
from typing import Final, Protocol

LOOK: Final = 1.0
"""Seconds between two looks."""

_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_STATISTICS: Final = Struct("II")  # packets, dropped; both since the last time it was asked (packet(7))
_SO_MEMINFO: Final = 55  # since Linux 4.12
_MEMINFO: Final = Struct("9I")
_DROPS: Final = 8  # SK_MEMINFO_DROPS
_COUNTS: Final = "/proc/thread-self/net/snmp"  # of the thread that opens it: its network namespace
_FULL: Final = b"RcvbufErrors"


def dropped_by_packet_socket(sock: socket.socket) -> int:
    """Frames that passed the filter and found no room, since this was last asked."""
    return int(_STATISTICS.unpack(sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))[1])


def dropped_by_udp_socket(sock: socket.socket) -> int:
    """Packets that found no room, had a wrong checksum or were refused by the filter, since the socket was opened."""
    return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_DROPS])


class Loses(Protocol):
    """A socket of ours."""

    def lost(self) -> int:
        """Packets that the kernel dropped before they were read, since this was last asked."""


class FullQueues:
    """Make it in the network namespace of the sockets. Without /proc UDP sockets have nothing to tell."""

    def __init__(self) -> None:
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.open(_COUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._last = self._read()

    def count(self, raw: Iterable[Loses], udp: Iterable[Loses]) -> int:
        """Packets that found no room in these sockets' queues, since this was last asked."""
        before, self._last = self._last, self._read()
        return sum(each.lost() for each in raw) + min(sum(each.lost() for each in udp), self._last - before)

    def _read(self) -> int:
        """UDP packets without room, in every program's socket."""
        if self._file < 0:
            return 0
        names, values = (line.split() for line in os.pread(self._file, 1 << 16, 0).splitlines() if line[:4] == b"Udp:")
        return int(values[names.index(_FULL)])

    def close(self) -> None:
        """Give the file back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
