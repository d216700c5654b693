"""Histograms: what is put aside now and sorted later is what would have been counted one by one."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections import Counter
from math import nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.runtime import counters as counting
from everlease.runtime.counters import SECONDS, Counters, Histogram

EDGES = [near for bound in SECONDS for near in (nextafter(bound, 0), bound, nextafter(bound, 9))]
DURATIONS = st.lists(st.sampled_from(EDGES) | st.floats(0, 20))


@given(st.lists(DURATIONS))
def test_values_are_in_the_buckets_that_each_belongs_to_however_often_anybody_looks(looks: list[list[float]]) -> None:
    histogram, seen = Histogram(), Counter[int]()
    for values in looks:
        for value in values:
            histogram.observe(value)
            seen[bisect_left(SECONDS, value)] += 1  # le: a bound belongs to its bucket
        assert histogram.buckets == [seen[number] for number in range(len(SECONDS) + 1)]
    assert histogram.count == seen.total()
    assert histogram.total == pytest.approx(sum(map(sum, looks)))


async def test_what_nobody_looks_at_is_sorted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "FOLD_EVERY", 0.0)
    counters = Counters()
    for _ in range(2 * counting.MANY):
        counters.phases["socket"].observe(0.001)
    folding = asyncio.create_task(counters.run())
    await asyncio.sleep(0.05)
    folding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await folding
    assert counters.phases["socket"].fold() == 0
    assert counters.phases["socket"].count == 2 * counting.MANY
