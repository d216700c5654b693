"""The simulated loop: time that jumps, processes that stop, faults that are not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from simulate.loop import Owner, SimulatedLoop, Stuck


def run(work: Any, seed: int = 1) -> SimulatedLoop:
    """Let `work(loop)` live on a loop of its own."""
    loop = SimulatedLoop(Random(seed))
    coroutine: Coroutine[Any, Any, None] = work(loop)
    loop.run_until_complete(coroutine)
    loop.close()
    return loop


def test_an_hour_passes_at_once_and_nothing_of_it_is_lost() -> None:
    told: list[int] = []

    async def work(loop: SimulatedLoop) -> None:
        for minute in range(60):
            await asyncio.sleep(60)
            told.append(minute)

    assert 3600 <= run(work).time() < 3601
    assert told == list(range(60))


def test_a_stopped_process_misses_no_timer_and_a_killed_one_has_no_more() -> None:
    told: list[tuple[str, float]] = []

    async def work(loop: SimulatedLoop) -> None:
        one, two = Owner("one"), Owner("two")
        for owner in (one, two):
            for second in (1.0, 2.0):
                loop.call_later(
                    second, lambda name: told.append((name, round(loop.time()))), owner.name, context=owner.context
                )
        await asyncio.sleep(0.5)
        loop.freeze(one)
        await asyncio.sleep(1.0)
        loop.kill(two)
        await asyncio.sleep(2.5)
        loop.thaw(one)
        await asyncio.sleep(1.0)

    run(work)
    assert told == [("two", 1), ("one", 4), ("one", 4)]


def test_what_a_process_has_sent_arrives_although_it_is_stopped() -> None:
    arrived: list[float] = []

    async def work(loop: SimulatedLoop) -> None:
        sender = Owner("sender")
        loop.call_soon(lambda: loop.outside(1.0, lambda: arrived.append(loop.time())), context=sender.context)
        await asyncio.sleep(0.1)
        loop.freeze(sender)
        await asyncio.sleep(2.0)

    run(work)
    assert len(arrived) == 1


def test_the_seed_decides_which_of_two_timers_that_are_due_at_once_is_first() -> None:
    def order(seed: int) -> list[int]:
        told: list[int] = []

        async def work(loop: SimulatedLoop) -> None:
            for number in range(4):
                loop.call_later(1.0, told.append, number)
            await asyncio.sleep(2.0)

        run(work, seed)
        return told

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) > 5


def test_an_exception_that_nobody_caught_is_told_with_the_name_of_whose_it_is() -> None:
    async def work(loop: SimulatedLoop) -> None:
        owner = Owner("clumsy")
        loop.call_soon(lambda: {"this": 1}["that"], context=owner.context)
        await asyncio.sleep(1.0)

    ((name, error, _),) = run(work).failed
    assert name == "clumsy"
    assert isinstance(error, KeyError)


def test_who_runs_in_circles_and_who_waits_for_nothing_is_found() -> None:
    async def circles(_loop: SimulatedLoop) -> None:
        while True:
            await asyncio.gather(asyncio.sleep(0))

    async def nothing(loop: SimulatedLoop) -> None:
        await loop.create_future()

    for work in (circles, nothing):
        with pytest.raises(Stuck):
            run(work)
