"""No quorum: known clients are extended within what is committed, nobody is refused, readiness is the truth (F24)."""

from __future__ import annotations

import time

import pytest

from cluster.audit import Records
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

SILENCE = 0.7
"""Seconds in which a node that wants to answer has long done so."""

LINKS = ("office", "guests")
DOCUMENT = """schema: 1
cluster: {{on-quorum-loss: {policy}}}
subnets:
  - {{id: 1, prefix: 10.77.0.0/16, link: office, valid-lifetime: 1h, pools: [{{range: 10.77.16.0/24}}]}}
  - {{id: 2, prefix: 10.78.0.0/16, link: guests, valid-lifetime: 40s, pools: [{{range: 10.78.16.0/24}}]}}
"""


class Known:
    """A client that is bound, has its address, and knows its server."""

    def __init__(self, lab: Lab, site: Site, label: str, link: str) -> None:
        self.client = PacketClient(site.client(label, link))
        lab.on_close(self.client.close)
        ack = self.client.obtain()
        assert ack.packet is not None
        self.address, self.server = ack.packet.yiaddr, ack.server
        self.client.adopt(self.address, 16)

    def renews(self) -> Captured:
        return self.client.renew(self.address, self.server)

    def is_not_renewed(self) -> bool:
        packet = self.client.message(v4.REQUEST, ciaddr=self.address, flags=0)
        start = len(self.client.capture.packets)
        self.client.send_udp(packet, self.address, self.server)
        time.sleep(SILENCE)
        return not [each for each in self.client.capture.packets[start:] if not each.sent and each.kind]

    def hears(self, kind: int, options: dict[int, bytes] | None = None, **fields: int) -> list[Captured]:
        return self.client.ask_all(self.client.message(kind, options, **fields), within=SILENCE)


def wanting(address: int) -> dict[int, bytes]:
    return {50: address.to_bytes(4, "big")}


def lose_quorum(site: Site) -> None:
    for number in (0, 1):
        site.etcd.kill(number)


def readiness(site: Site, word: str) -> None:
    for node in site.nodes:
        wait_until(lambda node=node: node.readiness().startswith(word), 15, f"{node.name} {word}")


def test_without_a_quorum_known_clients_are_extended_and_nothing_else_is_answered(lab: Lab) -> None:
    site = Site(lab, links=LINKS).start(DOCUMENT.format(policy="extend-known"))
    office, guest = Known(lab, site, "office", "office"), Known(lab, site, "guest", "guests")
    stranger = PacketClient(site.client("stranger"))
    lab.on_close(stranger.close)
    committed = Records(site.etcd).bound()
    lose_quorum(site)
    readiness(site, "extending")
    assert all(node.ready() for node in site.nodes)
    rebound = office.hears(v4.REQUEST, ciaddr=office.address, flags=0)
    assert len(rebound) == 1  # the eligible nodes are those of before: one answers
    elsewhere = office.client.renew(office.address, "10.77.0.4")
    for ack in (office.renews(), elsewhere, *rebound):
        assert ack.packet is not None
        assert (ack.kind, ack.packet.yiaddr) == ("ACK", office.address)
        told = int.from_bytes(ack.packet.options[51], "big")
        assert ack.time + told <= committed[office.address].expires_at + 1
    assert guest.is_not_renewed()  # less than a minute is left of 40 s and 20 s of grace
    assert office.hears(v4.REQUEST, wanting(office.address)) == []  # INIT-REBOOT
    assert office.hears(v4.REQUEST, {**wanting(office.address), 54: office.server.to_bytes(4, "big")}) == []
    assert office.hears(v4.REQUEST, wanting(0x0A630001)) == []  # on a wrong network: no NAK either
    assert office.hears(v4.REQUEST, ciaddr=office.address + 1, flags=0) == []
    assert office.hears(v4.DISCOVER) == []
    assert stranger.ask_all(stranger.message(v4.DISCOVER), within=SILENCE) == []
    for number in (0, 1):
        site.etcd.start_member(number)
    readiness(site, "serving")
    site.wait_agreed()
    assert office.renews().kind == "ACK"
    assert stranger.obtain().kind == "ACK"


@pytest.mark.slow
def test_a_strict_cluster_without_a_quorum_is_silent_and_says_so(lab: Lab) -> None:
    site = Site(lab, links=LINKS).start(DOCUMENT.format(policy="strict"))
    office = Known(lab, site, "office", "office")
    lose_quorum(site)
    readiness(site, "degraded: the store has no leader")
    assert not any(node.ready() for node in site.nodes)
    assert office.is_not_renewed()
    assert office.hears(v4.REQUEST, ciaddr=office.address, flags=0) == []
    assert office.hears(v4.DISCOVER) == []


def test_a_store_that_says_nothing_at_all_is_no_reason_to_extend(lab: Lab) -> None:
    """Nobody knows that it has no leader: the others may have one."""
    site = Site(lab, links=LINKS).start(DOCUMENT.format(policy="extend-known"))
    office = Known(lab, site, "office", "office")
    for number in range(3):
        site.etcd.pause(number)
    readiness(site, "degraded: no commit")
    assert not any(node.ready() for node in site.nodes)
    assert office.is_not_renewed()
    assert office.hears(v4.REQUEST, ciaddr=office.address, flags=0) == []
    for number in range(3):
        site.etcd.resume(number)
    readiness(site, "serving")
    assert office.renews().kind == "ACK"
