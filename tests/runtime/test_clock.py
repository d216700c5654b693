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


def test_when_the_later_of_two_clocks_is_corrected_the_cluster_does_not_fall_behind_its_own_grants() -> None:
    time = Time()
    clock = clock_of(time)
    clock.follow([EPOCH + 7200], 0)
    newest = int(clock.now())
    time.boot_now += 0.5
    clock.follow([EPOCH], newest)
    assert clock.trusted(MARGIN)
    assert newest <= clock.now() <= newest + 1
    assert clock.reuse_now() == pytest.approx(EPOCH + 1000.5)


def test_after_that_time_goes_on_slower_until_it_is_right() -> None:
    time = Time()
    clock = clock_of(time)
    clock.follow([EPOCH + 60], 0)
    before = clock.now()
    for _ in range(2 * 16 * 60):
        time.boot_now += 0.5
        newest = int(clock.now())
        clock.follow([EPOCH], newest)
        assert clock.now() > before
        assert clock.trusted(MARGIN)
        before = clock.now()
    assert clock.now() == pytest.approx(EPOCH + time.boot_now, abs=0.1)


def test_what_nobody_has_stamped_is_taken_back_at_once() -> None:
    clock = clock_of(Time())
    clock.follow([EPOCH + 7200], 0)
    clock.follow([EPOCH], int(EPOCH) + 900)
    assert clock.now() == pytest.approx(EPOCH + 1000, abs=0.1)


def test_a_clock_that_runs_a_tenth_too_fast_is_doubted_before_it_is_three_seconds_ahead() -> None:
    time = Time()
    clock = clock_of(time)
    while clock.trusted(MARGIN):
        time.boot_now += 0.5
        time.wall_offset += 0.05
        clock.follow([EPOCH, EPOCH + 0.01], 0)
        assert clock.now() == pytest.approx(EPOCH + time.boot_now, abs=0.1)
    assert 2.5 <= time.wall_offset - EPOCH < 2.7
    assert "differs from the cluster's by 2." in clock.doubt(MARGIN)


def test_a_stalled_store_moves_no_clock() -> None:
    """Nothing is followed without an echo; CLOCK_BOOTTIME goes on."""
    time = Time()
    clock = clock_of(time)
    time.wall_offset -= 7200
    time.boot_now += 600
    assert clock.now() == clock.reuse_now() == pytest.approx(EPOCH + 1600)
