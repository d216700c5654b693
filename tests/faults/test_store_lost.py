"""The whole store is gone, full or old: known clients keep what they have, nobody is promised anything new or twice."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, wait_until
from faults import exchanges, runner
from faults.exchanges import KNOWN, NEW, Exchange
from faults.history.check import holds
from faults.inject import store
from faults.inject.process import wait_serving
from faults.load import Load
from faults.stage import Stage

pytestmark = [pytest.mark.root, pytest.mark.etcd]

SMALL_QUOTA = 24 << 20
HEALED = 15.0
"""Seconds in which the service clears a quota's alarm by itself."""

NOTICED = 4.0
"""Seconds until every node knows that the store has no leader: it has not committed for 3 s, and asks each second."""

IN_FLIGHT = 1.0
WELL = 10.0
"""Seconds after the return of the quorum in which all is healthy."""


def began(told: Iterable[Exchange], kind: str, since: float, until: float) -> list[Exchange]:
    return [each for each in told if each.kind == kind and since < each.asked < until]


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(30.0, id="F24", marks=pytest.mark.slow), pytest.param(300.0, id="F24-long", marks=pytest.mark.slow)],
)
def test_without_a_quorum_known_clients_are_renewed_and_nothing_new_is_granted(lab: Lab, seconds: float) -> None:
    stage = Stage(lab)
    stage.start()
    load = Load(stage, rate=10, reboots=0.0).start()
    time.sleep(runner.WARM)
    lost = time.time()
    with stage.recorder.fault("F24", "two of three members are killed"), store.no_quorum(stage):
        time.sleep(seconds)
        returned = time.time()
    wait_serving(stage, WELL)
    time.sleep(WELL - min(WELL, time.time() - returned) + 3.0)
    load.finish(60)
    history = stage.recorder.finish()
    told = exchanges.read(history.packets)
    renewed = began(told, KNOWN, lost + NOTICED, returned - 1.0)
    assert len(renewed) > 3 * seconds
    assert exchanges.tries(renewed) == {1: len(renewed)}
    early = began(told, KNOWN, lost, lost + NOTICED)
    assert set(exchanges.tries(early)) <= {1, 2}, exchanges.tries(early)
    granted = [each for each in told if each.kind == NEW and lost + IN_FLIGHT < each.bound < returned]
    assert granted == []
    assert sum(each.naks for each in told) == 0
    later = began(told, NEW, returned + WELL, time.time())
    assert exchanges.tries(later) == {1: len(later)}
    holds(history)


@pytest.mark.parametrize("quota", [pytest.param(SMALL_QUOTA, id="F7", marks=pytest.mark.slow)])
def test_one_members_full_quota_is_cleared_by_the_service_itself(lab: Lab, quota: int) -> None:
    stage = Stage(lab, quota=quota)
    stage.start()
    load = Load(stage).start()
    time.sleep(runner.WARM)
    with stage.recorder.fault("F7", "a member's quota is used up"), store.quota_reached(stage):
        faulted = time.time()
        wait_until(lambda: not store.alarms(stage), HEALED, "the alarm is cleared")
        wait_until(lambda: writes(stage), HEALED - (time.time() - faulted), "others can write again")
    healed = time.time()
    time.sleep(6.0)
    ended = load.finish()
    history = stage.recorder.finish()
    told = exchanges.read(history.packets)
    assert exchanges.stall(told, faulted, healed)[0] < HEALED
    later = [each for each in told if healed < each.asked < ended]
    assert exchanges.tries(later) == {1: len(later)}
    assert sum(each.naks for each in told) == 0
    holds(history)


def writes(stage: Stage) -> bool:
    """Whether a plain write succeeds."""
    try:
        stage.etcd.etcdctl("put", "/others/probe", "x")
    except LabError:
        return False
    return True


@pytest.mark.parametrize("rate", [pytest.param(40, id="F27", marks=pytest.mark.slow)])
def test_a_store_that_was_put_back_forgets_no_promise(lab: Lab, rate: int) -> None:
    stage = Stage(lab)
    stage.start()
    load = Load(stage, rate=rate, reboots=0.0).start()
    time.sleep(runner.WARM)
    snapshot = store.save(stage)
    time.sleep(3.0)  # what is promised now is not in it
    with stage.recorder.fault("F27", "an old snapshot is restored"), store.put_back(stage, snapshot):
        back = time.time()
        wait_serving(stage, 30)
        time.sleep(15.0)
    load.finish(0.0, audit=False)  # those that came since are not answered until the longest lease has ended
    history = stage.recorder.finish()
    told = exchanges.read(history.packets)
    holds(history)
    assert [each for each in told if each.naks and each.kind == KNOWN] == []
    renewed = began(told, KNOWN, back + 10.0, time.time() - 5.0)
    assert renewed
    assert exchanges.tries(renewed) == {1: len(renewed)}
