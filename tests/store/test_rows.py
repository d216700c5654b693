"""Ranges of addresses for who reads etcd: all of them, each with about as many records as are asked for."""

from __future__ import annotations

from collections.abc import Collection
from math import isqrt

from hypothesis import example, given
from hypothesis import strategies as st

from everlease.store.keys import ADDRESSES, Keys
from everlease.store.rows import Rows
from everlease.store.view import View
from store.makers import row

OFFICE = 0x0A4D0000
LAST = ADDRESSES - 1


def rows_of(addresses: Collection[int]) -> Rows:
    rows = Rows()
    for address in addresses:
        rows.region(address)[address] = row()
    return rows


@st.composite
def addresses(draw: st.DrawFn) -> set[int]:
    """Some runs of neighbours, here and there."""
    starts = draw(st.lists(st.integers(0, LAST), max_size=6))
    return {start + n for start in starts for n in range(draw(st.integers(1, 400))) if start + n <= LAST}


@given(addresses(), st.integers(1, 300))
@example(set(range(OFFICE, OFFICE + 400)), 10)
@example({0, LAST}, 1)
def test_spans_cover_every_address_once_and_none_has_many_times_what_is_asked_for(have: set[int], most: int) -> None:
    view = View(Keys("/test"))
    for address in have:
        view.table("default").rows.region(address)[address] = row()
    ordered = sorted(have)
    after = -1
    for first, last in view.spans("default", 0, LAST, most):
        assert first == after + 1
        assert first <= last
        held = sum(first <= address <= last for address in ordered)
        assert held <= max(most, isqrt(most << 16))
        after = last
    assert after == LAST


def test_a_full_network_is_read_in_ranges_of_just_so_many_and_an_empty_one_at_once() -> None:
    rows = rows_of(range(OFFICE, OFFICE + (1 << 16)))
    assert rows.reach(OFFICE, 250) == OFFICE + 249
    assert rows.reach(OFFICE + (1 << 16) - 10, 250) == OFFICE + (1 << 16) - 1
    assert rows.reach(0, 250) == OFFICE - 1
    assert rows.reach(OFFICE + (1 << 16), 250) == LAST


def test_a_space_that_nobody_knows_is_one_span_and_stays_unknown() -> None:
    view = View(Keys("/test"))
    assert list(view.spans("nobody", 5, 9, 1)) == [(5, 9)]
    assert view.spaces() == []
