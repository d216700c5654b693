"""No single fault stops the service, and no fault makes it lie: each fault under 200 exchanges/s."""

from __future__ import annotations

import pytest

from cluster.audit import Records
from everlease.lab.netns import Lab
from faults import runner
from faults.runner import Scenario
from faults.scenarios import SCENARIOS
from faults.stage import Stage

pytestmark = [pytest.mark.root, pytest.mark.etcd]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_a_fault_costs_no_more_than_a_retransmission_and_no_promise_is_broken(lab: Lab, scenario: Scenario) -> None:
    stage = Stage(lab)
    stage.start()
    outcome = runner.run(stage, scenario)
    print(outcome.describe())
    print(outcome.table())
    wrong = runner.judge(outcome, Records(stage.etcd))
    assert not wrong, "\n".join(wrong[:20])
