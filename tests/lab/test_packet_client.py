"""The packet-level client and relay, against a server that is not ours."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from everlease.lab.netns import Lab, cable
from everlease.wire import v4
from lab.kea import Kea
from lab.packet_client import PacketClient, PacketRelay, ipv4

pytestmark = pytest.mark.root


def test_a_scripted_client_lives_through_a_lease(lab: Lab) -> None:
    server, namespace = lab.namespace("server"), lab.namespace("client")
    cable(server, "eth0", namespace, "eth0", address="10.77.0.2/24")
    Kea(lab, server, "10.77.0.0/24", "10.77.0.100 - 10.77.0.200")
    client = PacketClient(namespace, mac="02:00:00:00:00:01")
    lab.on_close(client.close)
    ack = client.obtain()
    assert ack.packet is not None
    address = ack.packet.yiaddr
    assert ack.server == ipv4("10.77.0.2")
    assert client.reboot(address).kind == "ACK"
    client.adopt(address)
    assert client.rebind(address).kind == "ACK"
    assert client.renew(address, ack.server).kind == "ACK"
    client.release(address, ack.server)
    stranger = client.message(v4.REQUEST, {50: ipv4("192.0.2.1").to_bytes(4, "big")})
    assert client.ask_all(stranger, within=0.5) == []  # Kea is not authoritative


def test_another_clients_xid_is_not_taken_for_a_reply(lab: Lab) -> None:
    server, namespace = lab.namespace("server"), lab.namespace("client")
    cable(server, "eth0", namespace, "eth0", address="10.77.0.2/24")
    Kea(lab, server, "10.77.0.0/24", "10.77.0.100 - 10.77.0.200")
    one, two = PacketClient(namespace, mac="02:00:00:00:00:01"), PacketClient(namespace, mac="02:00:00:00:00:02")
    lab.on_close(one.close)
    lab.on_close(two.close)
    first, second = one.discover(), two.discover()
    assert first.packet
    assert second.packet
    assert first.packet.chaddr == one.mac
    assert second.packet.chaddr == two.mac
    assert first.packet.yiaddr != second.packet.yiaddr
    assert one.ask_all(one.message(v4.DISCOVER), within=0.5)[0].kind == "OFFER"


def test_a_scripted_relay_gets_the_replies_to_what_it_sends(lab: Lab) -> None:
    server, namespace = lab.namespace("server"), lab.namespace("relay")
    cable(server, "eth0", namespace, "eth0", address="192.0.2.2/24")
    namespace.ip("address", "add", "192.0.2.1/24", "dev", "eth0")
    namespace.ip("address", "add", "10.78.0.1/24", "dev", "lo")
    server.ip("route", "add", "10.78.0.0/24", "via", "192.0.2.1")
    Kea(lab, server, "10.78.0.0/24", "10.78.0.100 - 10.78.0.200")
    relay = PacketRelay(namespace, "10.78.0.1", "192.0.2.2")
    client = PacketClient(namespace, mac="02:00:00:00:00:01")
    lab.on_close(relay.close)
    lab.on_close(client.close)
    offer = relay.ask(client.message(v4.DISCOVER))
    assert offer.packet
    assert str(IPv4Address(offer.packet.yiaddr)).startswith("10.78.0.1")
    assert relay.ask(client.selecting(offer)).kind == "ACK"
