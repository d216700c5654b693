"""One fault under load: clients come, the fault is there, it is healed, and what happened is judged by the wire.

Law: the bounds are those that the service promises; a scenario may only say which of them its fault leaves meaningful.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from faults import exchanges
from faults.exchanges import Exchange
from faults.history.check import check, unproved
from faults.history.model import History
from faults.inject.process import wait_serving
from faults.load import Load
from faults.stage import ALL_HOSTS, Stage

WARM = 1.0
"""Seconds of load before the fault."""

AFTER = 1.0
"""Seconds of load after what the healing may cost."""

THIRDS = 0.005
"""The share of clients that may have to ask a third time."""

SOONEST_AGAIN = 3.0
"""Seconds until a client's second copy (RFC 2131 section 4.1). Where commits may pause for longer, that one may be
caught too, and the third is the first that anybody could answer."""

HICCUPS = 0.001
"""The share that may ask twice though no disturbance was near: the lab's twenty processes share two cores with whatever
else the machine does, and a pause of a second of one of them is nobody's fault."""

OWN_LOAD = 3.0
"""Running processes for each processor that the lab brings along: members, nodes, clients, captures."""

HEALTHY = 10.0
"""Seconds after the healing in which every member and node is well again."""


TAKEOVER = 10.0
"""Seconds after the first takeover on a link in which a node that is mute or deaf there is passed over by all."""

LIVENESS = "I18"
"""The invariant that is about time."""

ALL, TAKEN_OVER, BOUND = "all", "takeover", "bound"
"""Rules. all: every bound; takeover: all, and who is caught is said by the first takeover; bound: everybody is bound in
the end, nobody refused, nothing broken."""


@dataclass(frozen=True)
class Scenario:
    """id: as in the list of faults; says: what the fault is; hold: seconds that it lasts.

    timers: etcd's; rule: which bounds apply; pause: seconds for which commits may pause, 0 = as long as an election may
    take; caught, back: seconds after the fault and after its healing in which a client may have to ask twice, 0 = as
    long as commits may pause; settle: seconds after the healing in which all is
    well again; lifetime: of leases; rate: clients that come, per second; false_clock: the node whose wall clock can be
    set; relayed_to: the hosts that the relay sends to; short: runs always; also: what else must be so.
    """

    id: str
    says: str
    inject: Callable[[Stage], AbstractContextManager[None]]
    hold: float = 5.0
    timers: str = "default"
    rule: str = ALL
    pause: float = 0.0
    caught: float = 0.0
    back: float = 0.0
    settle: float = HEALTHY
    lifetime: str = "1h"
    rate: float = 200.0
    false_clock: int = -1
    relayed_to: Sequence[int] = ALL_HOSTS
    short: bool = False
    also: Callable[[Outcome], list[str]] = lambda _: []


@dataclass(frozen=True)
class Outcome:
    """What was seen. faulted, healed: UTC seconds; bound: seconds for which a disturbance may stop commits.

    again: all who had an address in the end asked for it once more, in one burst: how soon they get it is not judged.
    busy: by how much everything may take longer, because the machine had other things to do (1 = nothing to speak of).
    """

    scenario: Scenario
    exchanges: list[Exchange]
    history: History
    faulted: float
    healed: float
    bound: float
    again: list[Exchange]
    busy: float = 1.0

    @property
    def stall(self) -> float:
        """The longest time after the fault in which nobody was bound, seconds."""
        return exchanges.stall(self.exchanges, self.faulted, max(each.asked for each in self.exchanges))[0]

    @cached_property
    def calm(self) -> float:
        """When the fault must cost nobody anything any more, UTC seconds."""
        if self.scenario.rule == TAKEN_OVER:
            twice = [each.bound for each in self.exchanges if each.bound > self.faulted and each.tries > 1]
            return min(twice, default=self.faulted) + TAKEOVER
        return self.faulted + (self.scenario.caught * self.busy or self.bound)

    def disturbed(self, exchange: Exchange) -> bool:
        """Whether the fault or its healing may have cost it a try."""
        if exchange.asked < self.faulted:
            return exchange.bound > self.faulted or not exchange.bound
        return exchange.asked <= self.calm or 0 <= exchange.asked - self.healed <= (
            self.scenario.back * self.busy or self.bound
        )

    def describe(self) -> str:
        """One line of figures."""
        caught = [each for each in self.exchanges if self.disturbed(each)]
        tries, of_caught = exchanges.tries(self.exchanges), exchanges.tries(caught)
        return (
            f"{self.scenario.id}: {len(self.exchanges)} exchanges, nobody bound for {self.stall:.2f} s at most "
            f"({self.bound:.1f} s allowed); tries of all {tries}, of the {len(caught)} caught {of_caught}, "
            f"of the {len(self.again)} that asked again in the end {exchanges.tries(self.again)}"
        )

    def table(self) -> str:
        """Second by second: asked for the first time, bound."""
        rows = exchanges.seconds(self.exchanges, self.faulted)
        return "\n".join(f"{second:+4d} s  asked {asked:4d}  bound {bound:4d}" for second, asked, bound in rows)


def run(stage: Stage, scenario: Scenario) -> Outcome:
    """Live through it; the stage is healthy before and after, or LabError."""
    pause = scenario.pause or stage.bound
    load = Load(stage, scenario.rate).start()
    time.sleep(WARM)
    faulted = time.time()
    with stage.recorder.fault(scenario.id, scenario.says), scenario.inject(stage):
        time.sleep(scenario.hold)
        healed = time.time()
    wait_serving(stage, scenario.settle)
    time.sleep(max(0.0, healed + pause + AFTER - time.time()))
    busy = busyness()
    ended = load.finish()
    history = stage.recorder.finish()
    told = exchanges.read(history.packets)
    before, again = ([each for each in told if (each.asked < ended) is early] for early in (True, False))
    return Outcome(scenario, before, history, faulted, healed, pause * busy, again, busy)


def busyness() -> float:
    """How many times slower than alone this machine is: by the processes that waited in the last minute."""
    return max(1.0, os.getloadavg()[0] / (OWN_LOAD * (os.cpu_count() or 1)))


def judge(outcome: Outcome) -> list[str]:
    """Every bound that was missed and every promise that was broken."""
    timely = outcome.scenario.rule != BOUND
    broken = [str(each) for each in check(outcome.history) if timely or each.id != LIVENESS]
    late = lateness(outcome) if timely else []
    return [*broken, *unproved(outcome.history), *refusals(outcome), *late, *outcome.scenario.also(outcome)]


def refusals(outcome: Outcome) -> list[str]:
    """Whom the service refused, or left without an answer until the end."""
    told = [*outcome.exchanges, *outcome.again]
    naks = [f"{_who(outcome, each)} was refused" for each in told if each.naks]
    return [*naks, *(_who(outcome, each) for each in told if not each.bound)]


def lateness(outcome: Outcome) -> list[str]:
    """Which of the bounds were missed."""
    wrong: list[str] = []
    told = [each for each in outcome.exchanges if not 0 < each.bound < outcome.faulted and not _waits(outcome, each)]
    if outcome.stall > outcome.bound:
        wrong.append(f"nobody was bound for {outcome.stall:.2f} s; {outcome.bound} s are allowed")
    late = [each for each in told if each.tries > 1 and not outcome.disturbed(each)]
    if len(late) > HICCUPS * len(told):
        wrong += [f"{_who(outcome, each)}, though no disturbance was near" for each in late]
    hopeless = outcome.faulted + outcome.bound - SOONEST_AGAIN
    third = [each for each in told if each.tries > 2 and each.asked > hopeless]
    if len(third) > THIRDS * len(told):
        wrong += [f"{len(third)} of {len(told)} needed a third try", *(_who(outcome, each) for each in third)]
    return wrong


def _waits(outcome: Outcome, each: Exchange) -> bool:
    """Whether it asked one server only, and that one may have been hit: nobody else can hear it."""
    return each.alone or bool(each.server and outcome.disturbed(each))


def _who(outcome: Outcome, each: Exchange) -> str:
    answered = f"bound after {each.bound - each.asked:.2f} s" if each.bound else "never bound"
    return (
        f"{each.mac} ({each.kind}) asked at {each.asked - outcome.faulted:+.2f} s, {answered}, "
        f"DISCOVER x{each.discovers}, REQUEST x{each.requests}"
    )
