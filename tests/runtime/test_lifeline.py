"""A node's state follows from what it has proved; readiness is false exactly when it would be silent."""

from __future__ import annotations

import pytest

from everlease.runtime.lifeline import Lifeline


def serving(at: float = 100.0) -> Lifeline:
    """A lifeline that has everything it needs at `at`."""
    lifeline = Lifeline(lambda: at)
    lifeline.waiting_for = ""
    lifeline.committed(at)
    lifeline.echoed(at, at)
    return lifeline


def test_a_node_that_heard_its_own_presence_serves() -> None:
    lifeline = serving()
    assert (lifeline.state, lifeline.ready()) == ("serving", True)


def test_a_node_without_an_echo_joins() -> None:
    lifeline = Lifeline(lambda: 100.0)
    lifeline.waiting_for = ""
    lifeline.evaluate(100.0)
    assert (lifeline.state, lifeline.ready()) == ("joining", False)


def test_a_node_without_a_configuration_says_what_it_waits_for() -> None:
    lifeline = serving()
    lifeline.waiting_for = "no configuration"
    lifeline.evaluate(100.0)
    assert (lifeline.state, lifeline.reason) == ("joining", "no configuration")


def test_a_view_is_fresh_for_a_second_after_the_presence_was_sent() -> None:
    lifeline = serving(100.0)
    assert lifeline.fresh(100.9)
    assert not lifeline.fresh(101.1)


def test_three_seconds_without_a_commit_degrade_a_node() -> None:
    lifeline = serving(100.0)
    lifeline.evaluate(102.9)
    assert lifeline.state == "serving"
    lifeline.evaluate(103.1)
    assert (lifeline.state, lifeline.ready()) == ("degraded", False)
    lifeline.committed(103.2)
    assert lifeline.state == "serving"


def test_a_store_that_says_it_has_no_leader_lets_known_bindings_be_extended() -> None:
    lifeline = serving(100.0)
    lifeline.leaderless = True
    lifeline.evaluate(103.1)
    assert (lifeline.state, lifeline.ready()) == ("extending", True)


def test_a_store_that_says_it_has_no_space_is_one_that_nobody_can_write_to() -> None:
    lifeline = serving(100.0)
    lifeline.full = True
    lifeline.evaluate(103.1)
    assert (lifeline.state, lifeline.ready()) == ("extending", True)
    lifeline.committed(103.2)
    assert lifeline.state == "serving"


def paused(until: float) -> Lifeline:
    """Serving at 100 s, then without a commit, and not running for the last two seconds before `until`."""
    lifeline = serving(100.0)
    lifeline.beat(until - 2.0)
    lifeline.beat(until)
    return lifeline


def test_a_node_that_stood_still_goes_on_extending_if_there_is_still_no_leader_afterwards() -> None:
    lifeline = paused(until=110.0)
    assert lifeline.state == "joining"
    lifeline.learned(109.0, 110.1, leaderless=True, full=False)  # asked before the pause: says nothing of after it
    assert lifeline.state == "joining"
    lifeline.learned(110.2, 110.3, leaderless=True, full=False)
    assert (lifeline.state, lifeline.ready()) == ("extending", True)
    lifeline.learned(111.2, 111.3, leaderless=False, full=False)
    assert lifeline.state == "joining"
    lifeline.echoed(112.0, 112.1)
    assert lifeline.state == "serving"


def test_a_node_that_stood_still_does_not_serve_by_a_commit_from_before_it() -> None:
    lifeline = paused(until=102.5)
    lifeline.learned(102.5, 102.6, leaderless=True, full=False)
    assert lifeline.state == "extending"


def test_a_node_that_never_had_an_echo_extends_nothing() -> None:
    lifeline = Lifeline(lambda: 100.0)
    lifeline.waiting_for = ""
    lifeline.learned(100.0, 100.1, leaderless=True, full=False)
    assert lifeline.state == "joining"


def test_a_view_that_is_in_doubt_for_another_reason_extends_nothing() -> None:
    lifeline = paused(until=110.0)
    lifeline.doubt(110.5)  # a rollback
    lifeline.learned(110.6, 110.7, leaderless=True, full=False)
    assert lifeline.state == "joining"


@pytest.mark.parametrize(("fact", "value"), [("clock_ok", False), ("refused", "bad"), ("cut_off", True)])
def test_a_node_that_may_not_answer_does_not_extend_either(fact: str, value: object) -> None:
    lifeline = serving(100.0)
    lifeline.leaderless = True
    setattr(lifeline, fact, value)
    lifeline.evaluate(103.1)
    assert (lifeline.state, lifeline.ready()) == ("degraded", False)


def test_a_node_does_not_serve_before_its_clock_was_held_against_the_others() -> None:
    lifeline = serving(100.0)
    lifeline.comparing = True
    lifeline.evaluate(100.1)
    assert (lifeline.state, lifeline.ready()) == ("joining", False)
    lifeline.trust("it differs")
    lifeline.evaluate(100.2)
    assert (lifeline.state, lifeline.reason) == ("degraded", "it differs")
    lifeline.trust("")
    lifeline.evaluate(100.3)
    assert lifeline.ready()


def test_a_strict_cluster_is_silent_without_a_quorum() -> None:
    lifeline = serving(100.0)
    lifeline.leaderless, lifeline.extends = True, False
    lifeline.evaluate(103.1)
    assert (lifeline.state, lifeline.ready()) == ("degraded", False)


def test_a_process_that_was_stopped_joins_again_until_the_next_echo() -> None:
    lifeline = serving(100.0)
    lifeline.beat(100.5)
    lifeline.beat(102.0)  # stopped for 1.5 s
    assert lifeline.state == "joining"
    assert not lifeline.fresh(102.0)
    lifeline.echoed(100.4, 102.1)  # sent before it was stopped: proves nothing of what happened since
    assert lifeline.state == "joining"
    lifeline.echoed(102.2, 102.3)
    assert lifeline.state == "serving"


@pytest.mark.parametrize(("fact", "value"), [("clock_ok", False), ("refused", "bad"), ("cut_off", True)])
def test_a_node_that_may_not_grant_is_not_ready(fact: str, value: object) -> None:
    lifeline = serving(100.0)
    setattr(lifeline, fact, value)
    lifeline.evaluate(100.1)
    assert (lifeline.state, lifeline.ready()) == ("degraded", False)


def test_each_change_of_state_is_told_once() -> None:
    told: list[tuple[str, str]] = []
    lifeline = Lifeline(lambda: 100.0, lambda state, reason: told.append((state, reason)))
    lifeline.waiting_for = ""
    lifeline.echoed(100.0, 100.0)
    lifeline.evaluate(100.1)
    lifeline.draining = "asked to stop"
    lifeline.evaluate(100.2)
    assert [state for state, _ in told] == ["serving", "draining"]
