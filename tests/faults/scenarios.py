"""Every fault as a scenario: what is done to which of the hosts, and for how long."""

from __future__ import annotations

from faults.inject import disk, process
from faults.runner import Scenario

SCENARIOS = [
    Scenario("F1", "the leader is killed", lambda s: process.member_killed(s, s.etcd.leader())),
    Scenario("F2", "the leader is stopped", lambda s: process.member_stopped(s, s.etcd.leader())),
    Scenario("F9", "the leader's disk is frozen", lambda s: disk.frozen(s, s.etcd.leader())),
]
