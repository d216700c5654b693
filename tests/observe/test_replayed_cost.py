"""What all metrics together cost a node for one exchange: the same node counts and leaves it, turn by turn.

It goes on until it is certain: on a machine that does nothing else for a minute, on a busy one for ten.
"""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import dataclass
from math import sqrt
from statistics import median
from timeit import Timer

import pytest
import uvloop

from bench import micro
from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import Lab
from everlease.node import GARBAGE
from everlease.runtime.counters import Counters
from observe.replay import TOGETHER, Replay
from observe.unobserved import leave_out, put_back

RATE = 4000
"""Exchanges per second at which the share is told."""

SCRAPED_EVERY = 5.0
"""Seconds; deploy/prometheus says 15."""

TURN, SETTLES = 4 * TOGETHER, TOGETHER
"""Exchanges of a turn, and those before it in which the interpreter gets used to what has changed."""

LEAST, MORE, MOST = 600, 200, 4000
"""Pairs of turns after which it is first asked whether they are enough, between two such questions, and at most."""

MAY_COST = 0.03
CERTAIN = 1.96
"""Standard deviations of 95 %."""


@dataclass(frozen=True)
class Cost:
    """All in us an exchange. pairs: (with counting, without); kept: what cannot be left out of it; scraped: scrapes."""

    pairs: list[tuple[float, float]]
    kept: float
    scraped: float

    @property
    def whole(self) -> float:
        """What an exchange costs the node."""
        return median(counted for counted, _ in self.pairs) + self.scraped

    @property
    def shares(self) -> tuple[float, float, float]:
        """The same, of the whole."""
        return tuple(each / self.whole for each in self.metrics)  # type: ignore[return-value]

    @property
    def decided(self) -> bool:
        """Whether it is certain that they cost more, or less, than they may."""
        low, _, high = self.shares
        return high < MAY_COST or low > MAY_COST

    def told(self) -> str:
        """In words."""
        low, likely, high = self.metrics
        least, share, most = self.shares
        return (
            f"{len(self.pairs)} pairs: an exchange costs the node {self.whole:.1f} us, metrics {likely:.2f} of them "
            f"({low:.2f} to {high:.2f}), {share:.2%} ({least:.2%} to {most:.2%}); at {RATE} exchanges/s "
            f"{likely * RATE / 1e6:.2%} of a processor; scrapes each {SCRAPED_EVERY:.0f} s are {self.scraped:.2f} us "
            f"of it, what cannot be left out {self.kept:.2f} us"
        )

    @property
    def metrics(self) -> tuple[float, float, float]:
        """Metrics' part: (at least, most likely, at most) with 95 % certainty, by the ranks of the differences."""
        apart = sorted(counted - bare for counted, bare in self.pairs)
        middle, spread = len(apart) / 2, CERTAIN * sqrt(len(apart)) / 2
        low, high = apart[int(middle - spread)], apart[int(middle + spread)]
        return tuple(each + self.kept + self.scraped for each in (low, median(apart), high))  # type: ignore[return-value]


def kept() -> float:
    """Microseconds of what `leave_out` leaves in: a packet is received and sent, and the clock is read twice for it."""
    counters, clock = Counters(), time.clock_gettime

    def once() -> None:
        counters.received["discover"] += 1
        counters.sent["discover"] += 1
        clock(time.CLOCK_BOOTTIME)
        clock(time.CLOCK_BOOTTIME)

    return 2 * micro.microseconds(once)


async def pair(replay: Replay, number: int) -> tuple[float, float]:
    """What an exchange costs in two neighbouring turns, us."""
    took = {}
    for counting in (True, False) if number % 2 else (False, True):
        (put_back if counting else leave_out)()
        await replay.exchanges(SETTLES)
        took[counting] = await replay.exchanges(TURN) * 1e6
    return took[True], took[False]


async def measure(replay: Replay) -> Cost:
    """Until it is certain on which side of the bound metrics are."""
    await replay.begin()
    cost = Cost([], kept(), median(replay.scrape() for _ in range(20)) * 1e6 / (RATE * SCRAPED_EVERY))
    while len(cost.pairs) < LEAST or not cost.decided:
        if len(cost.pairs) >= MOST:
            break
        for number in range(MORE):
            cost.pairs.append(await pair(replay, number))
    await replay.end()
    return cost


def measured(replay: Replay) -> Cost:
    usual = gc.get_threshold()
    gc.set_threshold(*GARBAGE)  # as a node has it
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(measure(replay))
    finally:
        put_back()
        gc.set_threshold(*usual)


@pytest.mark.root
@pytest.mark.etcd
@pytest.mark.parametrize("share", [pytest.param(MAY_COST, id="cost", marks=pytest.mark.slow)])
def test_metrics_cost_less_than_three_percent_of_what_an_exchange_costs_a_node(lab: Lab, share: float) -> None:
    with EtcdCluster(lab.folder / "etcd", 1) as etcd:
        cost = measured(Replay(lab.namespace("replay"), etcd))
    print(cost.told())
    assert cost.shares[2] < share


@pytest.mark.parametrize("microseconds", [pytest.param(0.2, id="cost", marks=pytest.mark.slow)])
def test_one_observation_costs_less_than_a_fifth_of_a_microsecond(microseconds: float) -> None:
    (step,) = [each for each in micro.steps() if each.name == "metrics: one observation"]
    runs = Timer(step.run, timer=time.process_time).repeat(50, 10)  # the best: what else runs is not what is measured
    cost = min(runs) / 10 / step.per * 1e6
    print(f"one observation costs {cost:.3f} us")
    assert cost < microseconds
