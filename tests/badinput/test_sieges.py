"""Attacks that go on for a while: floods, starvation, storms of DECLINE, replays and forgeries.

Law: whoever attacks gets what an honest stranger would get, and takes from the node no more than its bounds: memory,
records in etcd, and nothing of what belongs to somebody else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice

import pytest

from badinput.besieged import RESERVED, RESERVED_MAC, SERVER, SMALL, Besieged
from badinput.octets import DISCOVER, END, REQUEST, message, option, random_mac
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

FLOODED, SMALL_RELAY = ipv4("10.82.0.1"), ipv4("10.81.0.1")
ZEROS = bytes(6)
"""The hardware address for which no rate limit is kept, so that every packet of a flood is looked at."""

CRAFTED = [
    DISCOVER + option(81, b"\4\0\0\x40" + b"x" * 64) + END,
    DISCOVER + option(12, b"\xff" * 255) + option(60, b"\0" * 255) + END,
    DISCOVER + option(55, bytes(range(255))) * 2 + END,
    DISCOVER + option(82, b"\1\5a") + END,
    DISCOVER + option(61, b"c" * 255) * 3 + END,
    DISCOVER + b"\x0c\x40",
    option(53, b"\x0a") + END,
    option(53, b"\x09") + option(90, bytes(11)) + END,
    b"",
]
"""Options fields that cost other servers memory for each packet: FQDN labels, leasequeries, options to be joined."""


def crafted(count: int) -> Iterator[bytes]:
    """So many packets of these shapes."""
    return islice((message(options, mac=ZEROS, giaddr=FLOODED) for options in cycle(CRAFTED)), count)


def bound(reply: Captured) -> int:
    """The address in a reply."""
    assert reply.packet is not None
    return reply.packet.yiaddr


def flood_without_growth(besieged: Besieged, warm_up: int, count: int) -> None:
    besieged.flood(crafted(warm_up))
    before, keys = besieged.memory(), len(besieged.keys())
    besieged.flood(crafted(count))
    assert besieged.memory() < 1.05 * before
    assert len(besieged.keys()) == keys
    besieged.serve_somebody()


def test_row_15_crafted_packets_leave_nothing_behind(besieged: Besieged) -> None:
    flood_without_growth(besieged, warm_up=5_000, count=50_000)


@pytest.mark.slow
def test_row_15_a_million_crafted_packets_leave_nothing_behind(besieged: Besieged) -> None:
    flood_without_growth(besieged, warm_up=20_000, count=1_000_000)


def test_row_31_discovers_of_strangers_write_nothing_and_the_reserved_client_is_served(besieged: Besieged) -> None:
    keys = len(besieged.keys("v/leases/"))
    besieged.flood(message(giaddr=FLOODED) for _ in range(10_000))
    assert len(besieged.keys("v/leases/")) == keys
    besieged.link.mac = RESERVED_MAC
    assert bound(besieged.link.obtain()) == ipv4(RESERVED)
    besieged.serve_somebody()


def test_row_31_one_hardware_address_with_a_thousand_client_identifiers_is_one_client(besieged: Besieged) -> None:
    mac = random_mac()
    names = [DISCOVER + option(61, b"\0" + random.randbytes(8)) + END for _ in range(1_000)]
    ends = besieged.ends(lambda: [besieged.link.send_frame(message(name, mac=mac)) for name in names])
    assert ends["rate_limit"] > 900
    besieged.serve_somebody()


def test_row_31_a_pool_that_is_starved_holds_no_more_records_than_addresses(besieged: Besieged) -> None:
    besieged.flood(message(giaddr=SMALL_RELAY) for _ in range(2_000))
    besieged.flood(taking(random.randrange(256)) for _ in range(2_000))
    besieged.settled()
    assert len(besieged.keys("v/leases/default/4/0a51")) <= SMALL
    assert len(besieged.keys("x/clients/default/4/5/")) <= SMALL
    besieged.serve_somebody()


def taking(last: int) -> bytes:
    """A stranger's REQUEST for an address of the smallest subnet that nobody offered to it."""
    address = option(50, bytes((10, 81, 0, last)))
    return message(REQUEST + address + option(54, ipv4(SERVER).to_bytes(4, "big")) + END, giaddr=SMALL_RELAY)


def test_row_33_a_client_that_declines_all_it_gets_takes_no_more_than_its_rate(besieged: Besieged) -> None:
    link, declined = besieged.link, besieged.node.metric("everlease_view_leases", state="declined")
    link.mac = random_mac()
    for _ in range(3):
        address = bound(link.obtain())
        assert besieged.ends(lambda: link.decline(address, SERVER)) == {"done": 1}  # noqa: B023  (called at once)
    storm = link.message(v4.DECLINE, {54: ipv4(SERVER).to_bytes(4, "big")})
    addresses = range(ipv4("10.77.16.0"), ipv4("10.77.16.0") + 500)
    ends = besieged.ends(
        lambda: [link.send(replace(storm, options={**storm.options, 50: a.to_bytes(4, "big")})) for a in addresses]
    )
    assert set(ends) <= {"rate_limit", "no_binding", "decline_rate"}
    assert besieged.node.metric("everlease_view_leases", state="declined") == declined + 3
    besieged.serve_somebody()


def test_row_12_what_others_release_or_decline_stays_ours(besieged: Besieged) -> None:
    link = besieged.link
    link.mac = victim = random_mac()
    address = bound(link.obtain())
    forged = {50: address.to_bytes(4, "big"), 54: ipv4(SERVER).to_bytes(4, "big")}
    stranger = {**forged, 54: ipv4("192.0.2.1").to_bytes(4, "big")}
    link.mac = random_mac()
    link.send(link.message(v4.DECLINE, forged))
    link.send(link.message(v4.RELEASE, {54: forged[54]}, ciaddr=address))
    link.mac = victim
    ends = besieged.ends(lambda: link.send(link.message(v4.RELEASE, {54: stranger[54]}, ciaddr=address)))
    assert ends == {"other_server": 1}
    assert besieged.settled()["no_binding"] >= 2
    link.mac = random_mac()
    assert bound(link.discover({50: forged[50]})) != address
    link.mac = victim
    assert link.reboot(address).kind == "ACK"


def test_row_34_what_is_replayed_after_the_address_has_another_holder_changes_nothing(besieged: Besieged) -> None:
    link, server = besieged.link, ipv4(SERVER).to_bytes(4, "big")
    link.mac = first = random_mac()
    offer = link.discover()
    address = bound(offer)
    taken = link.selecting(offer)
    assert link.ask(taken).kind == "ACK"
    given_back = link.message(v4.RELEASE, {54: server}, ciaddr=address)
    assert besieged.ends(lambda: link.send(given_back)) == {"done": 1}
    link.mac = second = random_mac()
    assert bound(link.request(link.discover({50: address.to_bytes(4, "big")}))) == address
    link.mac = first
    assert besieged.ends(lambda: link.send(given_back)) == {"no_binding": 1}
    assert link.ask(taken).kind == "NAK"
    renewal = link.message(v4.REQUEST, ciaddr=address)
    assert [reply.kind for reply in link.ask_all(renewal, 0.3)] in ([], ["NAK"])
    link.mac = second
    assert link.reboot(address).kind == "ACK"
    besieged.settled()


def test_row_32_relays_that_nobody_accepts_are_not_taken_for_relays(besieged: Besieged) -> None:
    rogue = range(ipv4("192.0.2.1"), ipv4("192.0.2.250"))
    besieged.flood(message(giaddr=giaddr) for giaddr in rogue)
    for giaddr in rogue:
        besieged.link.send_frame(message(giaddr=giaddr))
    assert besieged.ends(lambda: besieged.relay.send_octets(message(giaddr=ipv4("10.78.0.1")))) == {"sent": 1}
    record = besieged.site.etcd.etcdctl("get", "/everlease/v/nodes/node0")
    assert "192.0.2." not in record
