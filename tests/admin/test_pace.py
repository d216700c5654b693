"""What administrators read beside packets is rationed, and only then."""

from __future__ import annotations

import pytest

from everlease.admin import pace as paces
from everlease.admin.pace import BUSY, RATE, SAVED, Pace


class World:
    """A clock that sleeping moves, and packets that come with time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, per_second: float) -> None:
        self.now = 0.0
        self.per_second = per_second
        self.pace = Pace(lambda: int(self.now * self.per_second), lambda: self.now)

        async def sleep(seconds: float) -> None:
            self.now += seconds

        monkeypatch.setattr(paces.asyncio, "sleep", sleep)

    async def lists(self, rows: int, page: int = 250, work: float = 0.001) -> float:
        """Seconds that a list of so many rows takes."""
        begun = self.now
        for _ in range(rows // page):
            await self.pace.turn()
            self.now += work
            self.pace.read(page)
        return self.now - begun


async def test_a_node_that_hears_few_packets_lists_as_fast_as_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, BUSY / 2)
    assert await world.lists(100_000) == pytest.approx(400 * 0.001)


async def test_a_busy_node_lists_no_more_than_its_allowance_for_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10 * BUSY)
    world.now += 1.0
    begun = world.now
    for _ in range(80):  # page by page of two lists
        await world.lists(1000)
    assert world.now - begun == pytest.approx(80_000 / RATE, rel=0.1)


async def test_a_short_list_is_answered_at_once_also_by_a_busy_node(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10 * BUSY)
    world.now += 1.0
    await world.lists(5000)
    world.now += 1.0  # nobody lists
    assert await world.lists(500) < SAVED / 2


async def test_what_was_read_in_quiet_times_is_no_debt(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 0)
    await world.lists(200_000)
    world.pace = Pace(lambda: int(world.now * world.per_second), lambda: world.now)
    await world.lists(200_000)
    world.per_second = 10 * BUSY
    world.now += 1.0
    assert await world.lists(500) < SAVED / 2
