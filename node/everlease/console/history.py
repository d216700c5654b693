"""The last hour of one node, in memory: what it received, answered and dropped, and how long that took.

The law of this file: a sample is the difference of counters that exist anyway, so the packet path pays nothing; the
ring is bounded, and latency is kept as the histograms have it, never as an average.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from everlease.runtime.counters import SECONDS, Counters, Histogram
from everlease.runtime.drops import LOSSES

PERIOD: Final = 10.0
"""Seconds between two samples."""

KEPT: Final = 360
"""Samples: an hour, some 150 kB."""

SLICE: Final = 40
"""Samples written between two turns of the loop: less than a millisecond."""

_EMPTY: Final = (0,) * (len(SECONDS) + 1)
Buckets = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters at one moment. dropped: those that somebody may miss.

    ack, offer: lease durations by result, commit: of transactions; per bucket.
    """

    received: int
    sent: int
    dropped: int
    ack: Buckets
    offer: Buckets
    commit: Buckets


def totals(counters: Counters) -> Totals:
    """As of now."""
    by_result: dict[str, list[Histogram]] = {"ack": [], "offer": []}
    for (_operation, result), histogram in counters.durations.items():
        if result in by_result:
            by_result[result].append(histogram)
    commits = [each for (_member, result), each in counters.commits.items() if result == "committed"]
    return Totals(
        sum(counters.received.values()),
        sum(counters.sent.values()),
        sum(count for reason, count in counters.dropped.items() if reason in LOSSES),
        _sum(by_result["ack"]),
        _sum(by_result["offer"]),
        _sum(commits),
    )


def _sum(histograms: Iterable[Histogram]) -> Buckets:
    return tuple(map(sum, zip(_EMPTY, *(each.buckets for each in histograms), strict=True)))


class History:
    """Samples of the last hour, one each `PERIOD`."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, dict[str, Any]]] = deque(maxlen=KEPT)
        self._before: Totals | None = None
        self._number = 0

    def sample(self, at: float, now: Totals) -> None:
        """at: seconds UTC, the end of the period. The first one is only what the next is compared with."""
        before, self._before = self._before, now
        if before is None:
            return
        self._number += 1
        sample: dict[str, Any] = {"time": round(at, 3)}
        for name in ("received", "sent", "dropped"):
            sample[name] = getattr(now, name) - getattr(before, name)
        for name in ("ack", "offer", "commit"):
            sample[name] = [new - old for new, old in zip(getattr(now, name), getattr(before, name), strict=True)]
        self._samples.append((self._number, sample))

    def after(self, number: int) -> Iterator[list[dict[str, Any]]]:
        """The samples after a number, each with its own, in slices."""
        rest = [{"number": each, **sample} for each, sample in self._samples if each > number]
        for start in range(0, len(rest), SLICE):
            yield rest[start : start + SLICE]
