"""A batch on its way: who gets it when the first member is silent, and when somebody else leads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from everlease.runtime import carrier as carrying
from everlease.runtime.carrier import Carrier
from everlease.runtime.counters import Counters
from everlease.store.api import BadRequest, Unavailable
from everlease.store.txn import Leaf, single
from runtime.house import Time, Weather, settle

HARMLESS = single(Leaf({}, [(b"/k", b"v")]))


@dataclass
class Election(Weather):
    """Somebody else leads from the moment at which `leader` is set."""

    leader: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def elected(self, since: int) -> str:
        return await asyncio.shield(self.leader)


def carrier_of(weather: Weather) -> Carrier:
    return Carrier(weather, Counters(), Time().boot)


async def test_a_batch_that_the_old_leader_lost_goes_to_the_new_one_at_once() -> None:
    weather = Election(members=["old", "b", "new"], decide=lambda _, member: "" if member == "new" else "hang")
    carried = asyncio.ensure_future(carrier_of(weather).carry(lambda: HARMLESS, Time().boot()))
    await asyncio.sleep(carrying.HEDGE_AFTER + 0.05)
    assert weather.asked == ["old", "b"]
    weather.leader.set_result("new")
    await settle()
    assert carried.done() and not carried.result().fenced
    assert weather.asked == ["old", "b", "new"]


async def test_an_election_costs_no_hedge_where_the_answer_comes_soon() -> None:
    weather = Election()
    weather.leader.set_result("b")
    await carrier_of(weather).carry(lambda: HARMLESS, Time().boot())
    assert weather.asked == ["a"]


async def test_a_hedge_is_never_sent_to_the_member_that_is_silent_though_it_is_the_best() -> None:
    weather = Weather(members=["b", "a", "c"])

    def outcome(request: bytes, member: str) -> str:
        weather.members = ["a", "b", "c"]
        return "hang" if member == "b" else ""

    weather.decide = outcome
    await carrier_of(weather).carry(lambda: HARMLESS, Time().boot())
    assert weather.asked == ["b", "a"]


async def test_a_clear_refusal_by_the_second_member_is_an_answer() -> None:
    weather = Weather(decide=lambda _, member: "hang" if member == "a" else BadRequest("too many operations"))
    with pytest.raises(BadRequest):
        await carrier_of(weather).carry(lambda: HARMLESS, Time().boot())
    assert weather.asked == ["a", "b"]


async def test_no_more_than_a_tenth_of_the_batches_goes_to_a_second_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "HEDGE_AFTER", 0.0)
    monkeypatch.setattr(carrying, "DEADLINE", 0.01)
    weather = Weather(decide=lambda _, member: "hang")
    time = Time()
    carrier = Carrier(weather, Counters(), time.boot)
    tries = 0
    for _ in range(40):
        asked = len(weather.asked)
        time.boot_now += carrying.PATIENCE
        with pytest.raises(Unavailable):
            await carrier.carry(lambda: HARMLESS, time.boot_now - carrying.PATIENCE)
        tries += 1
        assert len(weather.asked) - asked in (1, 2)
    assert len(weather.asked) - tries <= 8 + tries / 10
