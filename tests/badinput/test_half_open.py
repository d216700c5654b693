"""Row 17: TCP connections to the admin and metrics ports that say nothing, or not enough."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from badinput.besieged import Besieged
from everlease.lab.processes import wait_until

pytestmark = [pytest.mark.root, pytest.mark.etcd]

ADMIN, METRICS = 9067, 9167
SAID = [(METRICS, b""), (METRICS, b"GET /metrics HTTP/1.1\r\nHost: "), (ADMIN, b""), (ADMIN, b"PRI * HTTP/2.0\r\n")]
EACH = 150
"""Connections: the metrics page serves 64 at once, and a process may have 1,024 open files by default."""


def test_the_node_serves_on_and_lets_go_of_who_does_not_ask(besieged: Besieged) -> None:
    files = besieged.node.metric("process_open_fds")
    with ExitStack() as sockets:
        for port, said in SAID:
            for each in connect(besieged, sockets, port):
                each.sendall(said)
        besieged.serve_somebody()
        assert "node0" in besieged.node.cli("cluster", "status")
        wait_until(besieged.node.ready, 20, "the metrics page has room again")
        wait_until(lambda: besieged.node.metric("process_open_fds") < files + 10, 20, "the node let go of all of them")


def connect(besieged: Besieged, sockets: ExitStack, port: int) -> list[socket.socket]:
    """Connections to a port of the node."""

    def open_all() -> list[socket.socket]:
        return [socket.create_connection(("127.0.0.1", port), 5) for _ in range(EACH)]

    return [sockets.enter_context(each) for each in besieged.site.hosts[0].call(open_all)]
