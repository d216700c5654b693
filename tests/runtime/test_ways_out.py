"""How a reply leaves: by UDP, or by a frame of our own."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from everlease.core.actions import TO_ADDRESS, TO_BROADCAST, TO_HARDWARE, TO_RELAY, Destination, Reply
from everlease.runtime.exchange import BROADCAST_HARDWARE, leave
from runtime.house import Wire

OWN, HERE, THERE = (int(IPv4Address(text)) for text in ("10.77.0.1", "10.77.3.9", "10.99.0.9"))
MAC = bytes.fromhex("020000000007")


class Noting(Wire):
    """Which way a reply left, and to whom."""

    def __init__(self, interface: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.own = interface
        self.left: list[tuple[str, object]] = []

    @property
    def interface(self) -> tuple[tuple[int, int], ...]:
        return self.own

    def send_udp(self, payload: bytes, address: int, port: int, source: int = 0) -> bool:
        self.left.append(("udp", address))
        return True

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        self.left.append(("frame", hardware))
        return True


@pytest.mark.parametrize(
    ("to", "interface", "sent"),
    [
        (Destination(TO_RELAY, THERE, 67), ((OWN, 16),), ("udp", THERE)),
        (Destination(TO_HARDWARE, HERE, 68, MAC), ((OWN, 16),), ("frame", MAC)),
        (Destination(TO_BROADCAST, 0xFFFFFFFF, 68), ((OWN, 16),), ("frame", BROADCAST_HARDWARE)),
        # On this link no ARP is needed; a client behind a router, or one that no frame reaches, is the kernel's affair.
        (Destination(TO_ADDRESS, HERE, 68, MAC), ((OWN, 16),), ("frame", MAC)),
        (Destination(TO_ADDRESS, HERE, 68, MAC), ((THERE, 24), (OWN, 16)), ("frame", MAC)),
        (Destination(TO_ADDRESS, HERE, 68, MAC), ((OWN, 24),), ("udp", HERE)),
        (Destination(TO_ADDRESS, HERE, 68, MAC), (), ("udp", HERE)),
        (Destination(TO_ADDRESS, HERE, 68), ((OWN, 16),), ("udp", HERE)),
    ],
)
def test_a_reply_leaves_by_udp_or_by_a_frame(
    to: Destination, interface: tuple[tuple[int, int], ...], sent: tuple[str, object]
) -> None:
    wire = Noting(interface)
    assert leave(wire, Reply(to, b"payload", "request", "ack"), OWN)
    assert wire.left == [sent]
