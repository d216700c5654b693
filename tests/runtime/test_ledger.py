"""`--log-leases`: each ACK that left has its line, with the record that the promise rests on; nothing else has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog

from everlease.runtime.ledger import Ledger
from everlease.wire import v4
from runtime.house import House, Weather
from runtime.test_responder import MAC, bind, hear, message


@pytest.fixture
async def house() -> AsyncIterator[House]:
    alone = await House("one", Weather()).join()
    alone.rooms.responder.ledger = Ledger(alone.rooms.view)
    yield alone
    await alone.leave()


async def test_an_ack_is_told_with_its_client_its_address_and_the_record_that_it_rests_on(house: House) -> None:
    with structlog.testing.capture_logs() as lines:
        ack = await bind(house)
    (line,) = [line for line in lines if line["event"] == "ack"]
    row = house.rooms.view.row("default", ack.yiaddr)
    assert row is not None
    assert (line["client"], line["revision"], line["xid"]) == (row.client.hex(), row.revision, ack.xid)
    assert (line["lifetime"], line["config"], line["operation"]) == (3600, 1, "request")
    assert line["age"] >= line["committing"] >= 0.0


async def test_offers_informs_and_silence_are_not_told(house: House) -> None:
    with structlog.testing.capture_logs() as lines:
        await hear(house, message(v4.DISCOVER))
        answers = await hear(house, message(v4.INFORM, MAC, ciaddr=0x0A4D0909))
        await hear(house, message(v4.REQUEST, b"\x02" * 6, {50: b"\x0a\x4d\x10\x01"}))
    assert [answer.message_type for answer in answers] == [v4.ACK]
    assert [line for line in lines if line["event"] == "ack"] == []
