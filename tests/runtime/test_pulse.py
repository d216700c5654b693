"""Presence: through the committer, under one name, by one process."""

from __future__ import annotations

import asyncio

import pytest

from everlease.errors import ConfigError
from everlease.store.api import KeyValue, NoSpace
from everlease.store.records import encode
from everlease.store.txn import Leaf, single
from runtime.house import House, Time, Weather, settle


async def test_a_name_that_another_process_moves_under_is_refused() -> None:
    weather = Weather()
    first = await House("one", weather).join()
    second = House("one", weather)
    second.rooms.membership.boot_id = "second"
    second.tasks.append(asyncio.create_task(second.loader.run()))
    await second.loader.loaded.wait()
    claiming = asyncio.create_task(second.pulse.claim())
    await settle()
    await first.beat()
    with pytest.raises(ConfigError, match="another running node has this name"):
        await claiming
    await first.leave()
    await second.leave()


async def test_the_name_of_a_process_that_died_is_taken_after_three_periods() -> None:
    weather = Weather()
    dead = await House("one", weather).join()
    await dead.leave()
    heir = House("one", weather)
    heir.rooms.membership.boot_id = "heir"
    heir.tasks.append(asyncio.create_task(heir.loader.run()))
    await heir.loader.loaded.wait()
    claiming = asyncio.create_task(heir.pulse.claim())
    await asyncio.sleep(0.1)
    assert not claiming.done()
    heir.time.boot_now += 1.6
    await claiming
    heir.rooms.configuration.notice(heir.rooms.view.current, heir.rooms.view.config_revision)
    await heir.beat()
    assert heir.rooms.view.nodes["one"].presence.boot == "heir"
    assert not heir.pulse.taken.is_set()
    await heir.leave()


async def test_a_presence_that_was_deleted_is_made_anew() -> None:
    house = await House("one", Weather()).join()
    await house.weather.store.batch(_delete(house), 1.0)
    for _ in range(3):
        await house.beat()
    assert house.rooms.view.nodes["one"].presence.boot == "boot-of-one"
    assert not house.pulse.taken.is_set()
    await house.leave()


async def test_what_the_store_says_of_the_own_presence_counts_and_not_what_was_counted() -> None:
    house = await House("one", Weather()).join()
    mine = house.rooms.view.nodes["one"]
    value = encode(mine.presence)
    for version in (99, 3):  # of one and the same record: the first was counted from a version that a rollback undid
        house.pulse.refenced([KeyValue(house.rooms.keys.node("one"), value, mine.revision + 1, version)])
        assert house.pulse.fences(0).version == version
    await house.leave()


async def test_a_store_without_a_leader_is_asked_for_and_told() -> None:
    house = await House("one", Weather()).join()
    house.weather.decide = lambda _request, _member: "lose"
    house.weather.leaderless = True
    for _ in range(70):
        house.time.boot_now += 0.05
        house.pulse.tick(house.time.boot())
        await settle(3)
    assert house.rooms.lifeline.state == "extending"
    await house.leave()


async def test_a_store_without_space_is_noticed_and_known_clients_are_extended() -> None:
    house = await House("one", Weather()).join()
    house.weather.decide = lambda _request, _member: NoSpace("database space exceeded")
    house.weather.alarms = frozenset({"NOSPACE"})
    for _ in range(70):
        house.time.boot_now += 0.05
        house.pulse.tick(house.time.boot())
        await settle(3)
    assert house.rooms.lifeline.state == "extending"
    assert "no space" in house.rooms.lifeline.reason
    await house.leave()


async def test_a_node_that_starts_with_a_wrong_clock_never_serves() -> None:
    weather = Weather()
    right, also = await House("one", weather).join(), await House("two", weather, host=3).join()
    wrong = House("three", weather, Time(), host=4)
    wrong.time.wall_offset += 7200
    await wrong.join()
    for _ in range(4):
        for house in (right, also, wrong):
            await house.beat()
    assert [state for state, _ in wrong.states] == ["degraded"]
    assert "differs from the cluster's by 7199.5 s" in wrong.rooms.lifeline.reason
    assert right.rooms.lifeline.state == also.rooms.lifeline.state == "serving"
    assert "three" not in right.rooms.membership.eligible
    wrong.time.wall_offset -= 7200
    await wrong.beat()
    assert wrong.rooms.lifeline.state == "serving"
    for house in (right, also, wrong):
        await house.leave()


async def test_a_wrong_clock_does_not_serve_after_it_was_held_against_one_of_two_others() -> None:
    weather = Weather()
    right, also = await House("one", weather).join(), await House("two", weather, host=3).join()
    await right.beat()
    await also.beat()
    wrong = House("three", weather, Time(), host=4)
    wrong.time.wall_offset += 7200
    await wrong.join()
    await right.beat()
    await wrong.beat()
    assert wrong.states == []  # of two clocks, nobody knows which is right
    assert "waiting for the other nodes' clocks" in wrong.rooms.lifeline.reason
    await also.beat()
    await wrong.beat()
    assert [state for state, _ in wrong.states] == ["degraded"]
    for house in (right, also, wrong):
        await house.leave()


async def test_a_node_that_has_gone_is_not_waited_for_longer_than_it_is_fresh() -> None:
    weather = Weather()
    one, gone = await House("one", weather).join(), await House("two", weather, host=3).join()
    await gone.leave()
    three = await House("three", weather, one.time, host=4).join()
    for _ in range(4):
        await one.beat()
        await three.beat(0)
    assert three.rooms.lifeline.state == "serving"
    for house in (one, three):
        await house.leave()


async def test_presences_that_lay_in_a_watch_that_stood_still_tell_nothing_of_clocks() -> None:
    weather = Weather()
    one, two = await House("one", weather).join(), await House("two", weather, host=3).join()
    await one.beat()
    await two.beat()
    one.time.boot_now += 30  # what two sends now, one reads half a minute later
    await two.beat()
    one.pulse.compare_clocks(one.time.boot())
    await one.beat()
    assert one.rooms.clock.now() == one.rooms.clock.reuse_now() == pytest.approx(one.time.wall())
    for house in (one, two):
        await house.leave()


def _delete(house: House) -> bytes:
    return single(Leaf({}, [], [house.rooms.keys.node("one")]))
