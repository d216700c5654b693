"""Group commit: every change is settled once, by what the store says, and never by a guess."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from everlease.core.actions import OFFER
from everlease.runtime.carrier import Carrier
from everlease.runtime.committer import (
    COMMITTED,
    FENCED,
    LATE,
    LOST,
    OFFERED,
    OFFERS_PER_SECOND,
    REFUSED,
    ROOM,
    URGENT,
    Committer,
    Ticket,
)
from everlease.runtime.counters import Counters
from everlease.store import txn
from everlease.store.api import BadRequest, NoSpace
from everlease.store.keys import Keys
from everlease.store.view import View
from runtime.house import Time, Weather, config_of, grant, settle

ALICE, BOB = b"\x02\x01" + b"\x02\0\0\0\0\x01", b"\x02\x01" + b"\x02\0\0\0\0\x02"
TEN, ELEVEN = 0x0A4D100A, 0x0A4D100B
KEYS = Keys()


class Bench:
    """A committer on a store, and what became of each change, in order."""

    def __init__(self, weather: Weather | None = None) -> None:
        self.weather = weather or Weather()
        self.time = Time()
        self.view = View(KEYS, 0.0)
        self.counters = Counters()
        carrier = Carrier(self.weather, self.counters, self.time.boot)
        self.committer = Committer("n1", KEYS, carrier, self.view, self.counters, self.time.boot)
        self.outcomes: list[tuple[int, int]] = []
        self.config = config_of()

    def submit(self, address: int, client: bytes, expected: int = 0) -> bool:
        change = grant(address, client, expected)
        now = self.time.boot()
        ticket = self.committer.submit(change, self.config, now, lambda outcome: self.note(address, outcome))
        return ticket is not None

    def note(self, address: int, outcome: int) -> None:
        self.outcomes.append((address, outcome))


async def test_a_committed_change_is_written_through_to_the_view() -> None:
    bench = Bench()
    bench.submit(TEN, ALICE)
    await settle()
    assert bench.outcomes == [(TEN, COMMITTED)]
    row = bench.view.row("default", TEN)
    assert row is not None
    assert row.client == ALICE
    assert bench.view.address_of("default", 1, ALICE) == TEN


async def test_changes_of_one_wake_up_go_in_one_batch() -> None:
    bench = Bench()
    for number in range(20):
        bench.submit(TEN + number, ALICE[:-1] + bytes([number]))
    await settle()
    assert len(bench.outcomes) == 20
    assert bench.weather.asked == ["a"]


async def test_the_later_of_two_changes_on_one_address_waits_and_is_refused() -> None:
    bench = Bench()
    bench.submit(TEN, ALICE)
    bench.submit(TEN, BOB)
    await settle()
    assert bench.outcomes == [(TEN, COMMITTED), (TEN, REFUSED)]
    assert len(bench.weather.asked) == 2
    row = bench.view.row("default", TEN)
    assert row is not None
    assert row.client == ALICE
    assert bench.counters.conflicts == 1


async def test_a_refused_change_leaves_the_view_as_the_store_is() -> None:
    bench, other = Bench(), Bench()
    other.weather.store = bench.weather.store
    other.submit(TEN, BOB)
    await settle()
    assert bench.view.row("default", TEN) is None
    bench.submit(TEN, ALICE)
    await settle()
    assert bench.outcomes == [(TEN, REFUSED)]
    row = bench.view.row("default", TEN)
    assert row is not None
    assert row.client == BOB


async def test_an_unknown_outcome_that_had_been_applied_is_known_by_its_own_nonce() -> None:
    answers = iter(["unknown"])
    bench = Bench(Weather(decide=lambda _request, _member: next(answers, "")))
    bench.submit(TEN, ALICE)
    await asyncio.sleep(0.06)
    assert bench.outcomes == [(TEN, COMMITTED)]
    assert len(bench.weather.asked) == 2
    row = bench.view.row("default", TEN)
    assert row is not None
    assert row.revision == bench.weather.store.revision  # the first try's, not a second write


async def test_an_unknown_outcome_that_was_lost_is_tried_again_and_committed_once() -> None:
    answers = iter(["lose", "lose"])
    bench = Bench(Weather(decide=lambda _request, _member: next(answers, "")))
    bench.submit(TEN, ALICE)
    await asyncio.sleep(0.15)
    assert bench.outcomes == [(TEN, COMMITTED)]


async def test_a_change_is_given_up_five_seconds_after_its_start_and_its_keys_are_freed() -> None:
    bench = Bench()
    bench.weather.decide = lambda _request, _member: "lose"
    bench.submit(TEN, ALICE)
    await settle()
    bench.time.boot_now += 5.1
    await asyncio.sleep(0.06)
    assert bench.outcomes == [(TEN, LOST)]
    bench.weather.decide = lambda _request, _member: ""
    bench.submit(TEN, BOB)
    await settle()
    assert bench.outcomes[1:] == [(TEN, COMMITTED)]


async def test_what_comes_while_a_batch_is_on_its_way_waits_and_goes_together() -> None:
    bench = Bench()
    bench.submit(TEN, ALICE)
    await asyncio.sleep(0)
    for number in range(1, 20):
        bench.submit(TEN + number, ALICE[:-1] + bytes([number + 1]))
        await asyncio.sleep(0)
    await settle()
    assert len(bench.outcomes) == 20
    assert len(bench.weather.asked) < 6


async def test_what_waits_behind_a_batch_that_is_late_does_not_wait_for_its_answer() -> None:
    stuck = iter(["hang"])
    bench = Bench(Weather(decide=lambda _request, _member: next(stuck, "")))
    bench.submit(TEN, ALICE)
    await settle()
    bench.submit(ELEVEN, BOB)
    await settle()
    assert bench.outcomes == []
    bench.time.boot_now += LATE
    await asyncio.sleep(3 * LATE)
    assert bench.outcomes == [(ELEVEN, COMMITTED)]
    await bench.committer.close()


async def test_a_batch_without_an_answer_goes_to_another_member_as_well() -> None:
    bench = Bench(Weather(decide=lambda _request, member: "hang" if member == "a" else ""))
    bench.submit(TEN, ALICE)
    await asyncio.sleep(0.35)
    assert bench.outcomes == [(TEN, COMMITTED)]
    assert bench.weather.asked == ["a", "b"]
    assert bench.counters.hedges["a"] == sum(bench.counters.hedges.values()) == 1


async def test_hedges_stop_when_their_share_is_used_up() -> None:
    bench = Bench(Weather(decide=lambda _request, member: "hang" if member == "a" else ""))
    carrier = Carrier(bench.weather, bench.counters, bench.time.boot)
    carrier.hedges = 0.0
    bench.committer._carrier = carrier
    bench.submit(TEN, ALICE)
    await asyncio.sleep(0.35)
    assert bench.weather.asked == ["a"]
    await bench.committer.close()


async def test_a_change_decided_on_an_old_configuration_is_fenced_and_waits_for_the_new_one() -> None:
    bench = Bench()
    await bench.weather.store.batch(txn.single(txn.put(KEYS.config_current, b"{}", 0)), 1.0)
    bench.committer.refenced = lambda found: bench.committer.switch(0, found[0].revision)
    bench.submit(TEN, ALICE)
    await settle()
    assert bench.outcomes == []  # the new configuration is being compiled
    assert bench.view.row("default", TEN) is None
    seen = bench.committer.seen
    bench.committer.switch(seen, seen)
    await settle()
    assert bench.outcomes == [(TEN, FENCED)]


async def test_a_bad_change_loses_itself_and_not_its_batch() -> None:
    bad = grant(TEN, ALICE).client.hex().encode()
    error = BadRequest("INVALID_ARGUMENT")
    bench = Bench(Weather(decide=lambda request, _member: error if bad in request else ""))
    bench.submit(TEN, ALICE)
    bench.submit(ELEVEN, BOB)
    await settle(60)
    assert sorted(bench.outcomes) == [(TEN, LOST), (ELEVEN, COMMITTED)]


async def test_no_space_is_an_outage_of_the_store_and_splits_nothing() -> None:
    error = NoSpace("mvcc: database space exceeded")
    bench = Bench(Weather(decide=lambda _request, _member: error))
    bench.submit(TEN, ALICE)
    bench.submit(ELEVEN, BOB)
    await settle()
    assert bench.outcomes == [(TEN, LOST), (ELEVEN, LOST)]
    assert len(bench.weather.asked) == 1


async def test_presence_leaves_before_leases() -> None:
    bench = Bench()
    order: list[str] = []

    def enter(word: str, rank: int, keys: Sequence[bytes]) -> None:
        leaf = txn.Leaf(dict.fromkeys(keys, 0), [(keys[0], word.encode())])
        bench.committer.enter(Ticket(leaf, rank, 0, bench.time.boot(), lambda _outcome: order.append(word)))

    enter("offer", OFFERED, [b"/1"])
    enter("presence", URGENT, [b"/2"])
    await settle()
    assert order == ["presence", "offer"]


async def test_strangers_cannot_make_a_node_commit_more_offers_than_its_rate() -> None:
    bench = Bench()
    taken = 0
    for number in range(2000):
        change = grant(number << 8, number.to_bytes(8, "big"))
        change.kind = OFFER
        ticket = bench.committer.submit(change, bench.config, bench.time.boot(), lambda _outcome: None)
        taken += ticket is not None
        if number % 100 == 99:
            await settle()
    assert taken == OFFERS_PER_SECOND
    bench.time.boot_now += 0.1
    assert bench.committer.submit(change, bench.config, bench.time.boot(), lambda _outcome: None)
    await settle()


async def test_the_queue_is_bounded_and_offers_are_the_first_to_find_no_room() -> None:
    bench = Bench()
    bench.weather.decide = lambda _request, _member: "hang"
    taken = sum(bench.submit(number << 8, number.to_bytes(8, "big")) for number in range(1, ROOM[2] + 10))
    assert taken == ROOM[2]
    assert bench.committer.length == ROOM[2]
    await bench.committer.close()
