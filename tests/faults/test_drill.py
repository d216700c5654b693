"""One fault after another, chosen by chance: nothing is broken, nothing leaks, and all is well in the end.

`FAULTS="drill-long" DRILL_SECONDS=3600 DRILL_SEED=7 ./tests/run.sh faults` is an hour of it, and the same again.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from faults import exchanges, runner, usage
from faults.client import MIXED
from faults.history.check import check
from faults.inject import clock, disk, network, process, store
from faults.inject.process import wait_serving
from faults.load import Load
from faults.scenarios import STARTS, on_follower, on_leader, on_node
from faults.stage import Stage

pytestmark = [pytest.mark.root, pytest.mark.etcd]

EVERY = 10.0
"""Seconds between the beginnings of two faults."""

LASTS = (1.0, 5.0)
SHORT, LONG = 60.0, 900.0
RATE, STAY = 100.0, 15.0
CALM = 6.0
"""Seconds of full rate that end the drill."""

AT_ONCE = 3.0
"""Seconds until a patient client asks again; a quick one may have done so before."""

ROOM = 1024
"""MiB for each member: its log until the next snapshot, and ten minutes of history, at this rate 250 each."""

FALSE_CLOCK = 2
FAULTS: dict[str, Callable[[Stage], AbstractContextManager[None]]] = {
    "F1 leader killed": on_leader(process.member_killed),
    "F1 follower killed": on_follower(process.member_killed),
    "F2 leader stopped": on_leader(process.member_stopped),
    "F3 follower stopped": on_follower(process.member_stopped),
    "F4 leader's host cut off": on_leader(network.host_cut_off),
    "F5 leader's host deaf": on_leader(network.host_deaf),
    "F5 node without the store": on_node(network.node_reaches, 0),
    "F9 leader's disk frozen": on_leader(disk.frozen),
    "F9 follower's disk frozen": on_follower(disk.frozen),
    "F10 leader's disk slow": on_leader(disk.slow),
    "F16 compacted under the watch": on_node(store.compacted_under_the_watch, 0),
    "F17 half-open connections": on_node(network.half_open, 1),
    "F20 node killed": on_node(process.node_killed, 1),
    "F21 node stopped": on_node(process.node_stopped, 0),
    "F22 clock stepped": on_node(clock.stepped(7200.0), FALSE_CLOCK),
    "F23 packets lost": network.lossy,
    "F29 mute": on_node(network.clients_side_mute, 0),
    "F29 deaf": on_node(network.clients_side_deaf, 1),
    "F29 no carrier": on_node(network.clients_side_down, 2),
}


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(SHORT, id="drill", marks=pytest.mark.slow),
        pytest.param(LONG, id="drill-long", marks=pytest.mark.slow),
    ],
)
def test_random_faults_break_nothing_and_leave_nothing_behind(lab: Lab, seconds: float) -> None:
    seconds = float(os.environ.get("DRILL_SECONDS", seconds))
    seed = int(os.environ.get("DRILL_SEED", random.randrange(1_000_000)))
    print(f"drill of {seconds:.0f} s with DRILL_SEED={seed}")
    stage = Stage(lab, disk=ROOM)
    stage.nodes[FALSE_CLOCK].environment |= clock.environment(lab.folder, FALSE_CLOCK)
    stage.start()
    load = Load(stage, RATE, stay=STAY, behaviours=MIXED, seed=seed).start()
    time.sleep(STAY)
    before = usage.measure(stage)
    _inject(stage, random.Random(seed), time.time() + seconds)
    wait_serving(stage, STARTS)
    time.sleep(runner.TAKEOVER)
    calm = time.time()
    time.sleep(CALM)
    measured = time.time()
    after = usage.measure(stage)  # it reads every key, which keeps the machine busy
    ended = load.finish(60.0)
    history = stage.recorder.finish()
    told = exchanges.read(history.packets)
    print(f"{len(told)} exchanges, tries {exchanges.tries(told)}\n{usage.table(before, after)}")
    late = [each for each in told if calm < each.asked < measured and not each.bound < each.asked + AT_ONCE]
    assert late == [], f"DRILL_SEED={seed}"
    # Who goes while it asks for its address again in the end gets no answer any more; the others: I2.
    left_out = [each for each in told if each.naks or (each.asked < ended and not each.bound)]
    assert left_out == [], f"DRILL_SEED={seed}"
    assert usage.leaks(before, after) == [], f"DRILL_SEED={seed}"
    assert check(history) == [], f"DRILL_SEED={seed}"


def _inject(stage: Stage, chance: random.Random, until: float) -> None:
    """A fault every EVERY seconds, one at a time: the next one begins when all is well after the one before."""
    while (began := time.time()) < until:
        name = chance.choice(list(FAULTS))
        print(f"{name} ...", flush=True)
        with stage.recorder.fault(name.split()[0], name), FAULTS[name](stage):
            time.sleep(chance.uniform(*LASTS))
        wait_serving(stage, STARTS)
        wait_until(lambda: time.time() >= began + EVERY, EVERY, "the next fault's time")
