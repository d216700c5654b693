"""What was on the wire: tcpdump while the load runs, read afterwards so that it costs the measurement little.

A request and its reply belong together by client (chaddr) and transaction (xid); the first of each counts.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from everlease.lab.processes import LabError, Place, Process, wait_until

_MAGIC = {b"\xd4\xc3\xb2\xa1": ("<", 1e-6), b"\x4d\x3c\xb2\xa1": ("<", 1e-9)}
_MAGIC |= {bytes(reversed(magic)): (">", unit) for magic, (_, unit) in _MAGIC.items()}
_COOKIE = b"\x63\x82\x53\x63"
_OPTIONS = 240  # RFC 2131 2: fixed header of 236 bytes, then the cookie
_KIND, _PAD, _END = 53, 0, 255
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
_RETIRED_S = 1.5  # the kernel hands a half-filled block of the ring to tcpdump after 1 s
_DROPPED = re.compile(r"^(\d+) packets? dropped by kernel", re.MULTILINE)
_SNAP = 14 + 60 + 8 + 576


@dataclass
class Delays:
    """Seconds from a client's first message to the first reply; `asked`: when each REQUEST of `ack` was sent (UTC).

    `unanswered` counts REQUESTs without a reply, `missed` the packets that the capture could not keep.
    """

    offer: list[float] = field(default_factory=list)
    ack: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    naks: int = 0
    unanswered: int = 0
    missed: int = 0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def frames(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Time in seconds and bytes of each Ethernet frame of a pcap file; a frame cut off at the end is left out."""
    if len(data) < 24:
        return
    order, unit = _MAGIC[data[:4]]
    header = struct.Struct(order + "IIII")
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, length, _ = header.unpack_from(data, at)
        at += 16
        if at + length > len(data):
            return
        yield seconds + fraction * unit, data[at : at + length]
        at += length


def message(frame: bytes) -> tuple[int, bytes] | None:
    """Message type (option 53) and the exchange's key (xid, chaddr) of a DHCPv4 frame; None for anything else."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    dhcp = frame[14 + 4 * (frame[14] & 15) + 8 :]
    if dhcp[236:240] != _COOKIE:
        return None
    at = _OPTIONS
    while at + 2 < len(dhcp) and dhcp[at] != _END:
        if dhcp[at] == _PAD:
            at += 1
        elif dhcp[at] == _KIND:
            return dhcp[at + 2], dhcp[4:8] + dhcp[28:44]
        else:
            at += 2 + dhcp[at + 1]
    return None


def delays(packets: Iterable[tuple[float, bytes]]) -> Delays:
    """Match replies to what they answer."""
    asked: dict[tuple[int, bytes], float] = {}
    result = Delays()
    for when, frame in packets:
        found = message(frame)
        if found is None:
            continue
        kind, key = found
        if kind in (DISCOVER, REQUEST):
            asked.setdefault((kind, key), when)
        elif kind == OFFER and (sent := asked.pop((DISCOVER, key), None)) is not None:
            result.offer.append(when - sent)
        elif kind in (ACK, NAK) and (sent := asked.pop((REQUEST, key), None)) is not None:
            result.ack.append(when - sent)
            result.asked.append(sent)
            result.naks += kind == NAK
    result.unanswered = sum(kind == REQUEST for kind, _ in asked)
    return result


@contextlib.contextmanager
def capturing(place: Place, interface: str, file: Path) -> Iterator[None]:
    """tcpdump in `place` while the block runs; the frames are in `file` afterwards."""
    options = ["-i", interface, "-n", "-s", str(_SNAP), "-B", "65536", "-U", "--time-stamp-precision=nano"]
    argv = place.command(["tcpdump", *options, "-w", str(file), "-Z", "root", "udp port 67"])
    log = file.with_suffix(".log")
    log.unlink(missing_ok=True)  # an older one would say "listening" at once
    process = Process(argv, log)
    try:
        wait_until(lambda: "listening on" in process.tail(), 10, "tcpdump listens")
        yield
        time.sleep(_RETIRED_S)
    finally:
        code = process.stop()
    if code:
        raise LabError(f"tcpdump: exit {code}: {process.tail(3)}")


def missed(file: Path) -> int:
    """How many packets the kernel could not keep for tcpdump, from what it said beside `file`."""
    counts = _DROPPED.findall(file.with_suffix(".log").read_text())
    return sum(map(int, counts))
