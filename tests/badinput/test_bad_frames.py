"""Row 14: headers of IP and UDP that lie, on the raw path; and those that only seem to, which must be served."""

from __future__ import annotations

import socket

import pytest

from badinput.besieged import Besieged
from badinput.octets import frame, half, message, with_ip_checksum, with_ip_options

pytestmark = [pytest.mark.root, pytest.mark.etcd]

VERSION, TOTAL, FRAGMENT, IP_SUM, UDP_LENGTH, UDP_SUM = 14, 16, 20, 24, 38, 40


def lying(at: int, value: int) -> bytes:
    """A frame with one wrong number in its IP header, and the checksum that goes with it."""
    return with_ip_checksum(bytearray(half(frame(message()), at, value)))


LIES = [
    ("a UDP length beyond the IP payload", half(frame(message()), UDP_LENGTH, 9999), "malformed"),
    ("a UDP length of 7", half(frame(message()), UDP_LENGTH, 7), "malformed"),
    ("a UDP length of 0", half(frame(message()), UDP_LENGTH, 0), "malformed"),
    ("an IP length beyond the frame", lying(TOTAL, 1500), "malformed"),
    ("an IP length of the header alone", lying(TOTAL, 20), "malformed"),
    ("IP version 6 in an IPv4 frame", lying(VERSION, 0x6510), "malformed"),
    ("a wrong IP checksum", half(frame(message()), IP_SUM, 0x1234), "bad_checksum"),
    ("a wrong UDP checksum", half(frame(message()), UDP_SUM, 0x1234), "bad_checksum"),
]
HONEST = [
    ("no UDP checksum", lambda: half(frame(message()), UDP_SUM, 0)),
    ("one word of IP options", lambda: with_ip_options(message(), 1)),
    ("ten words of IP options", lambda: with_ip_options(message(), 10)),
    ("octets behind the IP packet", lambda: bytes(frame(message())) + bytes(100)),
]


@pytest.mark.parametrize(("lie", "reason"), [each[1:] for each in LIES], ids=[each[0] for each in LIES])
def test_a_lie_is_dropped_with_its_reason_and_the_next_client_is_served(
    besieged: Besieged, lie: bytes, reason: str
) -> None:
    def send() -> None:
        besieged.link.send_raw(lie)
        besieged.serve_somebody()

    assert besieged.ends(send) == {reason: 1, "sent": 2}


@pytest.mark.parametrize("make", [each[1] for each in HONEST], ids=[each[0] for each in HONEST])
def test_what_is_unusual_but_true_is_answered(besieged: Besieged, make) -> None:
    assert besieged.ends(lambda: besieged.link.send_raw(make())) == {"sent": 1}


def test_an_unfinished_checksum_of_a_client_on_veth_is_answered(besieged: Besieged) -> None:
    def send() -> None:
        besieged.link.count += 1
        with besieged.link.namespace.call(_broadcaster) as sock:
            sock.sendto(message(), ("255.255.255.255", 67))

    assert besieged.ends(send) == {"sent": 1}


def test_fragments_and_other_ports_do_not_even_wake_the_node(besieged: Besieged) -> None:
    before = besieged.settled()
    unheard = [lying(FRAGMENT, 0x2000), lying(FRAGMENT, 0x0010), half(frame(message()), 36, 4011)]
    for each in unheard:
        besieged.link.send_raw(each)
    besieged.link.count -= len(unheard)
    besieged.serve_somebody()
    assert besieged.settled() == {**before, "sent": before["sent"] + 2}


def _broadcaster() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    return sock
