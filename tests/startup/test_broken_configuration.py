"""What another program, or a newer version of this one, has put into etcd and this node cannot use: it says so on
/readyz, in its log and in its metrics, keeps what it has, and goes on by itself once that is mended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from everlease.lab.processes import wait_until
from lab.nodes import Node
from startup.starting import GOOD, KEYS, Host

pytestmark = [pytest.mark.root, pytest.mark.etcd]

UNKNOWN_KEY = "schema: 1\nfrom-the-future: true\nsubnets: []\n"


@pytest.fixture
def fresh(host: Host) -> Iterator[Host]:
    """No node, and nothing of ours in etcd."""
    yield host
    host.clear()


def mended(host: Host, node: Node, revision: int) -> None:
    """A good document is all that it takes."""
    host.publish(revision, GOOD)
    node.wait_ready(10)
    assert node.metric("everlease_config_revision") == revision
    log = node.log.read_text()
    assert "Traceback" not in log
    assert '"fault"' not in log
    assert node.stop() == 0


@pytest.mark.parametrize("value", [b"junk", b'{"revision":7,"chunks":1}', b"{}"], ids=["junk", "no document", "empty"])
def test_a_node_that_starts_on_a_broken_record_waits_and_says_so(fresh: Host, value: bytes) -> None:
    fresh.put(KEYS.config_current, value)
    node = fresh.node()
    wait_until(lambda: "configuration" in node.readiness(), 10, "it says what it waits for")
    assert not node.ready()
    assert node.alive()
    mended(fresh, node, 8)


def test_a_node_that_starts_on_a_document_that_it_cannot_load_waits_and_says_why(fresh: Host) -> None:
    fresh.publish(1, UNKNOWN_KEY)
    node = fresh.node()
    wait_until(lambda: "from-the-future" in node.readiness(), 10, "it names what it does not know")
    assert not node.ready()
    assert node.metric("everlease_config_errors_total") == 1
    mended(fresh, node, 2)


def test_a_node_given_a_file_does_not_put_it_over_a_document_that_it_cannot_load(fresh: Host) -> None:
    fresh.publish(1, UNKNOWN_KEY)
    before = fresh.keys("/everlease/v/config/")
    node = fresh.node("good.yaml")
    wait_until(lambda: "from-the-future" in node.readiness(), 10, "it names what it does not know")
    assert fresh.keys("/everlease/v/config/") == before
    mended(fresh, node, 2)


@pytest.mark.parametrize("broken", [b"junk", UNKNOWN_KEY.encode()], ids=["a record", "a document"])
def test_a_node_that_runs_keeps_what_it_has_and_says_so(fresh: Host, broken: bytes) -> None:
    node = fresh.node("good.yaml").wait_ready()
    if broken == b"junk":
        fresh.put(KEYS.config_current, broken)
    else:
        fresh.publish(2, broken.decode())
    wait_until(lambda: "configuration" in node.readiness(), 10, "it says what is wrong")
    assert node.metric("everlease_config_revision") == 1
    assert node.alive()
    mended(fresh, node, 3)


def test_an_operator_mends_a_broken_record_with_the_usual_command(fresh: Host) -> None:
    node = fresh.node("good.yaml").wait_ready()
    fresh.put(KEYS.config_current, b"junk")
    wait_until(lambda: "config apply" in node.readiness(), 10, "it says what to do")
    node.cli("config", "apply", fresh.file("good.yaml"), "--force")
    node.wait_ready(10)
    assert node.metric("everlease_config_revision") == 2
