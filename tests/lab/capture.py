"""Every DHCP packet on an interface, seen from outside the programs that send and answer them.

Law: the time is the kernel's receive or send stamp, in seconds of CLOCK_REALTIME, one clock for the whole machine;
what cannot be parsed is kept, too, with `packet` None.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from everlease.errors import WireError
from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError
from everlease.runtime.ethernet import parse as parse_frame
from everlease.wire import v4

_ETH_P_ALL = 0x0003
_ETH_P_IP = b"\x08\x00"
_SO_TIMESTAMPNS = 35
_PORTS = (b"\x00\x43", b"\x00\x44")
_BUFFER = 64 << 20


@dataclass(frozen=True, slots=True)
class Captured:
    """One frame. sent: it left the namespace; hardware: (source, destination) MAC; addresses as ints."""

    time: float
    sent: bool
    hardware: tuple[bytes, bytes]
    source: int
    destination: int
    ports: tuple[int, int]
    payload: bytes
    packet: v4.Packet | None

    @property
    def kind(self) -> str:
        """ "DISCOVER", "ACK", ...; "" for what is no DHCP message."""
        return v4.MESSAGE_NAMES.get(self.packet.message_type, "") if self.packet else ""

    @property
    def server(self) -> int:
        """The server identifier, or 0."""
        return int.from_bytes(self.packet.options.get(54, b""), "big") if self.packet else 0

    def __str__(self) -> str:
        source, destination = IPv4Address(self.source), IPv4Address(self.destination)
        yours = IPv4Address(self.packet.yiaddr) if self.packet else ""
        xid = f"{self.packet.xid:08x}" if self.packet else ""
        return f"{self.time:.6f} {source} > {destination} {self.kind} xid {xid} your {yours}"


class Capture:
    """A thread that listens on one interface ("" = all) from `start` to `stop`; `packets` grows by order of arrival."""

    def __init__(self, namespace: Namespace, interface: str = "eth0") -> None:
        self.packets: list[Captured] = []
        self._socket = namespace.call(lambda: _listen(interface))
        self._ends = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"capture {namespace.label}", daemon=True)

    def start(self) -> Capture:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> list[Captured]:
        """End, and return everything; harmless to call twice."""
        if self._thread.is_alive():
            self._ends[1].send(b"x")
            self._thread.join()
            for each in (self._socket, *self._ends):
                each.close()
        return self.packets

    def wait(self, wanted: Callable[[Captured], bool], timeout: float = 10.0, start: int = 0) -> Captured:
        """The first packet from number `start` on that is wanted; LabError, with what was seen, after `timeout` s."""
        end = time.monotonic() + timeout
        position = start
        while time.monotonic() < end:
            while position < len(self.packets):
                position += 1
                if wanted(self.packets[position - 1]):
                    return self.packets[position - 1]
            time.sleep(0.02)
        seen = "\n".join(map(str, self.packets[start:])) or "nothing"
        raise LabError(f"no such packet within {timeout} s; seen:\n{seen}")

    def __enter__(self) -> Capture:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket, self._ends[0]], [], [])
            if self._socket in ready:
                self._drain()
            elif ready:
                return

    def _drain(self) -> None:
        with contextlib.suppress(OSError):  # empty, or the interface is down
            while True:
                frame, ancillary, _, origin = self._socket.recvmsg(65536, 64)
                captured = read(frame, _time(ancillary), sent=origin[2] == socket.PACKET_OUTGOING)
                if captured is not None:
                    self.packets.append(captured)


def read(frame: bytes, at: float, *, sent: bool) -> Captured | None:
    """A DHCP frame as a value; None if it is something else."""
    if frame[12:14] != _ETH_P_IP or frame[23:24] != b"\x11":
        return None
    udp = 14 + (frame[14] & 15) * 4
    if frame[udp : udp + 2] not in _PORTS and frame[udp + 2 : udp + 4] not in _PORTS:
        return None
    parsed = parse_frame(frame, verify=False)
    if isinstance(parsed, str):
        return None
    payload, source, port, destination = parsed
    packet: v4.Packet | None = None
    with contextlib.suppress(WireError):
        packet = v4.parse(payload)
    ports = (port, int.from_bytes(frame[udp + 2 : udp + 4], "big"))
    return Captured(at, sent, (frame[6:12], frame[:6]), source, destination, ports, payload, packet)


def _listen(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, 33, _BUFFER)  # SO_RCVBUFFORCE
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setblocking(False)
    if interface:
        sock.bind((interface, _ETH_P_ALL))
    return sock


def _time(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds = int.from_bytes(value[:8], "little")
            return seconds + int.from_bytes(value[8:16], "little") * 1e-9
    return time.time()
