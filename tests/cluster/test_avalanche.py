"""The power comes back: every client of a building boots at once, and the pool has hardly room for them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest

from bench.prefill import FIRST_ADDRESS
from cluster.audit import Records, check
from cluster.crowd import Ack, dotted
from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import LabError, need, run, wait_until
from everlease.wire import v4
from lab.capture import Capture, Captured
from lab.packet_client import PacketRelay
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

RELAY = "10.77.9.9"  # perfdhcp is a relay, and all nodes hear it by the link's broadcast address
EVERYBODY = "10.77.255.255"
STRANGER = bytes.fromhex("02000000a0a0")
TESTS = Path(__file__).parents[1]


def document(pool: int) -> str:
    """A pool of so many addresses where the prefilled leases begin."""
    last = dotted(FIRST_ADDRESS + pool - 1)
    return (
        "schema: 1\nvalid-lifetime: 1h\nsubnets:\n"
        f"  - {{id: 1, prefix: 10.65.0.0/16, relays: [{RELAY}], pools: [{{range: 10.65.0.0-{last}}}]}}\n"
    )


def avalanche(lab: Lab, clients: int, filled: int, pool: int, patience: float) -> tuple[list[Captured], Records]:
    """Boot `clients` at once, `filled` of the pool's addresses being others'; what was seen, and what etcd holds."""
    need("perfdhcp")
    site = Site(lab)
    lab.on_close(site.etcd.stop)
    site.etcd.start()
    prefill = ["-m", "cluster.filled", "--etcd", site.etcd.endpoints[0], "--leases", str(filled), "--pool", str(pool)]
    run(site.hosts[0].command(["env", f"PYTHONPATH={TESTS}", sys.executable, *prefill]), 120)
    site.start(document(pool))
    source = site.client("load", address=f"{RELAY}/16")
    announce(site, source)
    with Capture(source) as capture:
        boot_at_once(site, source, clients, patience, capture)
        begin_again(source, refused(capture.packets))
    return capture.packets, Records(site.etcd)


def announce(site: Site, source: Namespace) -> None:
    """The relay is known, as that of a building is: each node has told the others that it hears it."""
    relay = PacketRelay(source, RELAY, EVERYBODY)
    relay.send(v4.Packet(xid=1, chaddr=STRANGER, hlen=6, options={53: bytes([v4.DISCOVER])}))
    relay.close()
    told = f'"relays":["{RELAY}"]'
    nodes = len(site.nodes)
    wait_until(
        lambda: site.etcd.etcdctl("get", "--prefix", "/everlease/v/nodes/").count(told) == nodes, 10, "relay told"
    )


def boot_at_once(site: Site, source: Namespace, clients: int, patience: float, capture: Capture) -> None:
    """perfdhcp ends when every client has its address; it retransmits for ever what was refused, so it is told to."""
    load = ["--scenario", "avalanche", "-R", str(clients), "-u", "-b", "mac=02:a0:00:00:00:00"]
    perfdhcp = site.lab.start(source, "perfdhcp", "-4", "-B", *load, "-l", RELAY, EVERYBODY)
    bound: set[bytes] = set()
    read = 0

    def done() -> bool:
        nonlocal read
        seen = len(capture.packets)
        bound.update(each.packet.chaddr for each in capture.packets[read:seen] if each.packet and each.kind == "ACK")
        read = seen
        return perfdhcp.returncode is not None or len(bound) + len(refused(capture.packets)) >= clients

    try:
        wait_until(done, patience, "every client answered", 0.5)
    except LabError as late:
        raise LabError(f"{late}: {len(bound)} are bound\n{drops(site)}\n{histories(capture.packets, bound)}") from late
    perfdhcp.stop()


def drops(site: Site) -> str:
    """Why each node was silent."""
    name = "everlease_packets_dropped_total"
    counted = {
        node.name: {labels["reason"]: value for found, labels, value in node.metrics() if found == name and value}
        for node in site.nodes
    }
    return str(counted)


def histories(packets: list[Captured], bound: Collection[bytes]) -> str:
    """What happened to a few of the clients that are not bound."""
    left = {each.packet.chaddr for each in packets if each.packet} - {*bound, STRANGER}
    some = sorted(left)[:3]
    return "\n".join(str(each) for mac in some for each in packets if each.packet and each.packet.chaddr == mac)


def refused(packets: list[Captured]) -> dict[bytes, int]:
    """The clients that were refused what they had been offered, and got nothing since; and how often."""
    bound = {each.packet.chaddr for each in packets if each.packet and each.kind == "ACK"}
    naks = Counter(each.packet.chaddr for each in packets if each.packet and each.kind == "NAK")
    return {mac: count for mac, count in naks.items() if mac not in bound}


def begin_again(source: Namespace, macs: Collection[bytes]) -> None:
    """What perfdhcp does not do, and every client does: after a NAK it sends DISCOVER (RFC 2131 section 3.1.5)."""
    relay = PacketRelay(source, RELAY, EVERYBODY)
    for number, mac in enumerate(macs):
        hardware = {"chaddr": mac, "hlen": 6, "xid": 0xA0000000 + number}
        offer = relay.ask(v4.Packet(options={53: bytes([v4.DISCOVER])}, **hardware)).packet
        assert offer is not None
        wanted = {53: bytes([v4.REQUEST]), 50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]}
        assert relay.ask(v4.Packet(options=wanted, **hardware)).kind == "ACK"
    relay.close()


def show(lab: Lab, clients: int, filled: int, pool: int, patience: float) -> None:
    """patience: seconds for the last client to be bound."""
    packets, records = avalanche(lab, clients, filled, pool, patience)
    naked = {each.packet.chaddr for each in packets if each.packet and each.kind == "NAK"}
    acks = [ack_of(packet) for packet in packets if packet.kind == "ACK"]
    print(figures(packets, len(naked)))
    assert len({ack.mac for ack in acks}) == clients, "somebody was left without"
    assert len({ack.address for ack in acks}) == clients
    assert len(naked) <= clients // 1000
    check(acks, records)
    bound = records.bound()
    assert len(bound) == filled + clients
    assert len(bound) >= 0.98 * pool - 1


def figures(packets: list[Captured], naked: int) -> str:
    """For the log: how many of each kind, who was refused, and how long it took."""
    kinds = Counter(packet.kind for packet in packets)
    acks = [packet.time for packet in packets if packet.kind == "ACK"]
    seconds = max(acks) - packets[0].time
    return f"{dict(kinds)}, {naked} clients refused, everybody bound after {seconds:.1f} s"


def ack_of(captured: Captured) -> Ack:
    packet = captured.packet
    assert packet is not None
    lifetime = int.from_bytes(packet.options[51], "big")
    return Ack(packet.chaddr, packet.yiaddr, captured.server, lifetime, captured.time, captured.time)


def test_a_thousand_clients_boot_at_once_into_a_pool_that_has_eleven_addresses_more(lab: Lab) -> None:
    # Two nodes make offers of their own to up to ninety of them. What nobody took ends after 35 s (lifetime and clock
    # margin), and nobody may have to wait for that.
    show(lab, clients=1000, filled=1509, pool=2520, patience=35)


@pytest.mark.slow
def test_ten_thousand_clients_boot_at_once_into_a_pool_that_they_fill_to_98_percent(lab: Lab) -> None:
    show(lab, clients=10_000, filled=10_070, pool=20_480, patience=300)
