"""What administrators read beside packets is rationed, and only then."""

from __future__ import annotations

import pytest

from everlease.admin import pace as paces
from everlease.admin.pace import BUSY, LATE, LEAST, SAVED, SHARE, UNSEEN, Pace

PAGE, COST = 50, 0.0003
"""Rows of a slice, and processor time that one takes, seconds."""


class World:
    """A clock that sleeping and working move, and packets that come with time; sleep ends `late` seconds too late."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, per_second: float) -> None:
        self.now = self.worked = self.late = 0.0
        self.per_second = per_second
        self.renew()

        async def sleep(seconds: float) -> None:
            self.now += seconds + self.late * (seconds > 0)

        monkeypatch.setattr(paces.asyncio, "sleep", sleep)

    def renew(self) -> None:
        self.pace = Pace(lambda: int(self.now * self.per_second), lambda: self.now, lambda: self.worked)

    async def lists(self, rows: int) -> float:
        """Seconds that a list of so many rows takes."""
        begun = self.now
        for _ in range(rows // PAGE):
            await self.pace.turn()
            with self.pace.work():
                self.worked += COST
                self.now += COST
        return self.now - begun


async def test_a_node_that_hears_few_packets_lists_as_fast_as_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, BUSY / 2)
    assert await world.lists(100_000) == pytest.approx(2000 * COST)


async def test_a_busy_node_spends_its_allowance_on_all_lists_together(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10 * BUSY)
    world.now += 1.0
    begun, worked = world.now, world.worked
    for _ in range(80):  # page by page of two lists
        await world.lists(1000)
    assert (world.worked - worked) * UNSEEN / (world.now - begun) == pytest.approx(SHARE, rel=0.1)


async def test_a_node_whose_loop_is_late_gives_less_and_not_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10 * BUSY)
    world.now += 1.0
    world.late = 2 * LATE
    begun, worked = world.now, world.worked
    await world.lists(20_000)
    assert (world.worked - worked) * UNSEEN / (world.now - begun) == pytest.approx(LEAST, rel=0.25)
    world.late = 0.0
    await world.lists(2000)
    begun, worked = world.now, world.worked
    await world.lists(20_000)
    assert (world.worked - worked) * UNSEEN / (world.now - begun) == pytest.approx(SHARE, rel=0.1)


async def test_a_short_list_is_answered_at_once_also_by_a_busy_node(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10 * BUSY)
    world.now += 1.0
    await world.lists(5000)
    world.now += 1.0  # nobody lists
    assert await world.lists(500) < SAVED / 20


async def test_what_was_read_in_quiet_times_is_no_debt(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 0)
    await world.lists(200_000)
    world.per_second = 10 * BUSY
    world.now += 1.0
    assert await world.lists(500) < SAVED / 20
