"""Which member is asked, and when history counts as rolled back."""

from __future__ import annotations

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.freshness import Freshness
from everlease.store.leadership import Leadership
from everlease.store.members import LONGEST_EJECTION, Members


def test_the_fastest_member_is_first() -> None:
    members = Members(["a", "b", "c"])
    for _ in range(5):
        members.answered("a", 0.030)
        members.answered("b", 0.002)
        members.answered("c", 0.300)
    assert members.rank() == ["b", "a", "c"]


def test_a_batch_goes_to_the_leader_unless_the_way_there_is_twice_as_long() -> None:
    members = Members(["a", "b"])
    members.leader = "b"
    for _ in range(20):
        members.answered("a", 0.002)
        members.answered("b", 0.003)
    assert members.rank_to_write() == ["b", "a"]
    assert members.rank() == ["a", "b"]
    for _ in range(20):
        members.answered("b", 0.005)
    assert members.rank_to_write() == ["a", "b"]
    members.missed("a", 0.5, now=1.0)
    assert members.rank_to_write() == ["b", "a"]


def test_who_carries_the_batches_is_not_left_for_it_unless_they_take_long() -> None:
    members = Members(["a", "b"])
    for _ in range(20):
        members.answered("a", 0.001)
        members.answered("b", 0.002)
        members.answered("a", 0.030, batch=True)
    assert members.rank() == ["a", "b"]
    for _ in range(20):
        members.answered("a", 0.300, batch=True)
    assert members.rank() == ["b", "a"]


def test_one_miss_is_enough_to_ask_somebody_else_first() -> None:
    members = Members(["a", "b"])
    members.answered("a", 0.001)
    members.missed("a", 1.0, now=0.0)
    assert members.rank()[0] == "b"
    assert members.is_up("a")


def test_three_misses_in_a_row_eject_a_member_and_three_proofs_bring_it_back() -> None:
    members = Members(["a", "b"])
    for second in range(3):
        members.missed("a", 1.0, now=float(second))
    assert not members.is_up("a")
    assert members.rank() == ["b", "a"]
    for _ in range(2):
        members.answered("a", 0.001)
        assert not members.is_up("a")
    members.answered("a", 0.001)
    assert members.is_up("a")


def test_a_proof_that_is_followed_by_a_miss_does_not_count() -> None:
    members = Members(["a"])
    for second in range(3):
        members.missed("a", 1.0, now=float(second))
    members.answered("a", 0.001)
    members.answered("a", 0.001)
    members.missed("a", 1.0, now=4.0)
    members.answered("a", 0.001)
    assert not members.is_up("a")


def test_calls_that_hang_side_by_side_are_one_miss() -> None:
    members = Members(["a", "b"])
    for _ in range(10):
        members.missed("a", 1.0, now=1.0)
    assert members.is_up("a")
    members.missed("a", 0.5, now=1.2)  # asked at 0.7, before the first miss was known
    members.missed("a", 0.5, now=1.6)
    assert members.is_up("a")
    members.missed("a", 0.5, now=2.1)
    assert not members.is_up("a")


def test_who_is_outrun_is_asked_last_and_probed_at_once_but_has_missed_nothing() -> None:
    members = Members(["a", "b"])
    members.answered("a", 0.001)
    assert members.to_probe(0.0) == ["a", "b"]
    assert members.to_probe(0.5) == []
    members.outrun("a", 0.3)
    assert members.rank() == ["b", "a"]
    assert members.to_probe(0.7) == ["a"]
    for _ in range(10):
        members.outrun("a", 0.3)
    assert members.is_up("a") and not members.is_suspect("a")


def test_a_member_that_missed_is_asked_again_at_once_so_that_it_is_judged_soon() -> None:
    members = Members(["a", "b"])
    members.to_probe(0.0)
    members.missed("a", 0.5, now=0.5)
    assert members.to_probe(0.5) == ["a"]


def test_a_slow_follower_is_left_for_the_fast_ones_until_it_is_fast_again() -> None:
    members = Members(["a", "b"])
    for _ in range(10):
        members.answered("a", 1.05)
        members.answered("b", 0.010)
    assert members.rank() == ["b", "a"]
    for _ in range(40):
        members.answered("a", 0.001)
    assert members.rank() == ["a", "b"]


def status(member: int, leader: int, term: int) -> pb.StatusResponse:
    return pb.StatusResponse(header=pb.ResponseHeader(member_id=member), leader=leader, raft_term=term)


def test_a_member_that_was_cut_off_and_names_itself_does_not_lead() -> None:
    leadership = Leadership()
    leadership.heard("a", status(1, 1, 5))
    assert (leadership.term, leadership.leader) == (5, "a")
    leadership.heard("b", status(2, 0, 6))  # it asks for votes
    assert leadership.term == 5
    leadership.heard("b", status(2, 2, 7))
    leadership.heard("a", status(1, 1, 5))
    assert (leadership.term, leadership.leader) == (7, "b")


def test_who_names_the_new_leader_is_asked_before_who_does_not() -> None:
    members, leadership = Members(["old", "b"]), Leadership()
    told = [("old", status(1, 1, 5)), ("b", status(2, 1, 5)), ("b", status(2, 0, 6)), ("b", status(2, 2, 6))]
    news = [leadership.heard(*words) for words in told]
    assert news == [True, True, False, True]
    assert not leadership.heard("b", status(2, 2, 6))
    assert not leadership.heard("old", status(1, 1, 5))
    for name in ("old", "b", "b"):
        members.missed(name, 0.0, now=1.0)
    members.follows("b")
    assert members.rank() == ["b", "old"]
    for _ in range(3):
        members.missed("old", 0.0, now=3.0)
    members.follows("old")
    assert not members.is_up("old") and members.to_probe(3.0) == ["old", "b"]


def test_a_leader_that_was_not_configured_has_no_name() -> None:
    leadership = Leadership()
    leadership.heard("a", status(1, 9, 5))
    assert (leadership.term, leadership.leader) == (5, "")


def test_an_answer_between_misses_keeps_a_member_in() -> None:
    members = Members(["a"])
    for second in range(9):
        members.missed("a", 1.0, now=float(second))
        if second % 2:
            members.answered("a", 0.001)
    assert members.is_up("a")


def test_an_ejected_member_is_probed_less_and_less_often() -> None:
    members = Members(["a"])
    now = 0.0
    for _ in range(3):
        members.missed("a", 0.0, now)
    waits = []
    for _ in range(7):
        start = now
        while not members.to_probe(now):
            now += 0.5
        waits.append(now - start)
        members.missed("a", 0.0, now)
    assert waits == sorted(waits) and waits[0] == 1.0 and waits[-1] == LONGEST_EJECTION


def test_who_answers_again_after_a_long_time_proves_itself_within_seconds() -> None:
    members, now = Members(["a"]), 0.0
    for _ in range(20):
        members.missed("a", 0.0, now)
    answers = 0
    while not members.is_up("a"):
        now += 0.1
        if members.to_probe(now):
            members.answered("a", 0.001)
            answers += 1
    assert answers == 3
    assert LONGEST_EJECTION <= now < LONGEST_EJECTION + 2.5


def test_a_read_behind_what_was_seen_is_not_current_but_no_rollback() -> None:
    freshness = Freshness()
    assert freshness.is_current(0, 10, cluster=1)
    assert not freshness.is_current(10, 9, cluster=1)
    assert freshness.rollbacks == 0


def test_a_transaction_behind_what_was_seen_before_it_was_sent_is_a_rollback() -> None:
    freshness = Freshness()
    told: list[int] = []
    freshness.on_rollback = lambda: told.append(freshness.revision)
    freshness.committed(0, 10, cluster=1)
    assert freshness.committed(floor=5, revision=9, cluster=1)  # overtaken by another answer: no rollback
    assert freshness.revision == 10
    assert not freshness.committed(floor=10, revision=7, cluster=1)
    assert told == [7]
    assert freshness.is_current(7, 8, cluster=1)


def test_another_cluster_id_is_a_rollback_whatever_its_revision() -> None:
    freshness = Freshness()
    freshness.is_current(0, 10, cluster=1)
    assert freshness.is_current(10, 50, cluster=2)
    assert freshness.rollbacks == 1
    assert freshness.committed(50, 51, cluster=2)


def test_answers_that_were_under_way_during_a_rollback_are_not_another_one() -> None:
    freshness = Freshness()
    freshness.committed(0, 10, cluster=1)
    for revision in (7, 8, 9):
        freshness.committed(floor=10, revision=revision, cluster=1)
    assert (freshness.rollbacks, freshness.revision) == (1, 9)


def test_a_member_is_suspect_only_while_another_one_is_not() -> None:
    members = Members(["a", "b"])
    for _ in range(2):
        members.missed("a", 0.0, now=0.0)
    assert members.is_suspect("a") and not members.is_suspect("b")
    for _ in range(2):
        members.missed("b", 0.0, now=0.0)
    assert not members.is_suspect("a") and not members.is_suspect("b")


def test_a_read_that_commits_have_overtaken_is_as_good_as_when_it_was_asked_for() -> None:
    freshness = Freshness()
    freshness.committed(0, 10, cluster=1)
    floor = freshness.revision
    freshness.committed(floor, 14, cluster=1)
    assert freshness.is_current(floor, 11, cluster=1)
    assert freshness.revision == 14
