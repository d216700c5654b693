"""The drivers of the real clients, against a server that is not ours."""

from __future__ import annotations

import pytest

from everlease.lab.netns import Lab, cable
from lab.clients import ALL, Client, Dhcpcd, Dhcrelay, Udhcpc
from lab.kea import Kea

pytestmark = pytest.mark.root


@pytest.mark.parametrize("kind", ALL)
def test_a_client_is_bound_and_renews_and_releases(lab: Lab, kind: type[Client]) -> None:
    switch, server, namespace = lab.switch(), lab.namespace("server"), lab.namespace("client")
    switch.connect(server, "eth0", address="10.77.0.2/24")
    switch.connect(namespace, "eth0")
    Kea(lab, server, "10.77.0.0/24", "10.77.0.100 - 10.77.0.200", lifetime=8)
    client = kind(lab, namespace)
    address = client.obtain()
    assert address.startswith("10.77.0.1")
    assert client.received("ACK")
    client.wait_renewed(30)
    assert client.address() == address
    client.release()
    client.wait_unbound()


def test_a_client_behind_a_relay_is_bound(lab: Lab) -> None:
    server, relay, client = (lab.namespace(name) for name in ("server", "relay", "client"))
    cable(server, "eth0", relay, "north", address="192.0.2.2/24")
    cable(client, "eth0", relay, "south")
    relay.ip("address", "add", "192.0.2.1/24", "dev", "north")
    relay.ip("address", "add", "10.78.0.1/24", "dev", "south")
    server.ip("route", "add", "10.78.0.0/24", "via", "192.0.2.1")
    Kea(lab, server, "10.78.0.0/24", "10.78.0.100 - 10.78.0.200")
    Dhcrelay(lab, relay, "south", "north", "192.0.2.2")
    assert Udhcpc(lab, client).obtain().startswith("10.78.0.1")


def test_a_client_rebinds_when_its_unicast_is_lost(lab: Lab) -> None:
    switch, server, namespace = lab.switch(), lab.namespace("server"), lab.namespace("client")
    switch.connect(server, "eth0", address="10.77.0.2/24")
    switch.connect(namespace, "eth0")
    Kea(lab, server, "10.77.0.0/24", "10.77.0.100 - 10.77.0.200", lifetime=24)
    client = Dhcpcd(lab, namespace)
    address = client.obtain()
    switch.lose_unicast("client")
    client.wait_rebound(30)
    assert client.address() == address
