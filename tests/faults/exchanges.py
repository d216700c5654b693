"""What clients lived through, told by the wire alone: how often each had to ask, and when it was answered.

Law: only captured packets count. An exchange begins with a client's first DISCOVER, or with the first REQUEST of a
renewal or a reboot, and ends with its ACK.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor

from everlease.wire import v4
from lab.capture import Captured

NEW, KNOWN = "new", "known"


@dataclass(slots=True)
class Exchange:
    """One client's one attempt. Times in UTC seconds; bound: when the ACK came, 0 = it did not."""

    mac: bytes
    kind: str
    asked: float
    discovers: int = 0
    requests: int = 0
    naks: int = 0
    bound: float = 0.0

    @property
    def tries(self) -> int:
        """1 = nothing had to be sent twice."""
        return 1 + max(self.discovers - 1, 0) + max(self.requests - 1, 0)


def read(packets: Iterable[Captured]) -> list[Exchange]:
    """Every exchange, in the order in which they began."""
    told: list[Exchange] = []
    running: dict[bytes, Exchange] = {}
    for captured in sorted((each for each in packets if each.packet), key=lambda each: each.time):
        packet = captured.packet
        assert packet is not None
        exchange = running.get(packet.chaddr)
        if captured.sent and captured.kind in ("DISCOVER", "REQUEST"):
            if exchange is None or exchange.bound:
                kind = NEW if captured.kind == "DISCOVER" else KNOWN
                exchange = running[packet.chaddr] = Exchange(packet.chaddr, kind, captured.time)
                told.append(exchange)
            _count(exchange, captured)
        elif not captured.sent and exchange is not None and not exchange.bound:
            _answer(exchange, captured)
    return told


def _count(exchange: Exchange, captured: Captured) -> None:
    if captured.kind == "DISCOVER":
        exchange.discovers += 1
    else:
        exchange.requests += 1


def _answer(exchange: Exchange, captured: Captured) -> None:
    if captured.packet is None or captured.packet.op != v4.BOOTREPLY:
        return
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
