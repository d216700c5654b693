"""A document is compiled before it comes into force, and used only if that is what came into force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from everlease.runtime.ahead import Ahead
from everlease.store.configuration import Conflict, Documents
from everlease.store.records import Current
from runtime.house import DOCUMENT, EPOCH, House, Weather, settle

CHANGED = DOCUMENT.replace("1h", "2h")
OTHER = DOCUMENT.replace("1h", "3h")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    alone = await House("one", Weather()).join()
    alone.tasks.append(asyncio.create_task(alone.rooms.configuration.run()))
    yield alone
    await alone.leave()
    await alone.rooms.configuration.close()


async def coming(house: House, document: str) -> Current:
    found = await Documents(house.weather, house.rooms.keys).lay_down(document, 1)
    ahead = house.rooms.configuration.ahead
    await until(lambda: ahead.done == found.digest)
    return found


async def publish(house: House, document: str) -> None:
    await Documents(house.weather, house.rooms.keys).publish(document, 1, "test", "", EPOCH)
    configuration = house.rooms.configuration
    await settle()
    await until(lambda: configuration.mod_revision == configuration.seen)


async def until(done) -> None:
    for _ in range(400):
        if done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within 20 s")


def lifetime(house: House) -> int | None:
    config = house.rooms.configuration.current
    assert config is not None
    return config.parameters.valid_lifetime


async def test_what_was_compiled_ahead_is_in_force_without_a_process(house: House, monkeypatch) -> None:
    await coming(house, CHANGED)
    assert (lifetime(house), house.rooms.membership.ahead) == (3600, house.rooms.configuration.ahead.done)

    async def nobody(*_arguments: object, **_more: object) -> None:
        raise AssertionError("it has been compiled already")

    monkeypatch.setattr(house.rooms.configuration._aside, "load", nobody)
    await publish(house, CHANGED)
    config = house.rooms.configuration.current
    assert config is not None
    assert (config.revision, config.mod_revision) == (2, house.rooms.configuration.seen)
    assert (lifetime(house), house.rooms.configuration.ahead.done, house.rooms.membership.ahead) == (7200, "", "")


async def test_another_document_than_was_announced_is_compiled_as_usual(house: House) -> None:
    await coming(house, CHANGED)
    await publish(house, OTHER)
    assert lifetime(house) == 10800


async def test_what_is_in_force_before_it_is_compiled_ahead_is_waited_for(house: House) -> None:
    await Documents(house.weather, house.rooms.keys).lay_down(CHANGED, 1)
    await publish(house, CHANGED)
    assert lifetime(house) == 7200


async def test_a_document_that_cannot_be_read_counts_as_looked_at(house: House) -> None:
    await coming(house, DOCUMENT.replace("valid-lifetime", "valid-lifetme"))
    await publish(house, CHANGED)
    assert lifetime(house) == 7200


async def test_a_new_announcement_takes_the_place_of_the_one_before(house: House) -> None:
    await Documents(house.weather, house.rooms.keys).lay_down(OTHER, 1)
    await coming(house, CHANGED)
    await publish(house, CHANGED)
    assert lifetime(house) == 7200


async def test_nothing_is_laid_down_over_a_revision_that_was_not_expected(house: House) -> None:
    with pytest.raises(Conflict):
        await Documents(house.weather, house.rooms.keys).lay_down(CHANGED, 7)


async def test_what_is_said_of_a_revision_may_change_without_its_being_compiled_again(house: House) -> None:
    configuration = house.rooms.configuration
    await publish(house, CHANGED)
    before = configuration.current
    await configuration.documents.recover(EPOCH + 100)
    await until(lambda: configuration.recover_until == EPOCH + 100)
    assert before is not None and configuration.current is not None
    assert configuration.current.subnets is before.subnets
    assert configuration.mod_revision == configuration.seen


async def test_a_room_that_closes_ends_what_it_prepares() -> None:
    documents = Documents(Weather(), House("one", Weather()).rooms.keys)
    ahead = Ahead(documents)
    ahead.announce(Current(1, 1, digest="x"))
    await ahead.close()
    assert ahead.done == ""
