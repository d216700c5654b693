"""What clients lived through, told by the wire alone: how often each had to ask, and when it was answered.

Law: only captured packets count. An exchange begins with a client's first DISCOVER, or with the first REQUEST of a
renewal or a reboot, and ends with its ACK.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor

from faults.history.events import Packet

SILENT = 1.0
"""Seconds without a word, before or after, in which a server is dead, deaf or mute: it answers 60 clients a second."""

SAME = 0.5
"""Seconds in which a second REQUEST is no second try: a client that was just renewing has lost power, and reboots."""

NEW, KNOWN = "new", "known"


@dataclass(slots=True)
class Exchange:
    """One client's one attempt. Times in UTC seconds; bound: when the ACK came, 0 = it did not.

    requested: when its last REQUEST left. server: whom it asked alone (a renewal by unicast), "" = everybody. alone:
    and that server answered nobody at all just then: that DHCP leaves such a client to wait, and to its rebinding, is
    not the service's.
    """

    mac: str
    kind: str
    asked: float
    discovers: int = 0
    requests: int = 0
    naks: int = 0
    bound: float = 0.0
    server: str = ""
    requested: float = 0.0
    alone: bool = False

    @property
    def tries(self) -> int:
        """1 = nothing had to be sent twice."""
        return 1 + max(self.discovers - 1, 0) + max(self.requests - 1, 0)


def read(packets: Iterable[Packet]) -> list[Exchange]:
    """Every exchange, in the order in which they began. packets: by time."""
    told: list[Exchange] = []
    running: dict[str, Exchange] = {}
    spoke: dict[str, list[float]] = defaultdict(list)
    for packet in packets:
        exchange = running.get(packet.mac)
        if packet.kind in ("DISCOVER", "REQUEST") and not packet.giaddr:
            if exchange is None or exchange.bound:
                exchange = running[packet.mac] = _begin(packet)
                told.append(exchange)
            _count(exchange, packet)
        elif packet.is_reply:
            spoke[packet.server].append(packet.at)
            if exchange is not None and not exchange.bound:
                _answer(exchange, packet)
    for exchange in told:
        exchange.alone = bool(exchange.server) and not _speaks(spoke[exchange.server], exchange.asked)
    return told


def _begin(packet: Packet) -> Exchange:
    kind = NEW if packet.kind == "DISCOVER" else KNOWN
    server = packet.destination if packet.destination != "255.255.255.255" else ""
    return Exchange(packet.mac, kind, packet.at, server=server)


def _count(exchange: Exchange, packet: Packet) -> None:
    if packet.kind == "DISCOVER":
        exchange.discovers += 1
    elif packet.at - exchange.requested > SAME:
        exchange.requests += 1
        exchange.requested = packet.at


def _answer(exchange: Exchange, packet: Packet) -> None:
    if packet.kind == "ACK":
        exchange.bound = packet.at
    elif packet.kind == "NAK":
        exchange.naks += 1


def _speaks(times: Sequence[float], at: float) -> bool:
    """Whether a server said something to somebody both shortly before and shortly after."""
    place = bisect_left(times, at)
    around = times[max(place - 1, 0) : place + 1]
    return len(around) == 2 and around[0] > at - SILENT and around[1] < at + SILENT


def stall(exchanges: Iterable[Exchange], since: float, until: float) -> tuple[float, float]:
    """(seconds, when it began): the longest time in [since, until] in which nobody was bound."""
    times = sorted({since, until, *(each.bound for each in exchanges if since < each.bound < until)})
    longest, began = max(((after - before, before) for before, after in pairwise(times)))
    return longest, began


def seconds(exchanges: Sequence[Exchange], start: float) -> list[tuple[int, int, int]]:
    """(second after `start`, asked for the first time, bound) for each second."""
    asked = Counter(floor(each.asked - start) for each in exchanges)
    bound = Counter(floor(each.bound - start) for each in exchanges if each.bound)
    return [(second, asked[second], bound[second]) for second in range(min(asked), max([*asked, *bound]) + 1)]


def tries(exchanges: Iterable[Exchange]) -> dict[int, int]:
    """How many needed so many tries; 0 = were never bound."""
    return dict(sorted(Counter(each.tries if each.bound else 0 for each in exchanges).items()))
