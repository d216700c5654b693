"""An offer of an address that is new to its client waits for an echo, and somebody who answers is left in peace."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from everlease.core.lifecycle import DECLINED, NOBODY
from everlease.core.model import PingCheck
from everlease.runtime import probes
from everlease.runtime.icmp import checksum
from everlease.runtime.ping import PingChecks
from everlease.runtime.probes import CROWDED, WAITING, Place, Probes
from everlease.wire import v4
from runtime.house import DOCUMENT, House, Weather, settle
from runtime.test_responder import MAC, bind, dropped, hear, message, selecting

PROBED = DOCUMENT.replace("subnets:", "ping-check: {enabled: true, timeout: 300ms, cache: 1m}\nsubnets:")
"""A timeout that does not end between two lines of a test, also not on a busy machine."""
CHECK = PingCheck(enabled=True, timeout=10.0)
A, B = 0x0A4D1001, 0x0A4D1002


@dataclass
class Town:
    """Hosts that answer: all of them at once where it is `crowded`, else those that the test puts in `waiting`."""

    crowded: bool = False
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    waiting: list[Place] = field(default_factory=list)
    ends: tuple[int, int] = field(default_factory=os.pipe)

    def fileno(self) -> int:
        return self.ends[0]

    def send(self, address: int, interface: int, source: int) -> bool:
        self.asked.append((address, interface, source))
        if self.crowded:
            self.answer(interface, address)
        return True

    def answer(self, interface: int, address: int) -> None:
        self.waiting.append((interface, address))
        os.write(self.ends[1], b"x")

    def receive(self, limit: int) -> list[Place]:
        os.read(self.ends[0], limit)
        heard, self.waiting = self.waiting, []
        return heard

    def close(self) -> None:
        for each in self.ends:
            os.close(each)


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
async def house(town: Town) -> AsyncIterator[House]:
    alone = await House("one", Weather()).join(PROBED)
    checks: PingChecks = alone.rooms.responder.ping_checks
    checks.probes = Probes(alone.time.boot, lambda: town)
    yield alone
    checks.close()
    await alone.leave()


async def offers(house: House, mac: bytes = MAC, enough: int = 1) -> list[v4.Packet]:
    """What is sent for a DISCOVER, however long its probes take."""
    before = len(house.wire.sent)
    await hear(house, message(v4.DISCOVER, mac))
    await until(lambda: len(house.wire.sent) >= before + enough)
    return [v4.parse(payload) for payload in house.wire.sent[before:]]


async def until(there: Callable[[], object]) -> None:
    """Wait for what is sure to come."""
    for _ in range(2000):
        if there():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 20 s")


def counted(house: House) -> dict[str, int]:
    return {result: count for result, count in house.rooms.counters.pings.items() if count}


# --- the offer -------------------------------------------------------------------------------------------------------


async def test_an_offer_leaves_after_the_silence_and_asks_by_the_clients_link(house: House, town: Town) -> None:
    assert await hear(house, message(v4.DISCOVER)) == []
    await until(lambda: house.wire.sent)
    offer = v4.parse(house.wire.sent[-1])
    assert offer.message_type == v4.OFFER
    assert town.asked == [(offer.yiaddr, house.wire.index, house.wire.address)]
    assert counted(house) == {"silent": 1}


async def test_while_it_waits_nobody_else_is_offered_the_address(house: House, town: Town) -> None:
    await hear(house, message(v4.DISCOVER))
    address = town.asked[0][0]
    now = house.rooms.clock.now()
    assert house.rooms.offers.holder("default", address, now) == b"\x02\x01" + MAC
    assert house.wire.sent == []


async def test_who_answers_is_left_in_peace_and_the_client_gets_another_address(house: House, town: Town) -> None:
    await hear(house, message(v4.DISCOVER))
    taken = town.asked[0][0]
    town.answer(house.wire.index, taken)
    await until(lambda: house.wire.sent)
    row = house.rooms.view.row("default", taken)
    assert row is not None
    assert (row.state, row.client) == (DECLINED, NOBODY)
    (offer,) = [v4.parse(payload) for payload in house.wire.sent]
    assert offer.yiaddr != taken
    assert counted(house) == {"in_use": 1, "silent": 1}
    assert house.rooms.view.usage.of(1)[3] == 1
    (ack,) = await hear(house, selecting(offer))
    assert ack.yiaddr == offer.yiaddr


async def test_a_renewed_discover_of_the_bound_client_is_not_probed(house: House, town: Town) -> None:
    (offer,) = await offers(house)
    await hear(house, selecting(offer))
    town.asked.clear()
    (again,) = await hear(house, message(v4.DISCOVER))
    assert again.yiaddr == offer.yiaddr
    assert town.asked == []


async def test_an_address_that_was_silent_is_believed_for_a_while(house: House, town: Town) -> None:
    (first,) = await offers(house)
    (second,) = await hear(house, message(v4.DISCOVER))
    assert second.yiaddr == first.yiaddr
    assert len(town.asked) == 1
    house.time.boot_now += 61
    await house.beat()
    (third,) = await offers(house)
    assert third.yiaddr == first.yiaddr
    assert len(town.asked) == 2
    assert counted(house) == {"silent": 2, "believed": 1}


async def test_an_offer_that_became_too_old_while_it_waited_does_not_leave(house: House) -> None:
    await hear(house, message(v4.DISCOVER))
    house.time.boot_now += 6
    await until(lambda: dropped(house))
    assert house.wire.sent == []
    assert dropped(house) == {"unavailable": 1}


async def test_more_copies_than_make_sense_are_dropped_not_offered_unprobed(house: House, town: Town) -> None:
    assert await hear(house, *[message(v4.DISCOVER)] * (probes.WAITERS + 2)) == []
    assert len(town.asked) == 1
    assert dropped(house) == {"duplicate": 2}
    await until(lambda: house.wire.sent)
    assert len(house.wire.sent) == probes.WAITERS


async def test_where_everybody_answers_the_search_ends_with_the_packets_time(house: House, town: Town) -> None:
    town.crowded = True
    await hear(house, message(v4.DISCOVER))
    for _ in range(20):
        house.time.boot_now += 0.5
        await asyncio.sleep(0.005)
        await settle()
    assert house.wire.sent == []
    assert dropped(house) == {"unavailable": 1}
    assert 0 < counted(house)["in_use"] <= len(town.asked)


async def test_where_nothing_can_be_asked_offers_leave_unprobed_and_it_is_said_once(house: House) -> None:
    def refused() -> Town:
        raise PermissionError(1, "Operation not permitted")

    house.rooms.responder.ping_checks.probes = Probes(house.time.boot, refused)
    with capture_logs() as said:
        assert (await bind(house)).message_type == v4.ACK
        assert (await bind(house, b"\x02\0\0\0\0\x08")).message_type == v4.ACK
    assert counted(house) == {"unprobed": 2}
    assert ["ping-check needs CAP_NET_RAW" in line["event"] for line in said] == [True]


# --- the probes ------------------------------------------------------------------------------------------------------


async def test_questions_after_the_same_address_share_one_probe_and_are_bounded(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "IN_FLIGHT", 1)
    asked, heard = Probes(lambda: 0.0, lambda: town), list[bool]()
    outcomes = [asked.ask((1, A), 0, CHECK, heard.append) for _ in range(probes.WAITERS + 1)]
    assert outcomes == [WAITING] * probes.WAITERS + [CROWDED]
    assert asked.ask((1, B), 0, CHECK, heard.append) == "unprobed"
    assert len(town.asked) == 1
    town.answer(1, A)
    asked.read()
    assert heard == [True] * probes.WAITERS
    assert asked.ask((1, A), 0, CHECK, heard.append) == WAITING  # whoever answered may be gone: it is not remembered
    asked.close()


async def test_an_answer_from_another_link_is_somebody_elses(town: Town) -> None:
    asked, heard = Probes(lambda: 0.0, lambda: town), list[str]()
    asked.ask((1, A), 0, CHECK, lambda _: heard.append("one"))
    asked.ask((2, A), 0, CHECK, lambda _: heard.append("two"))
    asked.ask((0, A), 0, CHECK, lambda _: heard.append("routed"))
    town.answer(2, A)
    asked.read()
    assert heard == ["two", "routed"]
    asked.close()


async def test_what_is_remembered_is_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "REMEMBERED", 2)
    asked = Probes(lambda: 0.0, lambda: town)
    for address in (A, B, B + 1):
        silence: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        asked.ask((1, address), 0, PingCheck(timeout=0.001), silence.set_result)
        assert not await silence
    ignore = list[bool]().append
    assert [asked.ask((1, address), 0, CHECK, ignore) for address in (B, B + 1, A)] == ["believed"] * 2 + [WAITING]
    asked.close()


def test_the_checksum_is_that_of_rfc_1071() -> None:
    request = struct.pack("!BBHHH", 8, 0, 0, 0x1234, 1) + b"everything"
    signed = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
    assert checksum(signed) == 0
