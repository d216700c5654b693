"""Who answers: presence by our own clock, the freeze, takeovers; two nodes joined by hand on one store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from everlease.core.answering import NOBODY
from everlease.core.situation import ALL_BUCKETS
from runtime.house import House, Weather


@pytest.fixture
async def pair() -> AsyncIterator[tuple[House, House]]:
    weather = Weather()
    one, two = House("one", weather, host=2), House("two", weather, host=3)
    await one.join()
    await two.join()
    await beat(one, two)
    yield one, two
    await one.leave()
    await two.leave()


async def beat(*houses: House, seconds: float = 0.5) -> None:
    for house in houses:
        await house.beat(seconds)
    for house in houses:
        house.rooms.membership.judge(house.time.boot())


async def test_nodes_that_commit_are_eligible_and_share_the_buckets(pair: tuple[House, House]) -> None:
    one, two = pair
    assert one.rooms.lifeline.state == two.rooms.lifeline.state == "serving"
    mine, theirs = (house.rooms.membership.peers("office", 0) for house in pair)
    assert mine.names == theirs.names == {"one", "two"}
    assert mine.owned & theirs.owned == 0
    assert (mine.owned | theirs.owned).bit_count() == 256
    assert mine.order == theirs.order


async def test_a_node_is_not_eligible_three_periods_after_its_presence_last_changed(pair: tuple[House, House]) -> None:
    one, two = pair
    for _ in range(3):
        await beat(one)
    assert "two" in one.rooms.membership.eligible
    await beat(one)
    assert one.rooms.membership.eligible == {"one"}
    assert one.rooms.membership.peers("office", 0).names == {"one"}
    await beat(two)
    await beat(one)
    assert "two" in one.rooms.membership.eligible


async def test_the_clock_of_another_node_does_not_matter_for_its_age(pair: tuple[House, House]) -> None:
    one, two = pair
    two.time.wall_offset -= 7200
    await beat(two)
    await beat(one)
    assert "two" in one.rooms.membership.eligible


async def test_while_the_own_echo_is_late_nobody_grows_old(pair: tuple[House, House]) -> None:
    one, _ = pair
    one.weather.decide = lambda _request, _member: "lose"
    for _ in range(20):
        one.time.boot_now += 0.5
        one.rooms.membership.judge(one.time.boot())
    assert one.rooms.membership.frozen
    assert one.rooms.membership.eligible == {"one", "two"}
    one.weather.decide = lambda _request, _member: ""
    one.pulse._sending = False  # what was on its way is given up
    await beat(one)
    assert not one.rooms.membership.frozen
    assert "two" in one.rooms.membership.eligible
    for _ in range(4):
        await beat(one)
    assert "two" not in one.rooms.membership.eligible


async def test_who_was_eligible_when_the_echo_was_lost_has_time_to_show_itself_when_it_is_back(
    pair: tuple[House, House],
) -> None:
    one, _ = pair
    membership, lifeline = one.rooms.membership, one.rooms.lifeline
    for _ in range(40):  # the last second before the freeze counts for nobody, either
        one.time.boot_now += 0.5
        membership.judge(one.time.boot())
    assert membership.frozen
    lifeline.echoed(one.time.boot(), one.time.boot())
    membership.judge(one.time.boot())
    one.time.boot_now += 0.4
    membership.judge(one.time.boot())
    assert membership.eligible == {"one", "two"}
    one.time.boot_now += 0.2
    assert one.time.boot() > membership.due
    membership.judge(one.time.boot())  # all retried at once: who has said nothing is gone
    assert membership.eligible == {"one"}


async def test_who_is_skipped_for_longer_than_may_be_is_not(pair: tuple[House, House]) -> None:
    one, two = pair
    two.rooms.clock.later += 86_400.0  # as one that lies, or has lost its clock
    for _ in range(3):
        two.rooms.membership.take_over("office", 0, "one")
    await beat(two, one)
    assert {names[0] for names in one.rooms.membership.peers("office", 0).order} == {"one", "two"}


async def test_a_node_without_a_link_is_silent_and_says_so_until_it_has_one(pair: tuple[House, House]) -> None:
    one, two = pair
    two.rooms.membership.serve({}, {"office": "office"})
    assert (two.rooms.lifeline.state, two.rooms.lifeline.ready()) == ("degraded", False)
    await beat(two)
    assert one.rooms.membership.eligible == {"one"}
    two.rooms.membership.serve({"office": [two.wire.address]}, {"office": "office"})
    assert two.rooms.lifeline.state == "serving"


async def test_a_draining_node_is_no_candidate_as_soon_as_it_says_so(pair: tuple[House, House]) -> None:
    one, two = pair
    two.rooms.lifeline.draining = "asked to stop"
    two.rooms.lifeline.evaluate(two.time.boot())
    await two.beat(0.0)
    assert one.rooms.membership.eligible == {"one"}


async def test_a_node_of_another_link_is_no_candidate(pair: tuple[House, House]) -> None:
    one, two = pair
    two.rooms.membership.serve({"lab": [two.wire.address]}, {"lab": "lab"})
    await beat(two)
    assert one.rooms.membership.peers("office", 0).names == {"one"}
    assert one.rooms.membership.peers("lab", 0).names == {"one", "two"}


async def test_a_node_that_heard_a_relay_is_a_candidate_for_its_packets(pair: tuple[House, House]) -> None:
    one, two = pair
    relay = 0x0A4E0001
    assert one.rooms.membership.peers("", relay).names == {"one"}
    two.rooms.membership.hear_relay(relay, two.time.boot())
    await beat(two)
    assert one.rooms.membership.peers("", relay).names == {"one", "two"}


async def test_until_it_is_known_who_hears_a_relay_all_divide_its_addresses(pair: tuple[House, House]) -> None:
    one, two = pair
    relay = 0x0A4E0001
    one.rooms.membership.hear_relay(relay, one.time.boot())
    two.rooms.membership.hear_relay(relay, two.time.boot())
    guesses = [house.rooms.membership.peers("", relay) for house in pair]
    assert [guess.names for guess in guesses] == [{"one"}, {"two"}]
    assert guesses[0].owned & guesses[1].owned == 0
    assert not any(guess.settled for guess in guesses)
    for _ in range(5):
        await beat(one, two)
    known = one.rooms.membership.peers("", relay)
    assert known.settled
    assert (known.names, known.owned) == ({"one", "two"}, guesses[0].owned)


async def test_a_node_that_tells_late_what_it_hears_is_waited_for(pair: tuple[House, House]) -> None:
    """Under load a presence may take seconds, and two nodes must not offer the same addresses meanwhile."""
    one, two = pair
    relay = 0x0A4E0001
    for house in pair:
        house.rooms.membership.hear_relay(relay, house.time.boot())
    owned = one.rooms.membership.peers("", relay).owned
    for _ in range(8):
        await beat(one)
    assert not one.rooms.membership.peers("", relay).settled
    assert one.rooms.membership.peers("", relay).owned == owned
    for _ in range(2):
        await beat(two, one)
    assert one.rooms.membership.peers("", relay).settled
    assert one.rooms.membership.peers("", relay).owned == owned


async def test_a_node_that_hears_a_relay_alone_offers_all_of_its_addresses(pair: tuple[House, House]) -> None:
    one, two = pair
    one.rooms.membership.hear_relay(7, one.time.boot())
    for _ in range(5):
        await beat(one, two)
    assert one.rooms.membership.peers("", 7).owned == ALL_BUCKETS


async def test_a_silent_nodes_addresses_stay_its_own_for_as_long_as_its_offers_last(pair: tuple[House, House]) -> None:
    one, _ = pair
    both = one.rooms.membership.peers("office", 0).owned
    assert both != ALL_BUCKETS
    for _ in range(4):
        await beat(one)
    alone = one.rooms.membership.peers("office", 0)
    assert (alone.names, alone.owned) == ({"one"}, both)
    for _ in range(60):
        await beat(one)
    assert one.rooms.membership.peers("office", 0).owned == ALL_BUCKETS


async def test_relays_are_forgotten_after_ten_minutes_and_bounded(pair: tuple[House, House]) -> None:
    membership = pair[0].rooms.membership
    for relay in range(1, 2000):
        membership.hear_relay(relay, pair[0].time.boot())
    assert len(membership.presence(0, 0, "").relays) == 256
    pair[0].time.boot_now += 601
    membership._relays.forget(pair[0].time.boot(), 0.5, 0.0)
    assert membership.presence(0, 0, "").relays == []


async def test_the_server_identifier_of_a_dead_member_is_remembered(pair: tuple[House, House]) -> None:
    one, two = pair
    one.rooms.membership.observe("two", None, one.time.boot())
    assert one.rooms.membership.peers("office", 0).identifiers[two.wire.address] == "two"


async def test_a_server_identifier_that_members_share_names_none_of_them(pair: tuple[House, House]) -> None:
    one, two = pair
    shared = 0x0A4D00FE
    for house in pair:
        house.rooms.membership.serve({"office": [house.wire.address, shared]}, {"office": "office"})
    await beat(two)
    await beat(one)
    identifiers = one.rooms.membership.peers("office", 0).identifiers
    assert identifiers[shared] == NOBODY
    assert (identifiers[one.wire.address], identifiers[two.wire.address]) == ("one", "two")


async def test_three_takeovers_within_ten_seconds_skip_a_node_on_that_link(pair: tuple[House, House]) -> None:
    one, two = pair
    for _ in range(3):
        assert "two" in {names[0] for names in one.rooms.membership.peers("office", 0).order}
        one.rooms.membership.take_over("office", 0, "two")
    await beat(one, two)
    for house in pair:  # published: also by the node that is skipped
        order = house.rooms.membership.peers("office", 0).order
        assert {names[0] for names in order} == {"one"}
        assert {names[1] for names in order} == {"two"}
    assert {names[0] for names in one.rooms.membership.peers("lab", 0).order} == {"one"}


async def test_a_skip_ends_after_a_minute_and_doubles_when_it_comes_back(pair: tuple[House, House]) -> None:
    one, two = pair
    membership = one.rooms.membership

    def skipped() -> bool:
        return ("two", "office") in membership._candidates.skipped

    for _ in range(3):
        membership.take_over("office", 0, "two")
    await beat(one, two)
    assert skipped()
    one.time.boot_now += 60
    two.time.boot_now += 60
    await beat(one, two)
    await beat(one, two)
    assert not skipped()
    for _ in range(3):
        membership.take_over("office", 0, "two")
    one.time.boot_now += 61
    two.time.boot_now += 61
    await beat(one, two)
    await beat(one, two)
    assert skipped()


async def test_takeovers_that_are_far_apart_skip_nobody(pair: tuple[House, House]) -> None:
    one, two = pair
    for _ in range(5):
        one.rooms.membership.take_over("office", 0, "two")
        await beat(one, two, seconds=6.0)
    assert not one.rooms.membership._candidates.skipped


async def test_a_second_process_with_the_same_name_stops_the_first(pair: tuple[House, House]) -> None:
    one, _ = pair
    usurper = House("one", one.weather)
    usurper.rooms.membership.boot_id = "another"
    await usurper.join()
    await usurper.beat()
    await one.beat()
    await one.beat()
    assert one.pulse.taken.is_set() or usurper.pulse.taken.is_set()
    await usurper.leave()
