"""What the clients' side of the wire saw, and what nodes told of the same packets.

Law: a reply belongs to the last copy of what it answers (chaddr, xid, kind) before it. Both sides of a virtual cable
stamp by one clock, CLOCK_REALTIME; they differ by what the kernel does between the two, some ten microseconds, and by
however long a busy machine lets the node stand between the sending and its own reading of the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.capture import ACK, DISCOVER, NAK, OFFER, REQUEST, message
from lab.nodes import Node

ANSWERS = {
    OFFER: (DISCOVER, ("discover", "offer")),
    ACK: (REQUEST, ("request", "ack")),
    NAK: (REQUEST, ("request", "nak")),
}
Kind = tuple[str, str]


@dataclass
class Seen:
    """By the capture. delays: seconds by (operation, result); asked: messages of clients; answered: replies."""

    delays: dict[Kind, list[float]] = field(default_factory=dict)
    asked: int = 0
    answered: int = 0


def seen(packets: Iterable[tuple[float, bytes]]) -> Seen:
    """Read a capture, in order of time."""
    found, sent = Seen(), dict[tuple[int, bytes], float]()
    for at, frame in packets:
        read = message(frame)
        if read is None:
            continue
        kind, key = read
        if kind not in ANSWERS:
            found.asked += 1
            sent[kind, key] = at
            continue
        found.answered += 1
        question, label = ANSWERS[kind]
        found.delays.setdefault(label, []).append(at - sent[question, key])
    return found


@dataclass
class Told:
    """By the nodes together. counts, sums and buckets (cumulative, by upper bound) by (operation, result).

    received, ended, sent: packets; phases: the sum of all of them, whole: that of all durations, seconds.
    """

    counts: Counter[Kind] = field(default_factory=Counter)
    sums: Counter[Kind] = field(default_factory=Counter)
    buckets: dict[Kind, Counter[float]] = field(default_factory=dict)
    received: float = 0.0
    ended: float = 0.0
    sent: float = 0.0
    phases: float = 0.0
    whole: float = 0.0


def told(nodes: Sequence[Node]) -> Told:
    """What the nodes have counted so far."""
    found = Told()
    for node in nodes:
        for name, labels, value in node.metrics():
            _take(found, name, labels, value)
    return found


def _take(found: Told, name: str, labels: dict[str, str], value: float) -> None:
    if name.startswith("everlease_lease_duration_seconds_"):
        kind = labels["operation"], labels["result"]
        if name.endswith("_bucket"):
            found.buckets.setdefault(kind, Counter())[float(labels["le"])] += int(value)
        elif name.endswith("_count"):
            found.counts[kind] += int(value)
        else:
            found.sums[kind] += value
            found.whole += value
    elif name == "everlease_lease_phase_seconds_sum":
        found.phases += value
    elif name == "everlease_packets_received_total":
        found.received += value
    elif name == "everlease_packets_sent_total":
        found.sent += value
        found.ended += value
    elif name in ("everlease_packets_dropped_total", "everlease_packets_unsent_total"):
        found.ended += value


def between(delays: Sequence[float], bound: float, early: float, late: float) -> tuple[int, int]:
    """How many delays may be in the bucket up to `bound`, at least and at most, if a node may differ from the wire.

    early, late: by how many seconds its durations may be shorter and longer.
    """
    return sum(each + late <= bound for each in delays), sum(each - early <= bound for each in delays)
