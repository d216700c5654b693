"""A running node and its interfaces: lost carrier, deletion and return, service addresses, drops that are counted."""

from __future__ import annotations

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.runtime.ethernet import BROADCAST_HARDWARE, build
from everlease.runtime.interfaces import describe
from everlease.wire import v4
from lab.packet_client import PacketClient, ipv4
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def test_a_service_address_on_loopback_is_answered_from_itself(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    namespace = site.client("client")
    client = PacketClient(namespace)
    lab.on_close(client.close)
    ack = client.obtain()
    assert ack.packet is not None
    client.adopt(ack.packet.yiaddr, 16)
    site.hosts[0].ip("address", "add", "192.0.2.67/32", "dev", "lo")
    namespace.ip("route", "add", "192.0.2.67/32", "via", "10.77.0.2")
    assert client.renew(ack.packet.yiaddr, "192.0.2.67").source == ipv4("192.0.2.67")


def test_what_a_socket_drops_is_counted_by_the_node(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    frame = bytearray(
        build(v4.build(client.message(v4.DISCOVER)), (client.mac, BROADCAST_HARDWARE), (0, 0xFFFFFFFF), 67)
    )
    frame[40:42] = b"\x12\x34"
    client.send_raw(bytes(frame))
    client.obtain()
    assert site.nodes[0].metric("everlease_packets_dropped_total", reason="bad_checksum") == 1


def test_an_interface_that_was_deleted_and_made_again_is_served_again(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    ack = client.obtain()
    assert ack.packet is not None
    client.adopt(ack.packet.yiaddr, 16)
    assert client.renew(ack.packet.yiaddr, "10.77.0.2").kind == "ACK"
    host, switch = site.hosts[0], site.links["office"]
    host.ip("link", "delete", "eth1")
    assert client.ask_all(client.message(v4.DISCOVER), within=0.5) == []
    switch.connect(host, "eth1", address="10.77.0.2/16")
    wait_until(lambda: client.ask_all(client.message(v4.DISCOVER), within=0.5), 10, "an offer")
    # The client's kernel knows the old interface's MAC, and would ask it for half a minute unless it is told.
    new = host.call(lambda: describe("eth1")).mac.hex(":")
    wait_until(lambda: new in client.namespace.ip("neigh", "show", "10.77.0.2"), 10, "the new MAC")
    assert client.renew(ack.packet.yiaddr, "10.77.0.2").kind == "ACK"


def test_an_interface_that_was_down_for_a_moment_is_served_again(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    host = site.hosts[0]
    host.ip("link", "set", "eth1", "down")
    assert client.ask_all(client.message(v4.DISCOVER), within=0.5) == []
    host.ip("link", "set", "eth1", "up")
    wait_until(lambda: client.ask_all(client.message(v4.DISCOVER), within=0.5), 10, "an offer")


def test_a_node_that_lost_carrier_gives_its_clients_to_the_other_at_once(lab: Lab) -> None:
    site = Site(lab, nodes=2, members=1).start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    switch, port = site.links["office"], site.ports["office"][0]
    switch.cut(port)
    wait_until(lambda: "NO-CARRIER" in site.hosts[0].ip("link", "show", "eth1"), 5, "carrier lost")

    def answered() -> int:
        discovers = [client.message(v4.DISCOVER, chaddr=bytes([2, 0, 0, 0, 2, number])) for number in range(10)]
        return sum(bool(client.ask_all(discover, within=0.1)) for discover in discovers)

    wait_until(lambda: answered() == 10, 15, "every first DISCOVER answered by the other node")
    switch.restore(port)
    client.obtain()
