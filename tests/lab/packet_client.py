"""A DHCP client made of packets, for scripted exchanges: every field is the caller's to choose, also the wrong ones.

Law: it retransmits nothing and remembers nothing but its identity; a test says what is sent, and reads what came back.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError
from everlease.runtime.ethernet import BROADCAST_HARDWARE, build
from everlease.wire import v4
from lab.capture import Capture, Captured

EVERYBODY = 0xFFFFFFFF
PARAMETERS = bytes([1, 3, 6, 15, 28, 51, 54, 58, 59])


def ipv4(address: str | int) -> int:
    """An address as the packets have it."""
    return int(IPv4Address(address))


class Talker:
    """What clients and relays share: sending a packet, and waiting for the replies to it."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self.namespace = namespace
        self.interface = interface
        self.capture = Capture(namespace, interface).start()

    def send(self, packet: v4.Packet) -> None:
        """Send it; how, is the subclass's."""
        raise NotImplementedError

    def ask(self, packet: v4.Packet, timeout: float = 5.0) -> Captured:
        """Send, and return the first reply with the packet's xid; LabError after `timeout` seconds."""
        start = len(self.capture.packets)
        self.send(packet)
        return self.capture.wait(_answers(packet), timeout, start)

    def ask_all(self, packet: v4.Packet, within: float = 1.0) -> list[Captured]:
        """Send, and return every reply that comes within so many seconds; [] is silence."""
        start = len(self.capture.packets)
        self.send(packet)
        wanted = _answers(packet)
        try:
            self.capture.wait(lambda _: False, within, start)
        except LabError:
            return [captured for captured in self.capture.packets[start:] if wanted(captured)]
        return []

    def close(self) -> None:
        """End its capture and give sockets back."""
        self.capture.stop()


class PacketClient(Talker):
    """A client on a link. `fields` of a message are given by name (`secs=3`, `flags=0x8000`), `options` by code."""

    def __init__(self, namespace: Namespace, interface: str = "eth0", mac: str = "", client_id: bytes = b"") -> None:
        super().__init__(namespace, interface)
        self.mac = bytes.fromhex(mac.replace(":", "")) if mac else _own_mac(namespace, interface)
        self.client_id = client_id
        self._raw = namespace.call(lambda: _raw(interface))

    def message(self, kind: int, options: Mapping[int, bytes] | None = None, **fields: Any) -> v4.Packet:
        """A message of a type (v4.DISCOVER, ...) with a random xid; what is given replaces what is usual."""
        identity = {61: self.client_id} if self.client_id else {}
        usual = {53: bytes([kind]), **identity, 55: PARAMETERS}
        packet = v4.Packet(xid=random.getrandbits(32), chaddr=self.mac, hlen=len(self.mac), flags=v4.BROADCAST_FLAG)
        return replace(packet, options={**usual, **(options or {})}, **fields)

    def send(self, packet: v4.Packet) -> None:
        """By broadcast from 0.0.0.0, as a client does that has no address."""
        self.send_frame(v4.build(packet))

    def send_frame(self, payload: bytes, to: bytes = BROADCAST_HARDWARE) -> None:
        """Any octets at all, to port 67 of everybody."""
        self.send_raw(from_client_port(build(payload, (self.mac, to), (0, EVERYBODY), 67)))

    def send_raw(self, frame: bytes) -> None:
        """An Ethernet frame as it is, with whatever is wrong about it."""
        self._raw.send(frame)

    def discover(self, options: Mapping[int, bytes] | None = None, timeout: float = 5.0, **fields: Any) -> Captured:
        """DISCOVER; returns the first OFFER."""
        return self.ask(self.message(v4.DISCOVER, options, **fields), timeout)

    def request(self, offer: Captured, options: Mapping[int, bytes] | None = None, timeout: float = 5.0) -> Captured:
        """REQUEST in SELECTING, for an offer; returns the first reply."""
        return self.ask(self.selecting(offer, options), timeout)

    def selecting(self, offer: Captured, options: Mapping[int, bytes] | None = None) -> v4.Packet:
        """The REQUEST that takes an offer: same xid, its server, its address (RFC 2131 section 4.3.2)."""
        if offer.packet is None:
            raise LabError("an offer that cannot be parsed")
        chosen = {54: offer.packet.options[54], 50: offer.packet.yiaddr.to_bytes(4, "big"), **(options or {})}
        return self.message(v4.REQUEST, chosen, xid=offer.packet.xid)

    def obtain(self, options: Mapping[int, bytes] | None = None, timeout: float = 5.0) -> Captured:
        """DISCOVER and REQUEST; returns the ACK. LabError for anything else."""
        reply = self.request(self.discover(options, timeout), options, timeout)
        if reply.kind != "ACK":
            raise LabError(f"no lease: {reply}")
        return reply

    def reboot(self, address: str | int, timeout: float = 5.0) -> Captured:
        """REQUEST in INIT-REBOOT."""
        return self.ask(self.message(v4.REQUEST, {50: ipv4(address).to_bytes(4, "big")}), timeout)

    def rebind(self, address: str | int, timeout: float = 5.0) -> Captured:
        """REQUEST in REBINDING: by broadcast, ciaddr set. The reply is unicast: `adopt` the address before."""
        return self.ask(self.message(v4.REQUEST, ciaddr=ipv4(address), flags=0), timeout)

    def adopt(self, address: str | int, length: int = 24) -> None:
        """Give the kernel an address, so that it answers ARP and can be reached by unicast."""
        prefix = f"{IPv4Address(address)}/{length}"
        self.namespace.ip("address", "replace", prefix, "broadcast", "+", "dev", self.interface)

    def renew(self, address: str | int, server: str | int, timeout: float = 5.0, **fields: Any) -> Captured:
        """REQUEST in RENEWING: by UDP from the address (see `adopt`) to the server."""
        packet = self.message(v4.REQUEST, ciaddr=ipv4(address), flags=0, **fields)
        start = len(self.capture.packets)
        self.send_udp(packet, address, server)
        return self.capture.wait(_answers(packet), timeout, start)

    def release(self, address: str | int, server: str | int) -> None:
        """RELEASE by UDP from the address (see `adopt`); there is no reply."""
        identifier = {54: ipv4(server).to_bytes(4, "big")}
        self.send_udp(self.message(v4.RELEASE, identifier, ciaddr=ipv4(address), flags=0), address, server)

    def decline(self, address: str | int, server: str | int) -> None:
        """DECLINE by broadcast; there is no reply."""
        named = {50: ipv4(address).to_bytes(4, "big"), 54: ipv4(server).to_bytes(4, "big")}
        self.send(self.message(v4.DECLINE, named))

    def send_udp(self, packet: v4.Packet, address: str | int, server: str | int) -> None:
        """Through the namespace's kernel, from an address that it has."""
        with self.namespace.call(lambda: _udp(str(IPv4Address(address)), 68)) as sock:
            sock.sendto(v4.build(packet), (str(IPv4Address(server)), 67))

    def close(self) -> None:
        """End its capture and give sockets back."""
        super().close()
        self._raw.close()


class PacketRelay(Talker):
    """A relay agent: sets giaddr, sends to one or more servers from giaddr:67, and hears what comes back."""

    def __init__(self, namespace: Namespace, giaddr: str, *servers: str, interface: str = "eth0") -> None:
        super().__init__(namespace, interface)
        self.giaddr = giaddr
        self.servers = servers
        self._socket = namespace.call(lambda: _udp(giaddr, 67))

    def send(self, packet: v4.Packet) -> None:
        """To every server, with giaddr, and one hop more."""
        relayed = v4.build(replace(packet, giaddr=ipv4(self.giaddr), hops=packet.hops + 1))
        for server in self.servers:
            host, _, port = server.partition(":")
            self._socket.sendto(relayed, (host, int(port or 67)))

    def close(self) -> None:
        """End its capture and give sockets back."""
        super().close()
        self._socket.close()


def _answers(packet: v4.Packet) -> Callable[[Captured], bool]:
    """A reply with its xid; for a REQUEST, not the OFFER of another server, which comes late and with the same xid."""
    late = "OFFER" if packet.message_type == v4.REQUEST else None

    def answers(captured: Captured) -> bool:
        message = captured.packet
        if captured.sent or message is None or captured.kind == late:
            return False
        return message.op == v4.BOOTREPLY and message.xid == packet.xid

    return answers


def from_client_port(frame: bytes) -> bytes:
    """`build` writes frames of a server; a client's come from port 68, and no checksum is needed (RFC 768)."""
    return frame[:34] + b"\x00\x44" + frame[36:40] + b"\0\0" + frame[42:]


def _own_mac(namespace: Namespace, interface: str) -> bytes:
    text = namespace.ip("-o", "link", "show", "dev", interface)
    return bytes.fromhex(text.partition("link/ether ")[2].split()[0].replace(":", ""))


def _raw(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    return sock


def _udp(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind((address, port))
    return sock
