"""One server and one client on a cable, for the tests of the packet path."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Address

from everlease.lab.netns import Lab, Namespace, cable
from everlease.runtime.ethernet import LinkEndpoint
from everlease.runtime.links import Link
from everlease.runtime.sockets import Datagram, Endpoint, Ports
from everlease.runtime.udp import UdpEndpoint

SERVER, CLIENT, DIRECTED = (int(IPv4Address(text)) for text in ("10.77.0.2", "10.77.0.9", "10.77.0.255"))
EVERYBODY = 0xFFFFFFFF
SERVER_MAC, CLIENT_MAC = bytes.fromhex("020000000002"), bytes.fromhex("020000000009")
PAYLOAD = b"\x01" + bytes(299)


@dataclass
class Wire:
    """A served link and a client's namespace at its other end."""

    server: Namespace
    client: Namespace
    link: Link

    @property
    def raw(self) -> LinkEndpoint:
        assert self.link.endpoints
        return self.link.endpoints[0]

    @property
    def udp(self) -> UdpEndpoint:
        assert self.link.endpoints
        return self.link.endpoints[1]

    def refresh(self) -> list[int]:
        """Have the link look at its interface again; returns the file numbers that it gave back."""
        forgotten: list[int] = []
        self.server.call(lambda: self.link.refresh(forgotten.append))
        return forgotten

    def udp_client(self, address: str = "0.0.0.0", port: int = 68) -> socket.socket:
        """A UDP socket of the client's kernel; its checksums are unfinished on a veth."""
        return self.client.call(lambda: _udp_client(address, port))

    def frame_client(self) -> socket.socket:
        """A raw socket at the client's end, for frames of our own making."""
        return self.client.call(_frame_client)

    def heard(self) -> tuple[list[Datagram], list[Datagram]]:
        """What the raw socket and the UDP socket received within a moment that is long enough for a cable."""
        time.sleep(0.1)
        return self.raw.receive(), self.udp.receive()


def wire(lab: Lab) -> Wire:
    """A cable with 10.77.0.2/24 at the server's end and 10.77.0.9/24 at the client's; link "office" is open."""
    server, client = lab.namespace("server"), lab.namespace("client")
    cable(server, "eth0", client, "eth0", address="10.77.0.2/24", mac=SERVER_MAC.hex(":"))
    client.ip("link", "set", "eth0", "address", CLIENT_MAC.hex(":"))
    client.ip("address", "add", "10.77.0.9/24", "broadcast", "+", "dev", "eth0")
    link = Link("office", "eth0", Ports())
    server.call(link.open)
    lab.on_close(link.close)
    return Wire(server, client, link)


def receive(endpoint: Endpoint) -> list[Datagram]:
    """What an endpoint received within a moment."""
    time.sleep(0.1)
    return endpoint.receive()


def _udp_client(address: str, port: int) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind((address, port))
    client.settimeout(2)
    return client


def _frame_client() -> socket.socket:
    client = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    client.bind(("eth0", 0x0003))
    client.settimeout(2)
    return client
