"""An operator's first minutes: nodes without a configuration, one command, and they serve; over a real etcd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from everlease.lab.processes import Loopback, need, wait_until
from lab.nodes import Node, free_listen

pytestmark = pytest.mark.etcd

OFFICE = """\
subnets:
  - {id: 1, name: office, prefix: 10.77.0.0/16, pools: [{range: 10.77.16.0/24}], option-data: {routers: [10.77.0.1]}}
"""


@pytest.fixture
def nodes(etcd, tmp_path: Path) -> Iterator[list[Node]]:
    """Two nodes that serve relays on loopback, on ports that no DHCP server uses."""
    found = [
        Node(
            tmp_path, Loopback(), f"n{number}", etcd.endpoints, listens=[free_listen()],
            prefix=etcd.prefix,
        )
        for number in (1, 2)
    ]  # fmt: skip
    for node in found:
        node.start()
    for node in found:
        node.wait_alive(40)
    yield found
    for node in found:
        if node.process is not None:
            node.process.stop()


def everlease(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("everlease")), *words]
    environment = {**os.environ, "EVERLEASE_SERVER": node.admin}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def status(node: Node) -> dict[str, object]:
    return json.loads(everlease(node, "cluster", "status", "-o", "json").stdout)


def test_a_configuration_applied_at_one_node_is_in_force_on_all(nodes: list[Node], tmp_path: Path) -> None:
    first, second = nodes
    wait_until(lambda: "config apply" in first.readiness(), 30, "the node says what it waits for")
    assert everlease(first, "config", "show").returncode == 1
    file = tmp_path / "office.yaml"
    file.write_text(OFFICE)
    applied = everlease(first, "config", "apply", str(file), "--expect-revision", "0")
    assert (applied.returncode, applied.stderr) == (0, "")
    for node in nodes:
        node.wait_ready(40)
    assert everlease(second, "config", "show").stdout == OFFICE
    wait_until(lambda: all(each["eligible"] for each in status(first)["nodes"]), 20, "both nodes eligible")
    seen = status(first)
    assert sum(each["buckets"] for each in seen["nodes"]) == 256
    assert [each["config_revision"] for each in seen["nodes"]] == [1, 1]
    assert all(each["up"] for each in seen["members"])
    explained = json.loads(
        everlease(second, "explain", "--hw-address", "02:00:00:00:00:05", "--relay", "10.77.0.1", "-o", "json").stdout
    )
    assert explained["address"].startswith("10.77.16.")
    assert second.metric("everlease_config_revision") == 1


def test_prometheus_own_checker_has_nothing_to_say_of_a_real_node(nodes: list[Node], tmp_path: Path) -> None:
    need("promtool")
    node = nodes[0]
    file = tmp_path / "office.yaml"
    file.write_text(OFFICE)
    assert everlease(node, "config", "apply", str(file)).returncode == 0
    node.wait_ready(40)
    wait_until(lambda: node.metric("everlease_store_size_bytes") > 0, 10, "the members were probed")
    done = subprocess.run(["promtool", "check", "metrics"], input=node.exposition(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    told = {name: labels for name, labels, _ in node.metrics()}
    assert told["everlease_build_info"]["etcd"].startswith("3.")
    assert node.metric("everlease_store_alarm") == 0
