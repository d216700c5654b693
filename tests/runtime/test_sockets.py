"""UDP endpoints, receive times and errors at opening."""

from __future__ import annotations

import socket
import sys
import time
from ipaddress import IPv4Address

import pytest

from everlease.errors import ConfigError
from everlease.lab.netns import Lab, Namespace, cable
from everlease.runtime.links import Link
from everlease.runtime.sockets import TIMESTAMP, Ports, ReceiveClock
from everlease.runtime.udp import ListenEndpoint
from runtime.network import PAYLOAD, SERVER, receive, wire


def ipv4(text: str) -> int:
    return int(IPv4Address(text))


def stamp(realtime: float) -> bytes:
    return TIMESTAMP.pack(int(realtime), int(realtime % 1 * 1e9))


def listen(lab: Lab, namespace: Namespace, address: str, port: int = 67, ports: Ports | None = None) -> ListenEndpoint:
    endpoint = namespace.call(lambda: ListenEndpoint(ipv4(address), port, ports or Ports()))
    lab.on_close(endpoint.close)
    return endpoint


def relay(namespace: Namespace, to: tuple[str, int]) -> socket.socket:
    """A connected UDP socket: it hears a reply only from the very address and port that it sent to."""

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(to)
        sock.settimeout(2)
        return sock

    return namespace.call(connect)


def test_a_stamp_is_told_in_boot_time() -> None:
    clock = ReceiveClock()
    clock.sample()
    assert clock.convert(stamp(time.time() - 0.5)) == pytest.approx(clock.now - 0.5, abs=0.05)


@pytest.mark.parametrize("error", [3600.0, -3600.0, 1.0])
def test_a_stamp_that_cannot_be_right_reads_as_now(error: float) -> None:
    clock = ReceiveClock()
    clock.sample()
    assert clock.convert(stamp(time.time() + error)) in (clock.now, pytest.approx(clock.now))


def test_stamps_across_a_step_of_the_wall_clock_read_as_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ReceiveClock()
    queued_at = time.time()
    real = time.clock_gettime
    step = {time.CLOCK_REALTIME: 10.0}
    monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + step.get(which, 0.0))
    clock.sample()
    assert clock.convert(stamp(queued_at)) == clock.now
    clock.sample()  # from the next batch on, the new wall clock counts
    assert clock.convert(stamp(queued_at + 10 - 0.25)) == pytest.approx(clock.now - 0.25, abs=0.05)


@pytest.mark.root
def test_a_reply_leaves_from_the_address_that_was_asked(lab: Lab) -> None:
    net = wire(lab)
    net.server.ip("address", "add", "10.77.0.3/24", "dev", "eth0")
    for address in ("10.77.0.2", "10.77.0.3"):
        client = relay(net.client, (address, 67))
        client.send(PAYLOAD)
        [asked] = receive(net.udp)
        assert asked.destination == ipv4(address)
        assert net.udp.send_udp(PAYLOAD, asked.source, asked.source_port, asked.destination)
        assert client.recv(1024) == PAYLOAD


@pytest.mark.root
def test_a_service_address_on_loopback_is_served_through_the_link(lab: Lab) -> None:
    net = wire(lab)
    net.server.ip("address", "add", "192.0.2.67/32", "dev", "lo")
    net.client.ip("route", "add", "192.0.2.67/32", "via", "10.77.0.2")
    client = relay(net.client, ("192.0.2.67", 67))
    client.send(PAYLOAD)
    [asked] = receive(net.udp)
    assert net.raw.send_udp(PAYLOAD, asked.source, asked.source_port, asked.destination)
    assert client.recv(1024) == PAYLOAD


@pytest.mark.root
def test_listen_serves_a_relay_on_any_port_and_answers_from_the_address_asked(lab: Lab) -> None:
    net = wire(lab)
    net.server.ip("address", "add", "10.77.0.3/24", "dev", "eth0")
    endpoint = listen(lab, net.server, "0.0.0.0", 1067)
    client = relay(net.client, ("10.77.0.3", 1067))
    client.send(PAYLOAD)
    [asked] = receive(endpoint)
    assert (asked.destination, asked.hardware) == (ipv4("10.77.0.3"), b"")
    assert endpoint.send_udp(PAYLOAD, asked.source, asked.source_port, asked.destination)
    assert client.recv(1024) == PAYLOAD


@pytest.mark.root
def test_listen_accepts_an_address_that_arrives_later(lab: Lab) -> None:
    server, client = lab.namespace("server"), lab.namespace("client")
    endpoint = listen(lab, server, "192.0.2.67")
    cable(client, "eth0", server, "eth0", address="192.0.2.9/24")
    server.ip("address", "add", "192.0.2.67/24", "dev", "eth0")
    asking = relay(client, ("192.0.2.67", 67))
    asking.send(PAYLOAD)
    [asked] = receive(endpoint)
    assert endpoint.send_udp(PAYLOAD, asked.source, asked.source_port, asked.destination)
    assert asking.recv(1024) == PAYLOAD


@pytest.mark.root
def test_a_link_and_a_wildcard_listener_share_the_port_and_a_packet_reaches_one(lab: Lab) -> None:
    server, client = lab.namespace("server"), lab.namespace("client")
    cable(server, "eth0", client, "eth0", address="10.77.0.2/24")
    cable(server, "eth1", client, "eth1", address="10.78.0.2/24")
    client.ip("address", "add", "10.77.0.9/24", "broadcast", "+", "dev", "eth0")
    client.ip("address", "add", "10.78.0.9/24", "dev", "eth1")
    ports = Ports()
    link = Link("office", "eth0", ports)
    server.call(link.open)
    lab.on_close(link.close)
    endpoint = listen(lab, server, "0.0.0.0", 67, ports)
    relay(client, ("10.77.0.2", 67)).send(PAYLOAD)
    relay(client, ("10.78.0.2", 67)).send(PAYLOAD)

    def shout() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.sendto(PAYLOAD, ("10.77.0.255", 67))

    client.call(shout)
    time.sleep(0.1)
    raw, udp = link.endpoints
    assert [d.destination for d in raw.receive()] == [ipv4("10.77.0.255")]
    assert [d.destination for d in udp.receive()] == [SERVER]
    assert [d.destination for d in endpoint.receive()] == [ipv4("10.78.0.2")]


@pytest.mark.root
def test_listen_has_no_link_to_send_frames_on(lab: Lab) -> None:
    endpoint = listen(lab, lab.namespace("server"), "0.0.0.0")
    assert not endpoint.send_frame(PAYLOAD, b"\xff" * 6, 0xFFFFFFFF, SERVER)
    assert endpoint.unsent == {"no_link": 1}


@pytest.mark.root
def test_an_unreachable_relay_is_counted_and_raises_nothing(lab: Lab) -> None:
    endpoint = listen(lab, lab.namespace("server"), "0.0.0.0")
    assert not endpoint.send_udp(PAYLOAD, ipv4("203.0.113.1"), 67)
    assert endpoint.unsent == {"unreachable": 1}


@pytest.mark.root
def test_a_port_in_use_is_one_clear_line(lab: Lab) -> None:
    server = lab.namespace("server")
    listen(lab, server, "127.0.0.1", 1067)
    with pytest.raises(ConfigError) as refused:
        listen(lab, server, "127.0.0.1", 1067)
    assert str(refused.value) == (
        "UDP 127.0.0.1:1067: in use by another program (see `ss -lunp`): stop it, or serve another address"
    )


@pytest.mark.root
def test_a_missing_interface_is_one_clear_line(lab: Lab) -> None:
    server = lab.namespace("server")
    with pytest.raises(ConfigError) as refused:
        server.call(Link("office", "eth7", Ports()).open)
    assert str(refused.value) == "interface eth7 does not exist; this host has: lo"


OPEN_A_LINK = """
from everlease.errors import ConfigError
from everlease.runtime.links import Link
from everlease.runtime.sockets import Ports
try:
    Link("office", "eth0", Ports()).open()
except ConfigError as refused:
    print(refused)
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("capability", "what"),
    [
        ("net_raw", "interface eth0: needs CAP_NET_RAW: "),
        ("net_bind_service", "UDP 0.0.0.0:67 on eth0: needs CAP_NET_BIND"),
    ],
)
def test_a_missing_capability_is_one_clear_line(lab: Lab, capability: str, what: str) -> None:
    server = lab.namespace("server")
    cable(server, "eth0", lab.namespace("client"), "eth0", address="10.77.0.2/24")
    # SO_BINDTODEVICE and the buffer size need no capability; so only the one in question is missing.
    refusal = server.run("setpriv", f"--bounding-set=-{capability}", sys.executable, "-c", OPEN_A_LINK)
    assert refusal.startswith(what)
    assert refusal.count("\n") == 1


@pytest.mark.root
def test_loopback_is_refused_because_it_is_not_ethernet(lab: Lab) -> None:
    server = lab.namespace("server")
    with pytest.raises(ConfigError, match="interface lo: not Ethernet"):
        server.call(Link("office", "lo", Ports()).open)
