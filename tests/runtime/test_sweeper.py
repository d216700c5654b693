"""The sweeper deletes what ended long ago, by compare, and nothing else."""

from __future__ import annotations

from everlease.core.lifecycle import BOUND, DECLINED, OFFERED, Row
from everlease.runtime.sweeper import KEEP, Sweeper, keep_until
from runtime.house import DOCUMENT, House, Weather, config_of, settle
from runtime.test_responder import bind

WEEK = 7 * 86_400


def row(state: int) -> Row:
    return Row(b"client", 1000, 5, state, 1, 600, 0)


def test_bindings_are_kept_for_affinity_and_the_rest_for_an_hour() -> None:
    config = config_of()
    assert keep_until(row(BOUND), config) == 1000 + WEEK
    assert keep_until(row(OFFERED), config) == keep_until(row(DECLINED), config) == 1000 + KEEP
    assert keep_until(row(BOUND), config_of(DOCUMENT + "affinity: 1m\n")) == 1000 + KEEP


async def test_an_ended_record_is_deleted_with_its_index_and_a_living_one_is_not() -> None:
    house = await House("one", Weather()).join()
    ack = await bind(house)
    client = house.rooms.view.row("default", ack.yiaddr)
    assert client is not None
    await Sweeper(house.rooms).sweep()
    await settle()
    assert house.rooms.view.row("default", ack.yiaddr) is not None
    house.time.boot_now += 7200 + WEEK
    await house.beat()
    await Sweeper(house.rooms).sweep()
    await settle()
    assert house.rooms.view.row("default", ack.yiaddr) is None
    assert house.rooms.counters.swept == 1
    keys = house.rooms.keys
    for key in (keys.lease("default", ack.yiaddr), keys.client("default", 1, client.client)):
        assert (await house.weather.get_range(key, key + b"\0")).records == []
    await house.leave()
