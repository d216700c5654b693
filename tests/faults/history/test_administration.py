"""I17 on real nodes: two operators, each at a node of its own, change the configuration against each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from everlease.client.errors import Refused, Unreachable
from everlease.client.sync import Client
from everlease.lab.processes import Loopback
from faults.history.check import holds
from faults.history.checks.linear import DONE, REFUSED
from faults.history.events import Call
from faults.history.model import History
from lab.nodes import Node
from lab.scope import EtcdScope

pytestmark = pytest.mark.etcd

ROUNDS = 8
DOCUMENT = "subnets: [{{id: 1, prefix: 10.77.0.0/16, description: {}, pools: [{{range: 10.77.16.0/24}}]}}]\n"


@pytest.fixture
def nodes(etcd: EtcdScope, tmp_path: Path) -> Iterator[list[Node]]:
    """Two nodes on loopback, on ports that no DHCP server uses."""
    document = tmp_path / "first.yaml"
    document.write_text(DOCUMENT.format("first"))
    found = [
        Node(
            tmp_path,
            Loopback(),
            f"n{number}",
            etcd.endpoints,
            listens=[f"127.0.0.{number}:{33000 + number}"],
            document=document,
            prefix=etcd.prefix,
        ).start()
        for number in (1, 2)
    ]
    for node in found:
        node.wait_ready(40)
    yield found
    for node in found:
        node.stop()


def operate(node: Node, name: str, calls: list[Call]) -> None:
    """Read which revision is in force, put another document in its place, and so on."""
    with Client(node.admin) as client:
        for number in range(ROUNDS):
            began = time.time()
            revision = client.get_config().revision
            calls.append(Call(began, time.time(), "config", "read", answer=str(revision)))
            calls.append(change(client, revision, f"{name}-{number}"))


def change(client: Client, revision: int, description: str) -> Call:
    """Compare and set: the revision counts up by one if it was the expected one."""
    began = time.time()
    given = (str(revision), str(revision + 1))
    try:
        client.apply_config(DOCUMENT.format(description), expect_revision=revision)
    except Refused as refused:
        assert refused.code == "ABORTED", refused
        return Call(began, time.time(), "config", "cas", given, REFUSED)
    except Unreachable:
        return Call(began, time.time(), "config", "cas", given, known=False)
    return Call(began, time.time(), "config", "cas", given, DONE)


def test_two_operators_never_overwrite_each_other_and_read_what_was_acknowledged(nodes: list[Node]) -> None:
    calls = [Call(0.0, 1.0, "config", "write", ("1",))]
    operators = [threading.Thread(target=operate, args=(node, node.name, calls)) for node in nodes]
    for operator in operators:
        operator.start()
    for operator in operators:
        operator.join(60)
    answers = [call.answer for call in calls if call.operation == "cas"]
    assert len(answers) == 2 * ROUNDS
    assert answers.count(DONE) >= ROUNDS
    holds(History(calls), "I17")
