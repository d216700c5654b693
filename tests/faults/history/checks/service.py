"""The service as a whole: I18, I19, I20.

Law: what is compared exactly is compared only where nothing was lost on purpose: between a mark "lossless" and the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from math import ceil
from statistics import median

from faults.history.events import Packet, Scrape, Usage
from faults.history.model import History, Violation, by_client

WITHIN = 10.0
"""Seconds in which 99 of 100 clients are answered, with any one fault."""

NOT_JUDGED = ("F7", "F23", "F24", "F25")
"""Faults in which nobody new is to be answered, the whole store is not there, or the wire itself loses a third."""

FORSAKEN = 30.0
"""Seconds at the end of the history in which a client that goes on asking was never answered."""

GROWTH = 0.05
SAMPLES = 12
"""I19: fewer samples than this say nothing of a leak."""

READ_UNANSWERED = ("stale", "draining", "rate_limit", "malformed", "loop", "foreign", "not_a_request")


def liveness(history: History) -> Iterator[Violation]:
    """I18: 99 of 100 conversations are answered within 10 s of their first copy; nobody asks for ever.

    The gaps in commits, with their bounds for each fault and timer, are measured by the fault lab's scenarios.
    """
    waits = [(first, answered - first) for first, last, answered in _conversations(history) if answered]
    judged = sorted(wait for first, wait in waits if not _excused(history, first))
    if judged and (slowest := judged[ceil(0.99 * len(judged)) - 1]) > WITHIN:
        yield Violation("I18", history.end, f"99 % of {len(judged)} conversations took {slowest:.1f} s")
    for first, last, answered in _conversations(history):
        if not answered and last > history.end - FORSAKEN and last - first > FORSAKEN:
            asking = last - first
            yield Violation("I18", last, f"a client has asked for {asking:.0f} s, and nobody answers")


def _conversations(history: History) -> Iterator[tuple[float, float, float]]:
    """(first copy, last copy, ACK or 0) of each thing that a client wanted."""
    for packets in by_client(history.packets).values():
        first = last = 0.0
        for packet in packets:
            if packet.kind in ("DISCOVER", "REQUEST"):
                first, last = first or packet.at, packet.at
            elif packet.kind == "ACK" and first:
                yield first, last, packet.at
                first = 0.0
            elif packet.kind in ("RELEASE", "DECLINE"):
                first = 0.0
        if first:
            yield first, last, 0.0


def _excused(history: History, at: float) -> bool:
    return any(fault.id in NOT_JUDGED and since <= at <= until + WITHIN for fault, since, until in history.windows)


def no_leak(history: History) -> Iterator[Violation]:
    """I19: after many cycles of faults a process uses what it used before: the last third against the first, +5 %."""
    figures: dict[tuple[str, str], list[float]] = defaultdict(list)
    for usage in history.of(Usage):
        for name, value in usage.figures.items():
            figures[usage.of, name].append(value)
    for (process, name), values in figures.items():
        third = len(values) // 3
        if len(values) < SAMPLES:
            continue
        before, after = median(values[:third]), median(values[-third:])
        if after > before * (1 + GROWTH) + 1:
            yield Violation("I19", history.end, f"{process}: {name} grew from {before:.0f} to {after:.0f}")


def metrics_tell_the_truth(history: History) -> Iterator[Violation]:
    """I20: between two scrapes on a lossless wire each node counts exactly what was on it.

    Readiness and liveness are compared with silence by the fault lab, which asks for them.
    """
    for at, _ in history.marks("lossless"):
        for node, addresses in history.setup.nodes.items():
            scrapes = [scrape for scrape in history.of(Scrape) if scrape.node == node and scrape.at >= at]
            if len(scrapes) >= 2:
                yield from _compare(history, node, set(addresses), (scrapes[0], scrapes[-1]))


def _compare(history: History, node: str, own: set[str], pair: tuple[Scrape, Scrape]) -> Iterator[Violation]:
    first, last = pair
    between = [packet for packet in history.packets if first.at <= packet.at <= last.at]
    sent = sum(packet.is_reply and packet.node == node for packet in between)
    counted = _grown(pair, "everlease_packets_sent_total")
    if sent != counted:
        yield Violation("I20", last.at, f"{node} counts {counted} packets sent, {sent} were on the wire")
    heard = sum(_reaches(packet, own) for packet in between)
    counted = _grown(pair, "everlease_packets_received_total")
    counted += sum(_grown(pair, "everlease_packets_dropped_total", reason) for reason in READ_UNANSWERED)
    if heard != counted:
        yield Violation("I20", last.at, f"{node} counts {counted} packets received, {heard} were on the wire")
    kinds = Counter(packet.kind for packet in between if packet.is_reply and packet.node == node)
    for result, kind in (("offer", "OFFER"), ("ack", "ACK"), ("nak", "NAK")):
        counted = _grown(pair, "everlease_lease_duration_seconds_count", f'result="{result}"')
        if counted != kinds[kind]:
            yield Violation("I20", last.at, f"{node} counts {counted} {kind}s, {kinds[kind]} were on the wire")


def _reaches(packet: Packet, own: set[str]) -> bool:
    return not packet.is_reply and (packet.destination in own or packet.destination == "255.255.255.255")


def _grown(pair: tuple[Scrape, Scrape], name: str, label: str = "") -> int:
    before, after = (
        sum(value for sample, value in scrape.samples.items() if sample.split("{")[0] == name and label in sample)
        for scrape in pair
    )
    return int(after - before)
