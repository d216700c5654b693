"""Where the time went: the phases of every exchange add up to the whole of it, however it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from everlease.core.actions import DROP, OPERATIONS, RESULTS
from everlease.runtime.counters import Counters
from everlease.store.api import BadRequest, StoreError
from everlease.wire import v4
from runtime.house import House, Time, Weather, settle
from runtime.test_responder import MAC, hear, message, selecting

MOMENT = 0.0001


class Running(Time):
    """A clock of which no two readings are the same."""

    def boot(self) -> float:
        self.boot_now += MOMENT
        return self.boot_now


@pytest.fixture
async def house() -> AsyncIterator[House]:
    alone = await House("one", Weather(), Running()).join()
    yield alone
    await alone.leave()


def whole(counters: Counters) -> float:
    return sum(each.total for each in counters.durations.values())


def parts(counters: Counters) -> dict[str, float]:
    return {name: each.total for name, each in counters.phases.items()}


def counts(counters: Counters) -> dict[str, int]:
    return {name: each.count for name, each in counters.phases.items()}


def add_up(counters: Counters) -> None:
    assert sum(parts(counters).values()) == pytest.approx(whole(counters), rel=1e-9)


async def test_the_phases_of_an_offer_and_its_ack_add_up_to_the_whole(house: House) -> None:
    counters = house.rooms.counters
    (offer,) = await hear(house, message(v4.DISCOVER), age=0.2)
    add_up(counters)
    assert counts(counters) == {"socket": 1, "decide": 1, "queue": 0, "commit": 0, "send": 1}
    assert parts(counters)["socket"] >= 0.2
    await hear(house, selecting(offer), age=0.1)
    add_up(counters)
    assert counts(counters) == {"socket": 2, "decide": 2, "queue": 1, "commit": 1, "send": 2}
    assert all(seconds > 0 for seconds in parts(counters).values())
    assert counters.durations["request", "ack"].count == counters.durations["discover", "offer"].count == 1


async def test_the_time_of_a_commit_is_the_commits_and_that_before_it_the_queues(house: House) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    before = parts(house.rooms.counters)

    def slowly(_request: bytes, _member: str) -> str:
        house.time.boot_now += 0.2
        return ""

    house.weather.decide = slowly
    await hear(house, selecting(offer))
    after = parts(house.rooms.counters)
    assert after["commit"] - before["commit"] == pytest.approx(0.2, abs=0.01)
    assert after["queue"] - before["queue"] < 0.01
    add_up(house.rooms.counters)


@pytest.mark.parametrize("outcome", ["lose", BadRequest("no")], ids=["lost", "refused"])
async def test_what_got_no_reply_has_a_time_as_well_and_no_sending(house: House, outcome: str | StoreError) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    sent = house.rooms.counters.phases["send"].count

    def fails(_request: bytes, _member: str) -> str | StoreError:
        house.time.boot_now += 6.0
        return outcome

    house.weather.decide = fails
    await hear(house, selecting(offer))
    for _ in range(20):
        await settle()
    counters = house.rooms.counters
    assert counters.durations["request", DROP].count == 1
    assert counters.durations["request", DROP].total > 6.0
    assert counters.phases["send"].count == sent
    add_up(counters)


async def test_a_change_that_is_decided_again_keeps_its_time(house: House) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    house.rooms.committer.config = (
        1  # what it was decided with is not in force: it is fenced at once, and decided again
    )
    await hear(house, selecting(offer))
    house.rooms.configuration.switched()
    await settle()
    assert house.rooms.counters.durations["request", "ack"].count + house.rooms.counters.dropped["conflict"] == 1
    add_up(house.rooms.counters)


async def test_everything_that_came_in_was_sent_or_dropped_and_every_decision_has_a_duration(house: House) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    await hear(house, selecting(offer), selecting(offer), b"\x01\x01\x06", b"")
    await hear(house, message(v4.DISCOVER), age=3.0)
    await hear(house, *(message(v4.DISCOVER) for _ in range(15)))  # more than a client may ask in a second
    counters = house.rooms.counters
    received, sent, dropped = (sum(each.values()) for each in (counters.received, counters.sent, counters.dropped))
    assert received == 6 + 15
    assert received == sent + dropped
    assert counters.dropped["rate_limit"] > 0 and counters.dropped["stale"] == 1 and counters.dropped["malformed"] == 2
    unread = sum(counters.dropped[reason] for reason in ("rate_limit", "stale", "malformed"))
    assert counters.received["other"] == unread
    for operation in OPERATIONS:
        if operation != "other":
            ended = sum(counters.durations[operation, result].count for result in RESULTS)
            assert ended == counters.received[operation]


async def test_a_reply_that_the_kernel_refuses_is_no_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.wire, "send_frame", lambda *_: False)
    await hear(house, message(v4.DISCOVER, MAC))
    counters = house.rooms.counters
    assert (counters.durations["discover", DROP].count, counters.durations["discover", "offer"].count) == (1, 0)
    assert counters.phases["send"].count == 0
    add_up(counters)
