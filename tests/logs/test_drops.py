"""Packets without an answer are told by reason: at once, then ever more seldom, with counts and one example."""

from __future__ import annotations

from dataclasses import replace

import structlog

from everlease.core.actions import DROP_REASONS
from everlease.runtime.counters import Counters
from everlease.runtime.drops import FIRST, LONGEST, LOSSES, Drops
from everlease.wire import v4
from runtime.house import House, Weather
from runtime.test_responder import MAC, hear, message


def test_the_first_loss_is_told_at_once_and_the_next_ones_together() -> None:
    counters = Counters()
    drops = Drops(counters)
    with structlog.testing.capture_logs() as lines:
        for second in range(0, 1000, 5):
            counters.dropped["no_address"] += 10
            counters.dropped["not_owner"] += 1000
            drops.look(100.0 + second)
    assert [line["count"] for line in lines] == [10, 120, 240, 480, 960][: len(lines)] and len(lines) == 5
    assert {(line["event"], line["reason"], line["log_level"]) for line in lines} == {
        ("packets dropped", "no_address", "warning")
    }


def test_a_reason_that_was_quiet_for_long_is_told_at_once_again() -> None:
    counters = Counters()
    drops = Drops(counters)
    with structlog.testing.capture_logs() as lines:
        counters.dropped["conflict"] = 1
        drops.look(100.0)
        drops.look(100.0 + 2 * FIRST)
        counters.dropped["conflict"] = 3
        drops.look(101.0 + 2 * FIRST)
        for _ in range(20):
            counters.dropped["conflict"] += 1
            drops.look(1e6 + 1.0)
    assert [line["count"] for line in lines] == [1, 2, 1]
    assert LONGEST > FIRST


def test_every_reason_that_is_told_is_one_that_is_counted() -> None:
    assert set(LOSSES) <= set(DROP_REASONS) | {"bad_checksum"}


async def test_an_example_says_what_it_was_and_not_who() -> None:
    house = await House("one", Weather()).join()
    drops = house.rooms.responder.drops
    with structlog.testing.capture_logs() as lines:
        await hear(house, replace(message(v4.DISCOVER, MAC), giaddr=0xC0000263))
        drops.look(100.0)
    await house.leave()
    (line,) = [line for line in lines if line["event"] == "packets dropped"]
    assert (line["reason"], line["message"], line["relay"]) == ("bad_relay", "DISCOVER", "192.0.2.99")
    assert MAC.hex() not in str(line).replace(":", "")
    assert drops.examples == {}
