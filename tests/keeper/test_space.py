"""Room in the store: what is decided from each look. No clock, no etcd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from everlease.runtime.keeper.facts import Compact, Defragment, Disarm, MoveLeader, Wait
from everlease.runtime.keeper.space import (
    COMPACT_EVERY,
    FIRST_REST,
    LONGEST_REST,
    PRESSED_EVERY,
    RELAPSE,
    WARN,
    SpaceMemory,
    next_step,
    why_not,
)
from everlease.runtime.keeper.trail import SHARE, STRIDE
from keeper.looks import HEAD, MIB, NOW, ask, look, member, quiet

FULL = {"size": 1010 * MIB, "in_use": 40 * MIB}
HOLLOW = {"size": 600 * MIB, "in_use": 100 * MIB}


# --- in peace ---------------------------------------------------------------------------------------------------------


def test_a_healthy_store_is_left_alone() -> None:
    assert ask(look(), quiet()) is None


def test_history_older_than_ten_minutes_is_compacted_every_minute() -> None:
    memory = SpaceMemory()
    for second in range(0, 1300, 5):
        step = ask(look(now=NOW + second, head=1000 + second), memory)
        if isinstance(step, Compact):
            assert 1000 + second - 606 <= step.revision <= 1000 + second - 600
            memory.compacted_to(step.revision, NOW + second)
            compacted_at = NOW + second
        elif second > 600:
            assert NOW + second - compacted_at < COMPACT_EVERY
    assert memory.compacted > 1600


def test_history_that_fills_a_quarter_of_the_smallest_quota_is_compacted_sooner() -> None:
    memory = SpaceMemory()
    small = {"quota": 400 * MIB}
    for second in range(0, 100, 5):  # 4 MiB a second: a quarter of 400 MiB in 25 s
        growing = {"size": (25 + 4 * second) * MIB, "in_use": (20 + 4 * second) * MIB}
        facts = look(member(1, **growing), member(2, **growing, **small), now=NOW + second, head=1000 + second)
        step = ask(facts, memory)
        if second < 25:
            assert step is None
        elif isinstance(step, Compact):
            assert 1000 + second - 30 <= step.revision <= 1000 + second - 25
            return
    raise AssertionError("never compacted")


def test_history_that_overflows_its_share_does_not_wait_for_the_minute() -> None:
    memory, kept, waits = SpaceMemory(), [], []
    for second in range(120):  # 10 MiB a second through a quota of 400 MiB; what is compacted is free at once
        history = 10 * (1000 + second - memory.compacted) if memory.compacted else 10 * second
        small = {"quota": 400 * MIB, "size": 200 * MIB, "in_use": (40 + history) * MIB}
        facts = look(*(member(number, **small) for number in (1, 2, 3)), now=NOW + second, head=1000 + second)
        step = ask(facts, memory)
        if isinstance(step, Compact):
            waits.append(facts.now - memory.compacted_at)
            memory.compacted_to(step.revision, facts.now)
            kept.append(history)
    assert len(kept) > 15
    assert max(kept[1:]) <= 400 * (SHARE + STRIDE) + 10
    assert min(waits[2:]) >= 4


def test_what_is_compacted_already_is_not_compacted_again() -> None:
    memory = SpaceMemory(compacted=HEAD)
    ask(look(now=NOW - 700), memory)
    assert ask(look(), memory) is None


def test_after_a_restore_the_old_revisions_are_forgotten() -> None:
    memory = SpaceMemory()
    ask(look(now=NOW - 700, head=9000), memory)
    assert ask(look(head=100), memory) is None


def test_a_hollow_database_is_defragmented_follower_first() -> None:
    step = ask(look(member(1, **HOLLOW), member(3, **HOLLOW)), quiet())
    assert isinstance(step, Defragment)
    assert step.member.endpoint == "m3"
    assert step.seconds > 60  # 600 MiB at 10 MiB/s and half a minute


def test_thirty_percent_reclaimable_are_not_worth_a_stop() -> None:
    assert ask(look(member(3, size=600 * MIB, in_use=420 * MIB)), quiet()) is None
    assert isinstance(ask(look(member(3, size=600 * MIB, in_use=419 * MIB)), quiet()), Defragment)


def test_a_small_database_is_left_alone_however_hollow() -> None:
    assert ask(look(member(3, size=240 * MIB, in_use=10 * MIB)), quiet()) is None


def test_a_member_that_does_not_tell_what_it_uses_is_not_defragmented() -> None:
    assert ask(look(member(3, size=600 * MIB, in_use=0)), quiet()) is None


def test_a_member_is_defragmented_once_an_hour_and_more_often_when_it_is_nearly_full() -> None:
    memory = quiet()
    memory.defragmented = {3: NOW - 400}
    assert ask(look(member(3, **HOLLOW)), memory) is None
    nearly = member(3, size=700 * MIB, in_use=300 * MIB)
    memory.compacted_at = NOW - 9  # so that the compaction that is due more often comes later
    assert isinstance(ask(look(nearly), memory), Defragment)


def test_the_leader_hands_over_before_it_is_defragmented_and_is_the_last() -> None:
    memory = quiet()
    step = ask(look(member(1, **HOLLOW)), memory)
    assert isinstance(step, MoveLeader)
    assert (step.leader.endpoint, step.target.endpoint) == ("m1", "m2")
    memory.handed_at = NOW
    assert isinstance(ask(look(member(1, **HOLLOW), now=NOW + 1), memory), Defragment)  # it would not


def test_a_single_member_is_defragmented_where_it_stands() -> None:
    alone = replace(look(member(1, **HOLLOW)), members=(member(1, **HOLLOW),), ids=frozenset({1}))
    assert isinstance(ask(alone, quiet()), Defragment)


# --- who may be stopped -----------------------------------------------------------------------------------------------


def test_a_member_may_be_stopped_while_all_others_answer_and_a_commit_was_just_confirmed() -> None:
    assert why_not(look(), member(3)) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (look(member(2, answers=False)), "m2 did not answer"),
        (look(proved_at=NOW - 1.0), "no commit was confirmed"),
        (look(ids=frozenset({1, 2, 3, 4})), "not every member"),
        (look(ids=frozenset()), "not known yet"),
    ],
)
def test_a_member_is_not_stopped(facts: object, words: str) -> None:
    assert words in why_not(facts, member(3))  # type: ignore[arg-type]
    step = ask(replace(facts, members=(*facts.members[:2], member(3, **HOLLOW))), quiet())  # type: ignore[attr-defined, type-var]
    assert isinstance(step, Wait)
    assert words in step.reason


# --- nearly full ------------------------------------------------------------------------------------------------------


def test_from_seventy_percent_history_is_cut_short() -> None:
    memory = SpaceMemory(compacted_at=NOW - 50)
    below = member(3, size=int(WARN * 1000 * MIB) - MIB, in_use=600 * MIB)
    for second in range(60):
        ask(look(below, now=NOW - 60 + second, head=HEAD - 60 + second), memory)
    assert ask(look(below), memory) is None
    above = member(3, size=int(WARN * 1000 * MIB) + MIB, in_use=600 * MIB)
    step = ask(look(above), memory)
    assert isinstance(step, Compact)
    assert HEAD - 40 <= step.revision <= HEAD - 30
    memory.compacted_to(step.revision, NOW)
    assert ask(look(above, now=NOW + PRESSED_EVERY - 1, head=HEAD + 9), memory) is None


# --- full -------------------------------------------------------------------------------------------------------------


def test_a_full_member_is_healed_by_compaction_to_head_defragmentation_and_disarming_in_that_order() -> None:
    memory, steps, now = quiet(), [], NOW
    full = member(3, **FULL)
    for _ in range(12):
        now += 1
        step = ask(look(full, now=now, full=(3,)), memory)
        steps.append(step)
        if isinstance(step, Compact):
            assert step.revision == HEAD
            memory.compacted_to(step.revision, now)
        elif isinstance(step, Defragment):
            assert step.member.endpoint == "m3"
            memory.defragmented[3] = now
            full = replace(full, size=45 * MIB)
        elif isinstance(step, Disarm):
            assert step.ids == (3,)
            memory.disarmed(now)
            break
    kinds = [type(step) for step in steps if not isinstance(step, Wait)]
    assert kinds == [Compact, Defragment, Disarm]
    assert now - NOW < 8


def test_a_compaction_before_the_alarm_does_not_count() -> None:
    memory = SpaceMemory(compacted=HEAD, compacted_at=NOW - 0.1)
    assert isinstance(ask(look(member(3, **FULL), full=(3,)), memory), Compact)


def healed(memory: SpaceMemory, now: float) -> None:
    """Everything was done, and the alarm taken back."""
    memory.compacted_to(HEAD, now)
    memory.defragmented = {3: now}
    memory.disarmed(now)


def test_only_members_that_are_full_or_nearly_are_stopped_under_the_alarm() -> None:
    memory = quiet()
    memory.look(look(full=(3,)))
    memory.compacted_to(HEAD, NOW)
    later = look(member(2, size=240 * MIB, in_use=10 * MIB), member(3, **FULL), now=NOW + 6, full=(3,))
    assert isinstance(step := ask(later, memory), Defragment)
    assert step.member.endpoint == "m3"
    memory.defragmented[3] = NOW + 7
    assert isinstance(ask(replace(later, now=NOW + 8, proved_at=NOW + 8), memory), Disarm)


def test_a_full_member_with_little_to_reclaim_is_rewritten_if_that_brings_it_below_its_quota() -> None:
    memory = quiet()
    memory.look(look(full=(3,)))
    memory.compacted_to(HEAD, NOW)
    tight = look(member(3, size=1000 * MIB, in_use=900 * MIB), now=NOW + 6, full=(3,))
    assert isinstance(ask(tight, memory), Defragment)
    hopeless = look(member(3, size=1000 * MIB, in_use=990 * MIB), now=NOW + 6, full=(3,))
    assert isinstance(ask(hopeless, memory), Disarm)


def test_a_full_member_that_is_gone_does_not_keep_the_others_from_writing() -> None:
    memory = quiet()
    gone = member(3, answers=False, commits=())
    memory.look(look(gone, full=(3,)))
    memory.compacted_to(HEAD, NOW)
    assert isinstance(ask(look(gone, now=NOW + 6, full=(3,)), memory), Disarm)


def test_a_full_member_waits_with_its_reason_while_another_does_not_answer() -> None:
    memory = quiet()
    memory.look(look(full=(3,)))
    memory.compacted_to(HEAD, NOW)
    step = ask(look(member(2, answers=False), member(3, **FULL), now=NOW + 6, full=(3,)), memory)
    assert isinstance(step, Wait)
    assert "m2 did not answer" in step.reason


def test_a_member_that_lags_behind_the_disarming_is_no_relapse() -> None:
    memory = quiet()
    healed(memory, NOW)
    assert not isinstance(ask(look(now=NOW + 1, full=(3,)), memory), Wait)
    assert ask(look(now=NOW + 2), memory) is None
    assert memory.relapses == 0


def test_an_alarm_that_returns_is_told_and_tried_ever_more_rarely() -> None:
    memory, now, rests = quiet(), NOW, []
    for _ in range(8):
        healed(memory, now)
        now += 3
        step = ask(look(member(3, **FULL), now=now, full=(3,)), memory)
        if not isinstance(step, Wait):
            raise AssertionError(step)
        assert "returned" in step.reason
        since = now
        while isinstance(ask(look(member(3, **FULL), now=now, full=(3,)), memory), Wait):
            now += 1
        rests.append(now - since)
        assert isinstance(next_step(look(member(3, **FULL), now=now, full=(3,)), memory), Compact)
    assert rests[:4] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST, 8 * FIRST_REST]
    assert rests[-1] == LONGEST_REST


def test_an_alarm_long_after_the_last_one_is_a_new_one() -> None:
    memory = quiet()
    memory.relapses = 5
    healed(memory, NOW)
    assert isinstance(ask(look(now=NOW + RELAPSE, full=(3,)), memory), Compact)
    assert memory.relapses == 0
