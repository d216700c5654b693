"""What real nodes write while clients come and go: each binding and its end, and nobody's name where so asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from cluster.crowd import Crowd
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.packet_client import PacketClient, PacketRelay
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_binding_has_its_line_and_with_the_privacy_switch_no_line_names_anybody(
    lab: Lab, crowd_on: Callable[..., Crowd], tmp_path: Path
) -> None:
    site = Site(lab, nodes=2, members=1)
    secret, forensic = site.nodes
    secret.arguments += ["--log-privacy", "--log-leases", "--log-level", "info"]
    file = tmp_path / "leases.log"
    forensic.arguments += [f"--log-leases={file}?size=1MB&keep=3", "--listen", "10.99.0.2"]
    site.start(site.simple() + "  - {id: 2, prefix: 10.88.0.0/24, pools: [{range: 10.88.0.10-10.88.0.99}]}\n")
    namespace = site.client("clients")
    crowd = crowd_on(namespace, 60)
    crowd.boot(within=1.0)
    crowd.run(crowd.all_bound, 30)
    named = PacketClient(site.client("named"), mac="02:aa:bb:cc:dd:01", client_id=b"\x00anna-s laptop")
    lab.on_close(named.close)
    for kind in (v4.RELEASE, v4.DECLINE):
        offer = named.ask(named.message(v4.DISCOVER, {12: b"annas-laptop"})).packet
        assert offer is not None
        picked = {50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54], 12: b"annas-laptop"}
        ack = named.ask(named.message(v4.REQUEST, picked)).packet
        assert ack is not None
        end = {54: ack.options[54]}
        fields = {"ciaddr": ack.yiaddr} if kind == v4.RELEASE else {}
        named.send(named.message(kind, end if fields else {**end, 50: ack.yiaddr.to_bytes(4, "big")}, **fields))

    def both(event: str) -> list[dict[str, Any]]:
        return [line for line in (*lines_of(secret.log), *lines_of(file)) if line["event"] == event]

    relayed = _relayed(lab, site)
    wait_until(lambda: both("release") and both("decline"), 10, "both ends are told")
    wait_until(lambda: len(both("ack")) >= len(crowd.acks) + 3, 10, "every ACK is told")
    _names_nobody(secret.log.read_text(), crowd, named)
    told = {line["hardware"]: line for line in lines_of(file) if line["event"] == "ack"}
    for ack in crowd.acks:
        if line := told.get(ack.mac.hex(":")):
            assert line["address"] == str(IPv4Address(ack.address)) and line["revision"] > 0
            assert (line["node"], line["config"], line["subnet"], line["link"]) == ("node1", 1, 1, "office")
    assert told and len(told) < len(crowd.acks)
    (line,) = [line for line in lines_of(file) if line["relay"]]
    assert (line["relay"], line["subnet"], line["address"], line["option82"]) == ("10.88.0.1", 2, *relayed)


def _names_nobody(text: str, crowd: Crowd, named: PacketClient) -> None:
    names = {guest.mac.hex() for guest in crowd.guests} | {
        named.mac.hex(),
        named.client_id.hex(),
        "annas-laptop",
        "616e6e61",
    }
    names |= {guest.mac.hex(":") for guest in crowd.guests}
    addresses = {str(IPv4Address(ack.address)) for ack in crowd.acks}
    assert [name for name in names if name in text] == []
    assert [address for address in addresses if f'"{address}"' in text] == []
    lines = [json.loads(line) for line in text.splitlines()]
    assert sum(line["event"] == "ack" for line in lines) > 5  # there was something to hide
    own = [line for line in lines if line["event"] == "ack"]
    assert len({line["client"] for line in own}) == len({line["address"] for line in own})  # and it can be joined


def _relayed(lab: Lab, site: Site) -> tuple[str, str]:
    """A client behind a relay that only node1 hears: its address, and option 82 as it was sent."""
    host = lab.namespace("relay")
    site.backbone.connect(host, "eth0", address="10.99.0.50/24")
    host.ip("address", "add", "10.88.0.1/32", "dev", "lo")
    site.hosts[1].ip("route", "add", "10.88.0.1", "via", "10.99.0.50")
    relay = PacketRelay(host, "10.88.0.1", "10.99.0.2")
    lab.on_close(relay.close)
    told = {82: b"\x01\x04port"}
    asked = v4.Packet(xid=7, chaddr=b"\x02\x00\x00\x00\x00\x09", hlen=6, options={53: bytes([v4.DISCOVER]), **told})
    offer = relay.ask(asked).packet
    assert offer is not None
    picked = {50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54], 53: bytes([v4.REQUEST]), **told}
    relay.ask(v4.Packet(xid=8, chaddr=asked.chaddr, hlen=6, options=picked))
    return str(IPv4Address(offer.yiaddr)), told[82].hex()


def test_a_node_serves_while_nobody_reads_what_it_writes(
    lab: Lab, crowd_on: Callable[..., Crowd], tmp_path: Path
) -> None:
    site = Site(lab, nodes=1, members=1)
    (node,) = site.nodes
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(reader, b"x" * 4096)
    except BlockingIOError:
        pass  # full: the node's first line waits for ever
    node.program = ["sh", "-c", f'exec "$0" "$@" 2>{pipe}', sys.executable, "-m", "everlease"]
    node.arguments += ["--log-leases"]
    site.start()
    crowd = crowd_on(site.client("clients"), 40)
    crowd.boot(within=0.5)
    crowd.run(crowd.all_bound, 30)
    assert crowd.most("DISCOVER") == 1, crowd.describe()
    assert node.stop() == 0
    os.close(reader)
