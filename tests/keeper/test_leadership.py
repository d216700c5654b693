"""When leadership moves off a slow disk: decisions from looks. No clock, no etcd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from everlease.runtime.keeper.facts import Facts, Member, MoveLeader, Wait
from everlease.runtime.keeper.leadership import LeadershipMemory, next_step, suspicious
from keeper.looks import NOW, look, member

SLOW = (0.31, 0.33, 0.30)


def slow_leader(*changed: Member, **more: object) -> Facts:
    """Commits are slow through all; the leader's disk takes 300 ms, the others' 3 and 2."""
    members = {
        1: member(1, commits=SLOW, fsync=0.3),
        2: member(2, commits=SLOW, fsync=0.003),
        3: member(3, commits=SLOW, fsync=0.002),
    } | {each.id: each for each in changed}
    return look(*members.values(), **more)


def test_leadership_moves_from_a_slow_disk_to_the_fastest_one() -> None:
    step = next_step(slow_leader(), LeadershipMemory())
    assert isinstance(step, MoveLeader)
    assert (step.leader.endpoint, step.target.endpoint) == ("m1", "m3")
    assert "300 ms" in step.reason


def stays(*changed: Member, **more: object) -> bool:
    return next_step(slow_leader(*changed, **more), LeadershipMemory()) is None


def test_one_quick_member_is_enough_to_stay() -> None:
    assert stays(member(2, commits=(0.3, 0.004, 0.004), fsync=0.003))


def test_two_slow_commits_are_not_several() -> None:
    assert stays(member(2, commits=SLOW[:2], fsync=0.003))


def test_slow_commits_with_a_quick_disk_of_the_leader_are_not_its_fault() -> None:
    assert stays(member(1, commits=SLOW, fsync=0.004))


def test_nobody_is_moved_to_a_disk_that_is_not_much_better() -> None:
    assert stays(member(2, commits=SLOW, fsync=0.2), member(3, commits=SLOW, fsync=0.11))


def test_nobody_is_moved_to_a_member_that_does_not_answer_lags_or_learns() -> None:
    assert stays(
        member(2, commits=SLOW, fsync=0.003, answers=False), member(3, commits=SLOW, fsync=0.003, entries=90_000)
    )
    assert stays(member(2, commits=SLOW, fsync=0.003, learner=True), member(3, answers=False))


def test_a_member_that_hangs_is_no_evidence_and_no_hindrance() -> None:
    step = next_step(slow_leader(member(2, answers=False, commits=())), LeadershipMemory())
    assert isinstance(step, MoveLeader)
    assert step.target.endpoint == "m3"


def test_a_leader_that_no_endpoint_leads_to_cannot_be_moved() -> None:
    assert stays(member(1, commits=SLOW, fsync=0.3, leads=False))


# --- where disks cannot be read ---------------------------------------------------------------------------------------


def unmeasured() -> Facts:
    return slow_leader(*(member(number, commits=SLOW) for number in (1, 2, 3)))


def test_without_measurements_it_moves_only_while_every_member_is_there() -> None:
    assert isinstance(next_step(unmeasured(), LeadershipMemory()), MoveLeader)
    missing = replace(unmeasured(), members=unmeasured().members[:2])
    assert next_step(missing, LeadershipMemory()) is None
    assert next_step(replace(unmeasured(), ids=frozenset()), LeadershipMemory()) is None


def test_without_measurements_nobody_is_chosen_who_was_left_before() -> None:
    memory = LeadershipMemory([(NOW - 120, 2)])
    step = next_step(unmeasured(), memory)
    assert isinstance(step, MoveLeader)
    assert step.target.endpoint == "m3"
    memory.moves.append((NOW - 60, 3))
    assert next_step(unmeasured(), memory) is None


# --- rarely -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ages", "moves"),
    [((59,), False), ((60,), True), ((500, 300, 100), False), ((601, 300, 100), True), ((300, 100), True)],
)
def test_it_moves_once_a_minute_and_three_times_in_ten(ages: tuple[float, ...], moves: bool) -> None:
    memory = LeadershipMemory([(NOW - age, 9) for age in ages])
    assert isinstance(next_step(slow_leader(), memory), MoveLeader if moves else Wait)


def test_moves_that_are_long_past_are_forgotten() -> None:
    memory = LeadershipMemory([(NOW - 700, 1), (NOW - 100, 2)])
    memory.moved(3, NOW)
    assert memory.moves == [(NOW - 100, 2), (NOW, 3)]


def test_one_slow_commit_makes_the_keeper_look_closer() -> None:
    assert not suspicious(look())
    assert suspicious(look(member(2, commits=(0.004, 0.2))))
