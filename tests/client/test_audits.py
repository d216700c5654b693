"""Records of several nodes as one stream: what is told, what is told only once, and what ends it."""

from __future__ import annotations

import pytest

from everlease.client.audits import Gathering, Place
from everlease.client.errors import Denied, Unreachable
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord


def record(number: int, at: int) -> AuditRecord:
    made = AuditRecord(number=number)
    made.record_time.FromNanoseconds(at)
    return made


def away(server: str) -> Unreachable:
    return Unreachable(f"{server}: connection refused", said={server: "connection refused"})


def test_after_a_gap_what_a_node_keeps_is_asked_for_and_what_was_told_is_passed_over() -> None:
    place = Place(past=False)
    assert place.number == 0
    assert [place.is_new(record(number, at)) for number, at in ((7, 100), (8, 200))] == [True, True]
    place.lose()
    assert place.number == 1
    told = [place.is_new(record(number, at)) for number, at in ((7, 100), (8, 200), (9, 300))]
    assert told == [False, False, True]


def test_a_node_that_began_anew_counts_anew() -> None:
    place = Place(past=True)
    assert place.is_new(record(1, 100))
    place.lose()
    assert place.is_new(record(1, 150))


def test_a_clock_that_is_set_back_between_two_records_hides_none() -> None:
    place = Place(past=True)
    assert place.is_new(record(1, 100))
    assert place.is_new(record(2, 90))


def test_who_goes_before_anything_was_told_is_asked_for_what_comes() -> None:
    place = Place(past=False)
    place.lose()
    assert place.number == 0


def test_a_node_that_is_away_is_told_once_until_it_is_heard_again() -> None:
    missing: list[Unreachable] = []
    gathering = Gathering(2, missing.append)
    for news in (("a", away("a")), ("a", away("a")), ("a", record(1, 1)), ("a", away("a")), ("b", away("b"))):
        list(gathering.take(news))
    assert [list(error.said) for error in missing] == [["a"], ["a"], ["b"]]


def test_nobody_at_first_and_a_refusal_end_it() -> None:
    gathering = Gathering(2, lambda _: None)
    list(gathering.take(("a", away("a"))))
    with pytest.raises(Unreachable):
        list(gathering.take(("b", away("b"))))
    with pytest.raises(Denied):
        list(gathering.take(("a", Denied("PERMISSION_DENIED", "CN:screen has the role viewer"))))


def test_a_stream_that_broke_off_had_begun() -> None:
    gathering = Gathering(1, lambda _: None)
    list(gathering.take(("a", Unreachable("a broke off in the middle: start again"))))
    list(gathering.take(("a", away("a"))))
