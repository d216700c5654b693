"""A node that an operator has drained serves nobody until it is resumed, also after a restart; the others do."""

from __future__ import annotations

import asyncio

import pytest

from everlease.runtime import settle as leaving
from everlease.runtime.settle import ANNOUNCED
from everlease.store.drains import Drains
from everlease.wire import v4
from runtime.house import House, Weather, settle
from runtime.test_responder import bind, hear, message


def drains_of(house: House) -> Drains:
    return Drains(house.weather, house.rooms.keys)


async def closed(house: House) -> None:
    """Until it lets nobody in."""
    for _ in range(500):
        if house.gate.closed:
            return
        await asyncio.sleep(0.02)


async def test_a_drained_node_hands_its_clients_over_and_resumes() -> None:
    weather = Weather()
    one, two = await House("one", weather).join(), await House("two", weather, host=3).join()
    for house in (one, two, one):
        await house.beat()
    ack = await bind(one, b"\x02\0\0\0\0\x01")
    await drains_of(two).drain("one", "anna", 0.0)
    await settle()
    assert (one.rooms.lifeline.state, one.rooms.lifeline.ready()) == ("draining", False)
    assert "everlease cluster resume one" in one.rooms.lifeline.reason
    await one.beat(0.0)
    assert two.rooms.membership.eligible == {"two"}
    renewal = message(v4.REQUEST, b"\x02\0\0\0\0\x01", ciaddr=ack.yiaddr)
    assert len(await hear(one, renewal, to=one.wire.address)) == 1  # the others may not know yet
    await closed(one)
    one.time.boot_now += 5.0
    await one.beat()
    assert await hear(one, renewal, to=one.wire.address) == []
    await drains_of(two).resume("one")
    await settle()
    await one.beat()
    assert one.rooms.lifeline.state == "serving"
    assert len(await hear(one, renewal, to=one.wire.address)) == 1
    for house in (one, two):
        await house.leave()


async def test_a_drained_node_that_is_started_again_is_still_drained() -> None:
    weather = Weather()
    await (await House("two", weather, host=3).join()).leave()
    await Drains(weather, House("one", weather).rooms.keys).drain("one", "anna", 0.0)
    one = await House("one", weather).join()
    await one.beat()
    assert one.rooms.lifeline.state == "draining"
    assert "serving" not in dict(one.states)
    assert await hear(one, message(v4.DISCOVER)) == []  # at once: nobody takes it for the owner
    await one.leave()


async def test_resuming_a_node_that_is_not_drained_changes_nothing() -> None:
    house = await House("one", Weather()).join()
    await drains_of(house).resume("one")
    await drains_of(house).drain("another", "anna", 0.0)
    await settle()
    await house.beat()
    assert house.rooms.lifeline.state == "serving"
    await house.leave()


async def test_a_drain_that_a_load_does_not_show_has_ended() -> None:
    house = await House("one", Weather()).join()
    await drains_of(house).drain("one", "anna", 0.0)
    await settle()
    house.tasks[0].cancel()  # its watch is lost, and what it would have brought
    await drains_of(house).resume("one")
    await house.loader.load()
    assert house.rooms.lifeline.state == "serving"
    await house.leave()


@pytest.mark.parametrize(("others", "answers"), [(0x0A4D00FE, 1), (0x0A4D00FD, 0)], ids=["shared", "its own"])
async def test_who_leaves_answers_on_at_an_identifier_that_others_have_too(
    monkeypatch: pytest.MonkeyPatch, others: int, answers: int
) -> None:
    monkeypatch.setattr(leaving, "ANNOUNCED", 0.0)
    monkeypatch.setattr(leaving, "TOLD_WITHIN", 0.0)
    weather, own = Weather(), 0x0A4D00FE
    one = await House("one", weather, identifier=own).join()
    two = await House("two", weather, host=3, identifier=others).join()
    for house in (one, two, one):
        await house.beat()
    ack = await bind(one, b"\x02\0\0\0\0\x01")
    going = asyncio.create_task(one.settlement.drain())
    await settle()
    renewal = message(v4.REQUEST, b"\x02\0\0\0\0\x01", ciaddr=ack.yiaddr)
    assert len(await hear(one, renewal, to=own)) == answers
    assert await hear(one, renewal, to=one.wire.address) == []
    going.cancel()
    for house in (one, two):
        await house.leave()


async def test_who_leaves_answers_until_the_others_can_know_it() -> None:
    weather = Weather()
    one, two = await House("one", weather).join(), await House("two", weather, host=3).join()
    for house in (one, two, one):
        await house.beat()
    going = asyncio.create_task(one.settlement.drain())
    await asyncio.sleep(2 * ANNOUNCED)
    assert not one.gate.closed  # what it has to say is still on its way
    assert two.rooms.membership.eligible == {"one", "two"}
    await one.beat(0.0)
    assert two.rooms.membership.eligible == {"two"}
    await closed(one)
    going.cancel()
    for house in (one, two):
        await house.leave()
