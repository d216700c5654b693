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

from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import EVERYBODY

SILENT = 2.0
"""Seconds without a word to anybody after which a server is dead, deaf or mute: it answers 60 clients a second here."""

NEW, KNOWN = "new", "known"


@dataclass(slots=True)
class Exchange:
    """One client's one attempt. Times in UTC seconds; bound: when the ACK came, 0 = it did not.

    server: whom it asked alone (a renewal by unicast), as a number, 0 = everybody. alone: and that server answered
    nobody at all for as long as a client waits: that DHCP leaves such a client to its rebinding is not the service's.
    """

    mac: bytes
    kind: str
    asked: float
    discovers: int = 0
    requests: int = 0
    naks: int = 0
    bound: float = 0.0
    server: int = 0
    alone: bool = False

    @property
    def tries(self) -> int:
        """1 = nothing had to be sent twice."""
        return 1 + max(self.discovers - 1, 0) + max(self.requests - 1, 0)


def read(packets: Iterable[Captured]) -> list[Exchange]:
    """Every exchange, in the order in which they began."""
    told: list[Exchange] = []
    running: dict[bytes, Exchange] = {}
    spoke: dict[int, list[float]] = defaultdict(list)
    for captured in sorted((each for each in packets if each.packet), key=lambda each: each.time):
        packet = captured.packet
        assert packet is not None
        exchange = running.get(packet.chaddr)
        if captured.sent and captured.kind in ("DISCOVER", "REQUEST"):
            if exchange is None or exchange.bound:
                kind = NEW if captured.kind == "DISCOVER" else KNOWN
                exchange = running[packet.chaddr] = Exchange(packet.chaddr, kind, captured.time)
                exchange.server = captured.destination if captured.destination != EVERYBODY else 0
                told.append(exchange)
            _count(exchange, captured)
        elif not captured.sent and packet.op == v4.BOOTREPLY:
            spoke[captured.server].append(captured.time)
            if exchange is not None and not exchange.bound:
                _answer(exchange, captured)
    for exchange in told:
        times = spoke[exchange.server]
        place = bisect_left(times, exchange.asked)
        exchange.alone = bool(exchange.server) and not any(
            at < exchange.asked + SILENT for at in times[place : place + 1]
        )
    return told


def _count(exchange: Exchange, captured: Captured) -> None:
    if captured.kind == "DISCOVER":
        exchange.discovers += 1
    else:
        exchange.requests += 1


def _answer(exchange: Exchange, captured: Captured) -> None:
    if captured.kind == "ACK":
        exchange.bound = captured.time
    elif captured.kind == "NAK":
        exchange.naks += 1


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
