"""The search for the highest rate, on systems of which the answer is known."""

from __future__ import annotations

import pytest

from bench.load import Measured, best, search
from bench.perfdhcp import Report

SECONDS = 5


def system(capacity: int) -> list[int]:
    """The rates that were asked of a system that binds up to `capacity` per second and loses the rest."""
    return [step.rate for step in steps_on(capacity)]


def steps_on(capacity: int, near: float = 1.06) -> list[Measured]:
    """The steps of a search on such a system."""

    def attempt(rate: int) -> Measured:
        sent, bound = rate * SECONDS, min(rate, capacity) * SECONDS
        return Measured(rate, SECONDS, Report(sent, bound, bound, bound, 0, 0))

    return search(attempt, 1000, 40_000, near)


@pytest.mark.parametrize("capacity", [130, 999, 1000, 3000, 7900, 25_000])
def test_the_search_closes_in_on_the_capacity(capacity: int) -> None:
    found = best(steps_on(capacity))
    assert found is not None
    assert capacity / 1.06 <= found.goodput <= capacity


def test_a_coarse_search_takes_fewer_steps() -> None:
    assert len(steps_on(7900, near=1.3)) < len(steps_on(7900))


def test_a_rate_that_nearly_held_is_tried_once_more() -> None:
    assert system(980)[:3] == [1000, 1000, 500]


def test_the_search_ends_where_the_load_client_ends() -> None:
    assert max(system(10**9)) <= 40_000


def test_a_system_that_never_answers_has_no_best_step() -> None:
    assert best(steps_on(0)) is None


def test_a_step_does_not_hold_when_the_load_was_never_offered() -> None:
    assert not Measured(1000, SECONDS, Report(2500, 2500, 2500, 2500, 0, 0)).held


def test_cpu_is_counted_by_the_thousand_leases() -> None:
    step = Measured(1000, SECONDS, Report(5000, 5000, 5000, 5000, 0, 0), {"node0": 2.0})
    assert step.cpu_per_thousand() == {"node0": 0.4}
