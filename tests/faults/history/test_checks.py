"""Each invariant by hand: a history in which it holds, and one in which nothing but it is broken."""

from __future__ import annotations

import pytest

from everlease.core.lifecycle import BOUND, DECLINED, OFFERED, RELEASED
from faults.history.check import check, holds
from faults.history.handmade import KEYS, A, B, C, Story, X, Y, Z, broken, mac_of

RESERVED, OWNER = "10.77.16.99", "0201020000000099"


def a_good_day() -> Story:
    """Three clients bind, renew, move, release, decline, come back; an address passes on when it may."""
    story = Story()
    story.binds(A, X)
    story.binds(B, Y)
    story.wait(20).renews(A, X).renews(B, Y)
    story.wait(10).releases(B, Y)
    story.wait(1).binds(C, Y)
    story.wait(5)
    story.sends(C, "DECLINE", Y, server="10.77.0.2")
    story.commits(C, Y, DECLINED, 3600.0)
    story.wait(10).binds(C, Z)
    story.wait(30).renews(A, X)
    story.wait(100).puts(story.record(B, X), story.entry(B, X), story.entry(A, None))
    xid = story.sends(B, "REQUEST", X, server="10.77.0.2")
    story.answers(B, "ACK", X, xid).says(B, X, xid)
    story.binds(OWNER, RESERVED)
    return story


def test_on_a_good_day_nothing_is_violated() -> None:
    holds(a_good_day().history())


# --- what was promised ------------------------------------------------------------------------------------------------


def test_i1_an_address_promised_to_two_clients_at_a_time() -> None:
    story = Story()
    story.binds(A, X)
    story.wait(1)
    xid = story.sends(B, "REQUEST", X, server="10.77.0.2")
    story.answers(B, "ACK", X, xid)
    assert "I1" in broken(story)


def test_i1_a_client_that_took_another_offer_has_left_its_address() -> None:
    story = Story()
    story.binds(A, X)
    story.wait(5)
    xid = story.sends(A, "REQUEST", Y, server="10.77.0.2")
    story.puts(story.record(A, Y), story.entry(A, Y), story.record(A, X, RELEASED, 0.0))
    story.wait(1).answers(A, "ACK", Y, xid)
    story.binds(B, X)
    assert broken(story) == set()


def test_i2_an_ack_of_which_nothing_was_committed() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.beats().answers(A, "ACK", X, xid)
    assert broken(story) == {"I2"}


def test_i2_an_ack_that_left_before_its_commit() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.answers(A, "ACK", X, xid)
    story.wait(0.5).beats().wait(0.5).commits(A, X)
    assert broken(story) == {"I2"}


def test_i2_an_ack_whose_node_names_no_revision() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.commits(A, X).answers(A, "ACK", X, xid).says(A, X, xid, revision=0)
    assert broken(story) == {"I2"}


def test_i2_a_client_that_is_not_confirmed_in_the_final_audit() -> None:
    story = Story()
    story.binds(A, X)
    story.binds(B, Y)
    story.marks("audit").wait(1).renews(B, Y)
    story.sends(A, "REQUEST", X)
    story.wait(20)
    assert broken(story) == {"I2"}


def test_i2_says_nothing_of_who_had_gone_before_the_final_audit() -> None:
    story = Story()
    story.binds(A, X)
    story.binds(B, Y)
    story.marks("audit").wait(1).renews(B, Y)
    story.wait(20)
    assert broken(story) == set()


def test_i3_a_nak_about_an_address_that_is_promised() -> None:
    story = Story()
    story.binds(A, X)
    story.fault("F24")
    xid = story.sends(A, "REQUEST", X)
    story.answers(A, "NAK", "", xid)
    assert broken(story) == {"I3"}
    assert "F24" in str(check(story.history(), "I3")[0])


def test_i3_a_nak_about_somebody_elses_address_is_the_truth() -> None:
    story = Story()
    story.binds(A, X)
    story.binds(B, Y)
    xid = story.sends(B, "REQUEST", X)
    story.answers(B, "NAK", "", xid)
    assert broken(story) == set()


def test_i4_a_promise_that_outlives_what_is_committed() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.commits(A, X, expires=40.0).answers(A, "ACK", X, xid)
    assert broken(story) == {"I4"}


def test_i5_an_ack_that_was_kept_too_long() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.commits(A, X).wait(7.5).answers(A, "ACK", X, xid)
    assert broken(story) == {"I5"}


def test_i5_by_the_nodes_own_measure() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.commits(A, X).wait(5.5).answers(A, "ACK", X, xid).says(A, X, xid, committing=5.4)
    assert broken(story) == {"I5"}


def test_i11_a_reserved_address_given_to_somebody_else() -> None:
    story = Story()
    story.binds(A, RESERVED)
    assert broken(story) == {"I11"}


def test_i11_who_had_the_address_when_it_was_reserved_keeps_it_and_nobody_gets_it_after() -> None:
    story = Story()
    story.binds(A, X)
    key = KEYS.reservation("default", 0x0A4D1001).decode()
    record = f'{{"kind":"hw-address","value":"01{mac_of(C).replace(":", "")}","subnet":1,"address":"{X}"}}'
    story.wait(1).puts((key, record)).wait(20).renews(A, X)
    assert broken(story) == set()
    story.releases(A, X).wait(1).binds(B, X)
    assert broken(story) == {"I11"}


# --- what is recorded -------------------------------------------------------------------------------------------------


def test_i6_a_client_with_two_bindings() -> None:
    story = Story()
    story.binds(A, X)
    story.puts(story.record(A, Y))
    assert broken(story) == {"I6", "I8"}  # the second one is in no index


def test_i8_a_binding_without_its_index_entry() -> None:
    story = Story()
    story.puts(story.record(A, X))
    assert broken(story) == {"I8"}


def test_i8_an_entry_that_names_somebody_elses_address() -> None:
    story = Story()
    story.binds(A, X)
    story.puts(story.entry(B, X))
    assert broken(story) == {"I8"}


def test_i8_a_torn_state_counts_though_the_next_revision_mends_it() -> None:
    story = Story()
    story.puts(story.record(A, X)).puts(story.entry(A, X))
    assert broken(story) == {"I8"}


def test_i8_a_counter_in_the_store_that_is_wrong() -> None:
    story = Story()
    counter = "/everlease/x/counters/default/4/1"
    story.puts(story.record(A, X), story.entry(A, X), (counter, "1"))
    assert broken(story) == set()
    story.puts(story.record(B, Y), story.entry(B, Y), (counter, "3"))
    assert broken(story) == {"I8"}


def test_i8_an_address_that_is_in_no_pool() -> None:
    story = Story()
    story.commits(A, "10.77.99.1")
    assert broken(story) == {"I8"}


def test_i8_a_record_that_cannot_be_read() -> None:
    story = Story()
    story.puts((KEYS.lease("default", 0x0A4D1001).decode(), "{"))
    assert broken(story) == {"I8"}


def test_i9_a_renewal_that_shortens() -> None:
    story = Story()
    story.binds(A, X)
    story.commits(A, X, expires=50.0)
    assert broken(story) == {"I9"}


def test_i12_a_binding_that_somebody_else_ended() -> None:
    story = Story()
    story.binds(A, X)
    story.sends(B, "RELEASE", X, ciaddr=X)
    story.commits(A, X, RELEASED, 0.0)
    assert broken(story) == {"I12"}


def test_i12_a_declined_address_given_to_somebody_in_its_probation() -> None:
    story = Story()
    story.binds(A, X)
    story.sends(A, "DECLINE", X, server="10.77.0.2")
    story.commits(A, X, DECLINED, 3600.0)
    story.wait(10).puts(story.record(B, X), story.entry(B, X), story.entry(A, None))
    assert broken(story) == {"I12"}


def test_i12_an_operator_may_end_a_binding() -> None:
    story = Story()
    story.binds(A, X)
    story.marks(f"released {X}").commits(A, X, RELEASED, 0.0)
    assert broken(story) == set()


@pytest.mark.parametrize(("wait", "violated"), [(80.0, {"I15"}), (100.0, set())])
def test_i15_an_address_passes_on_only_after_its_expiry_and_the_clock_margin(wait: float, violated: set[str]) -> None:
    story = Story()
    story.binds(A, X)
    story.wait(wait).puts(story.record(B, X), story.entry(B, X), story.entry(A, None))
    assert broken(story) == violated


@pytest.mark.parametrize(("takes", "violated"), [(Z, set()), (None, {"I15"})])
def test_i15_an_offer_ends_early_only_when_its_client_is_bound_to_another_address(
    takes: str | None, violated: set[str]
) -> None:
    story = Story()
    story.commits(A, X, OFFERED, 30.0)
    if takes is not None:
        story.binds(A, takes)
    story.wait(1).commits(B, X, OFFERED, 30.0)
    assert broken(story) == violated


def test_i15_a_binding_that_is_older_than_the_offer_does_not_end_it() -> None:
    story = Story()
    story.binds(A, Z)
    story.commits(A, X, OFFERED, 30.0).wait(1).commits(B, X, OFFERED, 30.0)
    assert broken(story) == {"I15"}


def test_i15_a_record_that_is_deleted_while_its_binding_lasts() -> None:
    story = Story()
    story.binds(A, X)
    story.puts((KEYS.lease("default", 0x0A4D1001).decode(), None), story.entry(A, None))
    assert broken(story) == {"I15"}


def test_i16_an_offer_that_holds_too_long_and_a_lease_that_is_there_when_nobody_can_be() -> None:
    story = Story()
    story.commits(A, X, OFFERED, 30.0)
    assert broken(story) == set()
    assert broken(Story().commits(A, X, OFFERED, 45.0)) == {"I16"}
    left = Story().commits(A, X, BOUND, 90.0)
    assert broken(left.wait(60).marks("emptied")) == {"I16"}


# --- what was answered ------------------------------------------------------------------------------------------------


def test_i7_two_nodes_that_answer_one_request_differently() -> None:
    story = Story()
    xid = story.binds(A, X)
    story.answers(A, "ACK", X, xid, node="n2")
    assert broken(story) == set()
    story.answers(A, "ACK", Y, xid, node="n2")
    assert {"I7", "I10"} <= broken(story)


def test_i10_a_renewal_that_is_answered_with_another_address() -> None:
    story = Story()
    story.binds(A, X)
    xid = story.sends(A, "REQUEST", X, ciaddr=X)
    story.puts(story.record(A, Y), story.entry(A, Y), story.record(A, X, RELEASED, 0.0))
    story.answers(A, "ACK", Y, xid)
    assert "I10" in broken(story)


def test_i13_an_address_of_no_pool_of_the_clients_link() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", "10.77.40.1", server="10.77.0.2")
    story.commits(A, "10.77.40.1").answers(A, "ACK", "10.77.40.1", xid)
    assert broken(story) == {"I13", "I8"}


def test_i13_one_configuration_that_says_two_things() -> None:
    story = Story()
    story.binds(A, X, rest="aa")
    story.binds(B, Y, rest="aa")
    assert broken(story) == set()
    story.binds(C, Z, rest="bb")
    assert broken(story) == {"I13"}


def test_i14_a_node_that_goes_back_to_an_older_configuration() -> None:
    story = Story()
    xid = story.binds(A, X)
    story.says(A, X, xid, config=2).says(A, X, xid, config=1)
    assert broken(story) == {"I14"}


def test_i14_an_answer_by_an_older_configuration_after_it_was_applied_everywhere() -> None:
    story = Story()
    story.marks("applied 2")
    story.binds(A, X)
    assert broken(story) == {"I14"}


def test_i21_timers_that_are_out_of_order_and_a_lease_without_an_end() -> None:
    for wrong in ({"t1": 55}, {"t2": 61}, {"lifetime": 0xFFFFFFFF}):
        story = Story()
        story.binds(A, X, **wrong)
        assert "I21" in broken(story)
