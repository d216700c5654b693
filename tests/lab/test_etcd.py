"""The laboratory's etcd behaves as the tests that lean on it believe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from everlease.lab.etcd import PORTS, EtcdCluster, free_ports
from everlease.lab.processes import wait_until
from lab.scope import EtcdScope


@pytest.mark.etcd
def test_a_test_gets_a_prefix_and_a_member_that_commits(etcd: EtcdScope) -> None:
    etcd.cluster.etcdctl("put", f"{etcd.prefix}/key", "value")
    assert etcd.cluster.etcdctl("get", f"{etcd.prefix}/key", "--print-value-only").strip() == "value"


@pytest.mark.etcd
def test_a_killed_leader_is_replaced_and_comes_back_with_its_data(
    start_etcd: Callable[..., EtcdCluster],
) -> None:
    cluster = start_etcd(members=3)
    first = cluster.leader()
    cluster.etcdctl("put", "before", "1")
    cluster.kill(first)
    survivor = cluster.members[(first + 1) % 3]
    wait_until(survivor.healthy, 10, "a new leader")
    assert cluster.leader() != first
    cluster.start_member(first)
    cluster.wait_healthy()
    assert cluster.etcdctl("get", "before", "--print-value-only").strip() == "1"


@pytest.mark.etcd
def test_a_paused_member_is_not_healthy_until_it_resumes(start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=3)
    victim = (cluster.leader() + 1) % 3
    cluster.pause(victim)
    assert not cluster.members[victim].healthy()
    cluster.resume(victim)
    wait_until(cluster.members[victim].healthy, 10, "the member resumed")


def test_a_port_that_was_given_out_a_moment_ago_is_not_given_out_again() -> None:
    given = [port for _ in range(50) for port in free_ports(2)]
    assert len(given) == len({*given}) == 100


def test_labs_side_by_side_choose_among_ports_of_their_own() -> None:
    program = "from everlease.lab.etcd import free_ports; print(*free_ports(20))"
    environment = {**os.environ, PORTS: "31900-31999"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert {int(port) // 100 for port in told.stdout.split()} == {319}
