"""The invariants of the service as a whole, by hand: administration, liveness, leaks, metrics, logs, a frozen watch."""

from __future__ import annotations

from itertools import permutations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from faults.history.checks.linear import DONE, REFUSED, linearizable
from faults.history.events import Call, Scrape, Usage
from faults.history.handmade import START, A, Story, X, broken, mac_of


def call(value: str, at: float, ended: float, operation: str = "write", answer: str = "") -> Call:
    given = (value,) if operation == "write" else tuple(value.split(">")) if operation == "cas" else ()
    return Call(START + at, START + ended, "k", operation, given, answer)


def test_i17_a_read_that_does_not_see_what_was_acknowledged_before_it() -> None:
    story = Story()
    story.events += [call("1", 0, 1), call("2", 2, 3), call("", 4, 5, "read", "1")]
    assert broken(story) == {"I17"}
    story.events[-1] = call("", 2.5, 5, "read", "1")  # begun before the second write had ended
    assert broken(story) == set()


def test_i17_of_two_compare_and_sets_one_wins() -> None:
    story = Story()
    story.events += [call("0", 0, 1), call("0>1", 2, 5, "cas", "done")]
    story.events += [call("0>2", 2, 5, "cas", "refused")]
    assert broken(story) == set()
    story.events[-1] = call("0>2", 2, 5, "cas", "done")
    assert broken(story) == {"I17"}


def test_i17_a_call_without_an_answer_may_have_happened_or_not() -> None:
    lost = Call(START, START + 1, "k", "write", ("1",), known=False)
    for seen in ("", "1"):
        story = Story()
        story.events += [lost, call("", 2, 3, "read", seen)]
        assert broken(story) == set()
    story.events.append(call("", 4, 5, "read", ""))
    assert broken(story) == {"I17"}


def test_i18_a_client_that_nobody_answers_and_clients_that_wait_too_long() -> None:
    story = Story()
    for _ in range(10):
        story.sends(A, "DISCOVER")
        story.wait(8)
    assert broken(story) == {"I18"}
    slow = Story()
    slow.sends(A, "DISCOVER")
    slow.wait(12)
    slow.binds(A, X)
    assert broken(slow) == {"I18"}


def test_i18_without_a_quorum_nobody_new_is_to_be_answered() -> None:
    story = Story()
    story.fault("F24").wait(1)
    story.sends(A, "DISCOVER")
    story.wait(60).fault("F24", begins=False)
    story.binds(A, X)
    assert broken(story) == set()


def test_i19_what_grows_from_cycle_to_cycle_leaks() -> None:
    for grown, violated in ((0.0, set()), (2.0, {"I19"})):
        story = Story()
        for cycle in range(15):
            story.events.append(Usage(START + cycle, "node0", {"fds": 40.0 + grown * cycle, "rss": 1e8}))
        assert broken(story) == violated


def scrape(at: float, received: int, offers: int, acks: int) -> Scrape:
    return Scrape(
        at,
        "n1",
        {
            'everlease_packets_received_total{family="v4",operation="discover"}': received,
            'everlease_packets_sent_total{family="v4",operation="discover"}': offers + acks,
            'everlease_lease_duration_seconds_count{family="v4",operation="discover",result="offer"}': offers,
            'everlease_lease_duration_seconds_count{family="v4",operation="request",result="ack"}': acks,
        },
    )


@pytest.mark.parametrize(
    ("counts", "violated"),
    [((7, 4, 6), set()), ((8, 4, 6), {"I20"}), ((7, 5, 6), {"I20"}), ((7, 5, 5), {"I20"})],
)
def test_i20_counters_are_what_was_on_the_wire(counts: tuple[int, int, int], violated: set[str]) -> None:
    story = Story()
    story.marks("lossless")
    story.events.append(scrape(story.now, 5, 3, 5))
    story.wait(1).binds(A, X)
    story.wait(1)
    story.events.append(scrape(story.now, *counts))
    assert broken(story) == violated


def test_i22_what_is_violated_under_a_frozen_watch_is_told_as_such() -> None:
    story = Story()
    story.fault("F15")
    story.puts(story.record(A, X))
    assert broken(story) == {"I8", "I22"}


def test_i23_a_log_that_names_a_client() -> None:
    story = Story()
    story.binds(A, X)
    story.writes('{"event": "state"}').writes(f"client {mac_of(A)}", "debug")
    assert broken(story) == set()
    for name in (mac_of(A), A, mac_of(A).replace(":", ""), mac_of(A).upper()):
        assert broken(a_line_that_says(name)) == {"I23"}


def a_line_that_says(name: str) -> Story:
    story = Story()
    story.binds(A, X)
    return story.writes(f'{{"event": "declined", "client": "{name}"}}', "warning")


@st.composite
def short_histories(draw: st.DrawFn) -> list[Call]:
    """Up to five calls on one key, all with answers."""
    calls = []
    for _ in range(draw(st.integers(0, 5))):
        operation = draw(st.sampled_from(["read", "write", "cas"]))
        begin, lasts = draw(st.integers(0, 6)), draw(st.integers(0, 3))
        given_ = [draw(st.sampled_from("01")) for _ in range({"read": 0, "write": 1, "cas": 2}[operation])]
        answers = {"read": ["", "0", "1"], "write": [""], "cas": [DONE, REFUSED]}[operation]
        calls.append(Call(begin, begin + lasts, "k", operation, tuple(given_), draw(st.sampled_from(answers))))
    return calls


def explains(order: tuple[Call, ...]) -> bool:
    """Whether this very order, one call after the other, gives these answers, and contradicts no time."""
    value = ""
    for number, each in enumerate(order):
        if any(later.ended < each.at for later in order[number + 1 :]):
            return False
        if each.operation == "read" and each.answer != value:
            return False
        if each.operation == "cas" and (each.answer == DONE) != (each.given[0] == value):
            return False
        if each.operation == "write" or each.answer == DONE:
            value = each.given[-1]
    return True


@given(short_histories())
def test_the_search_for_an_order_finds_one_where_trying_all_orders_does(calls: list[Call]) -> None:
    assert linearizable(calls) == any(map(explains, permutations(calls)))
