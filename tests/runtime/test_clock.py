"""Cluster time: nobody's clock alone frees or revives anything (I15, F22)."""

from __future__ import annotations

import pytest

from everlease.runtime.clock import ClusterClock
from runtime.house import EPOCH, Time

MARGIN = 5.0


def clock_of(time: Time) -> ClusterClock:
    return ClusterClock(time.boot, time.wall)


@pytest.mark.parametrize("step", [7200.0, -7200.0])
def test_a_step_of_one_wall_clock_of_three_moves_nothing_and_silences_its_node(step: float) -> None:
    time = Time()
    clock = clock_of(time)
    clock.follow([EPOCH, EPOCH + 0.01], 0)
    before = clock.now()
    time.wall_offset += step
    clock.follow([EPOCH, EPOCH + 0.01], 0)
    assert clock.now() == before
    assert not clock.trusted(MARGIN)


def test_the_others_go_on_when_one_clock_of_three_steps() -> None:
    clock = clock_of(Time())
    clock.follow([EPOCH, EPOCH + 7200], 0)
    assert clock.trusted(MARGIN)
    assert clock.now() == pytest.approx(EPOCH + 1000)


def test_when_two_disagree_the_later_stamps_and_the_earlier_permits_reuse() -> None:
    clock = clock_of(Time())
    clock.follow([EPOCH - 60], 0)
    assert clock.now() == pytest.approx(EPOCH + 1000)
    assert clock.reuse_now() == pytest.approx(EPOCH + 940)
    assert clock.trusted(MARGIN)


def test_a_node_that_starts_with_a_wrong_clock_takes_the_median_and_grants_nothing() -> None:
    time = Time()
    time.wall_offset = EPOCH + 7200
    clock = clock_of(time)
    clock.follow([EPOCH, EPOCH + 0.02], 0)
    assert clock.now() == pytest.approx(EPOCH + 1000, abs=0.1)
    assert not clock.trusted(MARGIN)


def test_a_node_alone_follows_no_step_of_its_own_clock() -> None:
    time = Time()
    clock = clock_of(time)
    time.wall_offset += 7200
    clock.follow([], 0)
    assert clock.now() == pytest.approx(EPOCH + 1000)
    assert clock.trusted(MARGIN)


def test_a_clock_behind_the_newest_grant_grants_nothing() -> None:
    clock = clock_of(Time())
    clock.follow([], int(EPOCH) + 1000 + 60)
    assert not clock.trusted(MARGIN)


def test_a_lone_host_that_booted_in_the_past_takes_the_time_it_was_told_since() -> None:
    time = Time()
    time.wall_offset = 0.0
    clock = clock_of(time)
    newest = int(EPOCH) + 900
    clock.follow([], newest)
    assert not clock.trusted(MARGIN)
    time.wall_offset = EPOCH
    clock.follow([], newest)
    assert clock.trusted(MARGIN)
    assert clock.now() == pytest.approx(EPOCH + 1000)


def test_jitter_of_published_clocks_does_not_make_time_tremble() -> None:
    clock = clock_of(Time())
    before = clock.now()
    clock.follow([EPOCH - 0.02, EPOCH - 0.03], 0)
    assert clock.now() == before
