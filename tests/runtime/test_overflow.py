"""Packets for which the kernel finds no room in a socket's queue are counted, each once, and nothing else is."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from everlease.lab.netns import Lab
from everlease.runtime import sockets
from everlease.runtime.overflow import FullQueues
from runtime.network import PAYLOAD, SERVER, Wire, wire
from runtime.test_ethernet import request

pytestmark = pytest.mark.root

SENT = 100
"""More than a queue of a few pages holds."""


@pytest.fixture
def net(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(sockets, "RECEIVE_BUFFER", 8192)
    return wire(lab)


@pytest.fixture
def queues(net: Wire) -> Iterator[FullQueues]:
    here = net.server.call(FullQueues)
    yield here
    here.close()


def lost(net: Wire, queues: FullQueues) -> int:
    return queues.count([net.raw], [net.udp])


def test_broadcasts_beyond_a_raw_sockets_queue_are_counted_once_and_what_udp_refused_is_not(
    net: Wire, queues: FullQueues
) -> None:
    client = net.frame_client()
    for _ in range(SENT):
        client.send(request())
    raw, udp = net.heard()
    assert 0 < len(raw) < SENT and udp == []
    assert lost(net, queues) == SENT - len(raw)
    assert lost(net, queues) == 0


def test_unicast_beyond_a_udp_sockets_queue_is_counted_once(net: Wire, queues: FullQueues) -> None:
    client = net.udp_client("10.77.0.9")
    client.connect(("10.77.0.2", 67))
    for _ in range(SENT):
        client.send(PAYLOAD)
    raw, udp = net.heard()
    assert raw == [] and 0 < len(udp) < SENT
    assert {each.destination for each in udp} == {SERVER}
    assert lost(net, queues) == SENT - len(udp)
    assert lost(net, queues) == 0


def test_what_another_programs_socket_loses_is_not_ours(net: Wire, queues: FullQueues) -> None:
    def overfill() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full:
            full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            full.bind(("10.77.0.2", 5353))
            for _ in range(SENT):
                full.sendto(PAYLOAD, ("10.77.0.2", 5353))

    net.server.call(overfill)
    assert lost(net, queues) == 0
