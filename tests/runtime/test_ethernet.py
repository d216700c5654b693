"""A link in real namespaces: each packet is handled once, or refused for the right reason."""

from __future__ import annotations

import struct
import time

import pytest

from everlease.errors import ConfigError
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.runtime.ethernet import BROADCAST_HARDWARE, build
from everlease.runtime.links import Link
from everlease.runtime.sockets import Ports
from runtime.network import (
    CLIENT,
    CLIENT_MAC,
    DIRECTED,
    EVERYBODY,
    PAYLOAD,
    SERVER,
    SERVER_MAC,
    wire,
)

pytestmark = pytest.mark.root


def request(*, payload: bytes = PAYLOAD, to: bytes = BROADCAST_HARDWARE, address: int = EVERYBODY) -> bytes:
    """A client's frame to the server port."""
    return build(payload, (CLIENT_MAC, to), (0, address), 67)


def tagged(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:]


def test_a_broadcast_is_heard_once_with_its_sender(lab: Lab) -> None:
    net = wire(lab)
    net.frame_client().send(request())
    raw, udp = net.heard()
    assert [(d.data, d.source, d.source_port, d.destination, d.hardware) for d in raw] == [
        (PAYLOAD, 0, 67, EVERYBODY, CLIENT_MAC)
    ]
    assert udp == []


def test_a_directed_broadcast_is_heard_once(lab: Lab) -> None:
    net = wire(lab)
    net.udp_client().sendto(PAYLOAD, ("10.77.0.255", 67))
    raw, udp = net.heard()
    assert [d.destination for d in raw] == [DIRECTED]
    assert udp == []


def test_a_unicast_renewal_is_heard_once_and_not_refused_by_icmp(lab: Lab) -> None:
    net = wire(lab)
    client = net.udp_client("10.77.0.9")
    client.connect(("10.77.0.2", 67))
    client.send(PAYLOAD)
    raw, udp = net.heard()
    assert raw == []
    assert [(d.data, d.source, d.source_port, d.destination) for d in udp] == [(PAYLOAD, CLIENT, 68, SERVER)]
    client.send(PAYLOAD)  # would raise ConnectionRefusedError after an ICMP port unreachable


def test_a_broadcast_address_in_a_unicast_frame_is_heard_once(lab: Lab) -> None:
    net = wire(lab)  # wireless controllers turn broadcasts into unicast frames
    net.frame_client().send(request(to=SERVER_MAC))
    raw, udp = net.heard()
    assert (len(raw), len(udp)) == (1, 0)


def test_an_unfinished_checksum_of_a_real_client_is_accepted(lab: Lab) -> None:
    net = wire(lab)
    net.udp_client().sendto(PAYLOAD, ("255.255.255.255", 67))
    raw, _ = net.heard()
    assert len(raw) == 1
    assert net.raw.dropped["bad_checksum"] == 0


def test_a_bad_checksum_is_dropped_and_counted(lab: Lab) -> None:
    net = wire(lab)
    frame = bytearray(request())
    frame[40:42] = b"\x12\x34"
    net.frame_client().send(frame)
    assert net.heard() == ([], [])
    assert net.raw.dropped["bad_checksum"] == 1


def test_a_tagged_frame_on_the_parent_is_dropped_and_counted(lab: Lab) -> None:
    net = wire(lab)
    net.frame_client().send(tagged(request(), 7))
    assert net.heard() == ([], [])
    # By the time that we see it, the kernel may have turned the tag of an unknown VLAN into "not for this host".
    assert net.raw.dropped["tagged"] + net.raw.dropped["other_host"] == 1


def test_a_priority_tag_is_no_vlan(lab: Lab) -> None:
    net = wire(lab)
    net.frame_client().send(tagged(request(), 0xE000))
    assert len(net.heard()[0]) == 1


def test_a_fragment_another_port_and_another_protocol_never_wake_us(lab: Lab) -> None:
    net = wire(lab)
    client = net.frame_client()
    fragment = bytearray(request())
    fragment[20:22] = b"\x20\x00"
    protocol = bytearray(request())
    protocol[23] = 6
    for frame in (fragment, protocol, build(PAYLOAD, (CLIENT_MAC, BROADCAST_HARDWARE), (0, EVERYBODY), 4011)):
        client.send(frame)
    assert net.heard() == ([], [])
    assert not any(net.raw.dropped.values())


def test_a_frame_for_another_host_is_dropped(lab: Lab) -> None:
    net = wire(lab)
    net.server.ip("link", "set", "eth0", "promisc", "on")
    net.frame_client().send(request(to=bytes.fromhex("02000000000a")))
    assert net.heard() == ([], [])
    assert net.raw.dropped["other_host"] == 1


def test_our_own_frames_do_not_come_back(lab: Lab) -> None:
    net = wire(lab)
    assert net.raw.send_frame(PAYLOAD, BROADCAST_HARDWARE, EVERYBODY, SERVER, 67)
    assert net.heard() == ([], [])


def test_a_frame_reaches_a_client_by_its_hardware_address_with_right_checksums(lab: Lab) -> None:
    net = wire(lab)
    client = net.udp_client()  # the client's kernel drops what has a wrong checksum
    assert net.raw.send_frame(PAYLOAD, CLIENT_MAC, CLIENT, SERVER)
    assert client.recvfrom(1024) == (PAYLOAD, ("10.77.0.2", 67))
    assert net.udp.send_frame(PAYLOAD + b"\xff", BROADCAST_HARDWARE, EVERYBODY, SERVER)
    assert client.recvfrom(1024) == (PAYLOAD + b"\xff", ("10.77.0.2", 67))


def test_a_frame_beyond_the_mtu_is_refused_and_counted(lab: Lab) -> None:
    net = wire(lab)
    assert not net.raw.send_frame(bytes(1600), CLIENT_MAC, CLIENT, SERVER)
    assert net.raw.unsent == {"too_large": 1}


def test_receive_times_are_the_kernels_and_not_those_of_the_drain(lab: Lab) -> None:
    net = wire(lab)
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    client = net.udp_client("10.77.0.9")
    client.sendto(PAYLOAD, ("255.255.255.255", 67))
    client.sendto(PAYLOAD, ("10.77.0.2", 67))
    time.sleep(1)
    drained = time.clock_gettime(time.CLOCK_BOOTTIME)
    raw, udp = net.heard()
    for datagram in (*raw, *udp):
        assert before - 0.25 < datagram.received_at < drained - 0.5
    assert (len(raw), len(udp)) == (1, 1)


def test_a_drain_takes_no_more_than_its_limit(lab: Lab) -> None:
    net = wire(lab)
    client = net.frame_client()
    for _ in range(5):
        client.send(request())
    time.sleep(0.1)
    assert [len(net.raw.receive(3)), len(net.raw.receive(3)), len(net.raw.receive(3))] == [3, 2, 0]


def test_a_new_address_is_served_after_a_refresh_and_its_broadcasts_heard_once(lab: Lab) -> None:
    net = wire(lab)
    endpoints = net.link.endpoints
    net.server.ip("address", "add", "10.78.0.2/24", "broadcast", "+", "dev", "eth0")
    net.refresh()
    assert net.link.endpoints is endpoints
    assert net.raw.interface == ((SERVER, 24), (SERVER + 0x10000, 24))
    net.client.ip("address", "add", "10.78.0.9/24", "broadcast", "+", "dev", "eth0")
    net.udp_client().sendto(PAYLOAD, ("10.78.0.255", 67))
    raw, udp = net.heard()
    assert (len(raw), len(udp)) == (1, 0)


def test_a_deleted_interface_closes_the_link_and_its_return_opens_it(lab: Lab) -> None:
    net = wire(lab)
    net.server.ip("link", "delete", "eth0")
    assert net.raw.receive() == []
    assert not net.raw.send_frame(PAYLOAD, CLIENT_MAC, CLIENT, SERVER)
    assert net.raw.unsent == {"link_down": 1}
    numbers = [endpoint.fileno() for endpoint in net.link.endpoints]
    assert net.refresh() == numbers  # told before they were closed
    assert not net.link.up
    assert net.link.endpoints == ()
    net.server.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", net.client.name)
    for namespace in (net.client, net.server):
        namespace.ip("link", "set", "eth0", "up")
    for namespace in (net.client, net.server):  # the kernel tells of carrier up to a second late: before, all is lost
        wait_until(lambda end=namespace: "state UP" in end.ip("-o", "link", "show", "dev", "eth0"), 20, "running")
    net.refresh()
    assert net.link.up
    net.frame_client().send(request())
    assert len(net.heard()[0]) == 1


def test_a_second_server_on_the_interface_is_refused_in_one_line(lab: Lab) -> None:
    net = wire(lab)
    second = Link("office", "eth0", Ports())
    with pytest.raises(ConfigError, match=r"UDP 0\.0\.0\.0:67 on eth0: in use by another program"):
        net.server.call(second.open)
    assert second.endpoints == ()
