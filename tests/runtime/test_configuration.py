"""The configuration in force: noticed, compiled aside, swapped at one revision; a bad one leaves the old in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from everlease.config.problems import InvalidDocument
from everlease.runtime.configuration import Configuration
from everlease.runtime.counters import Counters
from everlease.store.configuration import Documents
from everlease.store.keys import Keys
from runtime.house import DOCUMENT, EPOCH, House, Weather, publish, settle
from runtime.test_responder import bind, hear, message, selecting

CHANGED = DOCUMENT.replace("1h", "2h")
BROKEN = DOCUMENT.replace("valid-lifetime", "valid-lifetme")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    alone = await House("one", Weather()).join()
    alone.tasks.append(asyncio.create_task(alone.rooms.configuration.run()))
    yield alone
    await alone.leave()
    await alone.rooms.configuration.close()


async def put_in_force(house: House, document: str) -> None:
    documents = Documents(house.weather, house.rooms.keys)
    current, _ = await documents.current()
    await documents.publish(document, current.revision if current else 0, "test", "", EPOCH)
    await settle()


async def compiled(house: House) -> None:
    """Wait for the process that compiles."""
    for _ in range(400):
        if house.rooms.configuration.seen == house.rooms.configuration.mod_revision or house.rooms.configuration.error:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not compiled within 20 s")


async def test_a_new_revision_is_in_force_without_a_restart(house: House) -> None:
    await put_in_force(house, CHANGED)
    await compiled(house)
    config = house.rooms.configuration.current
    assert config is not None
    assert (config.revision, config.parameters.valid_lifetime) == (2, 7200)
    await house.beat()
    ack = await bind(house)
    assert int.from_bytes(ack.options[51], "big") == 7200


async def test_a_request_met_by_a_new_revision_waits_for_it_and_is_answered_under_it(house: House) -> None:
    (offer,) = await hear(house, message(1))
    await put_in_force(house, CHANGED)
    assert await hear(house, selecting(offer)) == []  # its commit is refused by the fence, or not even sent
    before = len(house.wire.sent)
    await compiled(house)
    await settle()
    assert len(house.wire.sent) == before + 1


async def test_a_revision_that_cannot_be_loaded_leaves_the_old_one_and_says_so(house: House) -> None:
    await put_in_force(house, BROKEN)
    await compiled(house)
    await house.beat()
    configuration, lifeline = house.rooms.configuration, house.rooms.lifeline
    assert configuration.current is not None
    assert configuration.current.revision == 1
    assert configuration.error.startswith("configuration revision 2 cannot be loaded")
    assert (lifeline.state, lifeline.ready(), lifeline.reason) == ("degraded", False, configuration.error)
    assert house.rooms.counters.config_errors == 1
    await put_in_force(house, CHANGED)
    configuration.error = ""
    await compiled(house)
    await house.beat()
    assert lifeline.state == "serving"


async def test_a_file_is_applied_once_and_never_over_what_is_in_force() -> None:
    weather = Weather()
    one, two = (Configuration(weather, Keys(), Counters()) for _ in range(2))
    await one.begin(DOCUMENT, EPOCH)
    await two.begin(CHANGED, EPOCH)
    assert one.current is not None
    assert two.current is not None
    assert two.current.parameters.valid_lifetime == 3600
    assert one.current.mod_revision == two.current.mod_revision
    await one.close()
    await two.close()


async def test_a_bad_file_is_refused_and_nothing_is_written() -> None:
    weather = Weather()
    configuration = Configuration(weather, Keys(), Counters())
    with pytest.raises(InvalidDocument):
        await configuration.begin(BROKEN, EPOCH)
    assert weather.store.revision == 1
    await configuration.close()


async def test_without_a_configuration_the_node_waits_and_says_what_for() -> None:
    house = House("one", Weather())
    await house.rooms.configuration.begin(None, EPOCH)
    assert "everlease config apply" in house.settlement.lacks()
    await publish(house.weather, DOCUMENT)
    await house.rooms.configuration.begin(None, EPOCH)
    assert "leases are being read" in house.settlement.lacks()
    house.settlement.loading = False
    assert house.settlement.lacks() == ""
    await house.rooms.configuration.close()
