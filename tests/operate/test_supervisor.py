"""A supervisor such as systemd is told the truth: ready, in which state and why, and that the process is not stuck."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.furnished import furnish
from everlease.lab.processes import Loopback, wait_until
from everlease.runtime.lifeline import DEGRADED, JOINING, SERVING
from everlease.runtime.rooms import Rooms
from everlease.supervisor import Supervisor, is_stuck
from lab.nodes import Node, free_listen
from operate.test_real_node import OFFICE


class Listener:
    """A socket as systemd has one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """All that was told so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listening = Listener(tmp_path / "notify")
    yield listening
    listening.close()


def proved(at: float = 1000.0) -> Rooms:
    """Rooms of a node that serves."""
    rooms = furnish()
    rooms.lifeline.waiting_for = ""
    rooms.lifeline.committed(at)
    rooms.lifeline.echoed(at, at)
    assert rooms.lifeline.state == SERVING
    return rooms


def test_a_node_that_serves_is_not_stuck() -> None:
    assert not is_stuck(proved())


def test_a_node_that_proves_nothing_while_the_store_is_well_is_stuck() -> None:
    rooms = proved()
    rooms.lifeline.evaluate(1004.0)
    assert rooms.lifeline.state == DEGRADED
    assert is_stuck(rooms)


def test_a_node_whose_presence_does_not_come_back_while_the_store_is_well_is_stuck() -> None:
    rooms = proved()
    rooms.lifeline.doubt(1001.0)
    assert rooms.lifeline.state == JOINING
    assert is_stuck(rooms)


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("waiting_for", "no configuration"),
        ("refused", "revision 3 cannot be loaded"),
        ("leaderless", True),
        ("full", True),
        ("cut_off", True),
        ("clock_ok", False),
        ("comparing", True),
    ],
)
def test_a_node_that_is_silent_for_a_reason_outside_of_it_is_left_alone(fact: str, value: object) -> None:
    rooms = proved()
    rooms.lifeline.extends = False
    setattr(rooms.lifeline, fact, value)
    rooms.lifeline.evaluate(1004.0)
    assert not rooms.lifeline.ready()
    assert not is_stuck(rooms)


def test_without_a_supervisor_nobody_is_told() -> None:
    assert not Supervisor(furnish(), {}).listens


@pytest.mark.etcd
def test_a_real_node_says_that_it_is_ready_why_it_waits_that_it_lives_and_that_it_leaves(
    etcd, listener: Listener, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {"NOTIFY_SOCKET": str(listener.path), "WATCHDOG_USEC": "30000000"}
    node = Node(
        tmp_path, Loopback(), "n1", etcd.endpoints, listens=[free_listen()], prefix=etcd.prefix,
        environment=environment,
    )  # fmt: skip
    node.start()
    request.addfinalizer(node.kill)
    wait_until(lambda: any("config apply" in told for told in listener.listen()), 40, "the node says what it lacks")
    assert listener.heard[0] == "READY=1"
    document = tmp_path / "office.yaml"
    document.write_text(OFFICE)
    node.cli("config", "apply", str(document))
    wait_until(lambda: "STATUS=serving: commits are confirmed" in listener.listen(), 20, "told that it serves")
    fed = listener.heard.count("WATCHDOG=1")
    wait_until(lambda: listener.listen().count("WATCHDOG=1") > fed, 20, "the watchdog is fed")
    node.pause()
    time.sleep(0.3)
    listener.listen()
    fed = listener.heard.count("WATCHDOG=1")
    time.sleep(2.5)
    assert listener.listen().count("WATCHDOG=1") == fed  # who stands still is not fed
    node.resume()
    assert node.stop() == 0
    assert "STOPPING=1" in listener.listen()
    assert os.environ.get("NOTIFY_SOCKET") is None
