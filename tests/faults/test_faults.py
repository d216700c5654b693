"""No single fault stops the service, and no fault makes it lie: each fault under 200 exchanges/s."""

from __future__ import annotations

import pytest

from everlease.lab.netns import Lab
from faults import runner
from faults.inject import clock
from faults.runner import Scenario
from faults.scenarios import SCENARIOS
from faults.stage import Stage

pytestmark = [pytest.mark.root, pytest.mark.etcd]


RUNS = [pytest.param(each, id=each.id, marks=[] if each.short else [pytest.mark.slow]) for each in SCENARIOS]


@pytest.mark.parametrize("scenario", RUNS)
def test_a_fault_costs_no_more_than_a_retransmission_and_no_promise_is_broken(lab: Lab, scenario: Scenario) -> None:
    stage = Stage(lab, scenario.timers, relayed_to=scenario.relayed_to)
    if scenario.false_clock >= 0:
        stage.nodes[scenario.false_clock].environment |= clock.environment(lab.folder, scenario.false_clock)
    stage.start(stage.simple(scenario.lifetime))
    outcome = runner.run(stage, scenario)
    print(outcome.describe())
    print(outcome.table())
    wrong = runner.judge(outcome)
    assert not wrong, "\n".join([outcome.describe(), *wrong[:20]])
