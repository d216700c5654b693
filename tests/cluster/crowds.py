"""Crowds as fixtures: clients on a link or behind a relay, closed at the test's end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.crowd import Crowd
from everlease.lab.netns import Lab, Namespace
from lab.packet_client import PacketClient, PacketRelay


@pytest.fixture
def crowd_on(lab: Lab) -> Callable[..., Crowd]:
    """`crowd_on(namespace, count, number=1)`: clients that broadcast on the namespace's eth0."""

    def make(namespace: Namespace, count: int, number: int = 1) -> Crowd:
        client = PacketClient(namespace)
        lab.on_close(client.close)
        return Crowd(client, count, number)

    return make


@pytest.fixture
def crowd_behind(lab: Lab) -> Callable[..., Crowd]:
    """`crowd_behind(namespace, giaddr, servers, count, number=1)`: clients behind a relay that sends to each server."""

    def make(namespace: Namespace, giaddr: str, servers: list[str], count: int, number: int = 2) -> Crowd:
        relay = PacketRelay(namespace, giaddr, *servers, interface="")
        lab.on_close(relay.close)
        return Crowd(relay, count, number)

    return make
