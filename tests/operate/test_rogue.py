"""A DHCP server on a link of the cluster that is no member: found by hand and by the nodes, disturbing nobody."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from admin.furnished import furnish, neighbour, serve_link
from core.world import world
from everlease.core.actions import Drop
from everlease.core.identity import PROBE
from everlease.errors import ConfigError
from everlease.lab.netns import Lab
from everlease.lab.processes import run, wait_until
from everlease.probe.frames import Offer
from everlease.probe.patrol import Patrol
from everlease.settings import Settings, read_interface
from everlease.wire import v4
from lab.kea import Kea
from lab.packet_client import ipv4
from lab.site import Site

EVERLEASE = str(Path(sys.executable).with_name("everlease"))


def offer(server: str, *, identifier: bool = True) -> Offer:
    packet = v4.Packet(op=v4.BOOTREPLY, options={53: bytes([v4.OFFER])})
    return Offer(ipv4(server) if identifier else 0, ipv4(server), b"\x02" * 6, packet, 0.01)


def patrol() -> Patrol:
    rooms = furnish("n1")
    serve_link(rooms)  # 10.77.0.1
    neighbour(rooms, "n2")  # 10.77.0.2
    return Patrol("n1", {"office": "eth0"}, 60.0, rooms.membership)


@pytest.mark.root
@pytest.mark.etcd
@pytest.mark.slow  # half a minute: it waits for each node to look
def test_a_foreign_server_is_found_by_each_node_and_by_hand_and_the_cluster_holds_nothing_for_it(lab: Lab) -> None:
    site = Site(lab, nodes=2, members=1)
    for node in site.nodes:
        node.arguments += ["--rogue-probe", "5"]
    site.start()
    stranger = lab.namespace("stranger")
    site.links["office"].connect(stranger, "eth0", address="10.77.0.66/16")
    Kea(lab, stranger, "10.77.0.0/16", "10.77.200.1 - 10.77.200.9")
    for node in site.nodes:
        wait_until(lambda node=node: node.metric("everlease_rogue_servers", link="office") == 1, 40, "it is found")  # type: ignore[misc]
        told = [json.loads(line) for line in node.log.read_text().splitlines()]
        (rogue,) = [line for line in told if line["event"] == "rogue server"]
        assert (rogue["server"], rogue["link"], rogue["level"]) == ("10.77.0.66", "office", "warning")
    assert sum(node.metric("everlease_packets_dropped_total", reason="probe") for node in site.nodes) >= 2
    assert sum(node.metric("everlease_packets_sent_total") for node in site.nodes) == 0
    key = ["etcdctl", "--endpoints", site.etcd.endpoints[0], "get", "--prefix", "--keys-only", "/everlease/v/leases/"]
    assert run(site.hosts[0].command(key)).strip() == ""
    command = [EVERLEASE, "probe", "--interface", "eth1", "--count", "2", "--wait", "2", "-o", "json"]
    done = subprocess.run(site.hosts[0].command(command), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    rows = {row["server"]: (row["member"], row["rogue"]) for row in json.loads(done.stdout)}
    assert rows == {"10.77.0.3": ("node1", False), "10.77.0.66": ("", True)}  # a host does not hear itself


def test_a_member_is_known_by_every_address_that_its_clients_know_it_by() -> None:
    looking = patrol()
    members, strangers = ("10.77.0.1", "10.77.0.2"), ("10.77.0.66", "10.77.0.66")
    offers = [*map(offer, members), *map(offer, strangers), offer("10.9.9.9", identifier=False)]
    assert set(looking.rogues(offers)) == {ipv4("10.77.0.66"), ipv4("10.9.9.9")}


async def test_a_rogue_server_is_told_of_once_and_again_when_it_is_silent() -> None:
    looking = patrol()
    found = looking.rogues([offer("10.77.0.66")])
    with structlog.testing.capture_logs() as lines:
        for each in (found, found, {}, found):
            looking._tell("office", each)
            await asyncio.sleep(0)
    assert [line["event"] for line in lines] == ["rogue server", "rogue server is silent", "rogue server"]


def test_a_node_asks_as_one_client_for_each_link_which_no_member_answers() -> None:
    looking = patrol()
    assert looking.hardware("office").startswith(PROBE) and len(looking.hardware("office")) == 6
    assert looking.hardware("office") == patrol().hardware("office") != looking.hardware("lab")
    packet = v4.Packet(xid=1, chaddr=PROBE + b"\x07", hlen=6, options={53: bytes([v4.DISCOVER])})
    member = world()
    assert member.decide(packet) == Drop("probe", "discover")
    assert not isinstance(member.decide(replace(packet, chaddr=b"\x02" * 6)), Drop)


@pytest.mark.parametrize("seconds", [1.0, -5.0])
def test_a_period_that_would_be_a_burden_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="--rogue-probe"):
        Settings("n1", ("http://127.0.0.1:2379",), links=(read_interface("eth0"),), rogue_probe=seconds)


def test_links_are_needed_to_ask_on() -> None:
    with pytest.raises(ConfigError, match="--interface"):
        Settings("n1", ("http://127.0.0.1:2379",), listens=((0, 67),), rogue_probe=60.0)
