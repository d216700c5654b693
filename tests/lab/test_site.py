"""A whole site comes up, serves, and is judged from outside."""

from __future__ import annotations

import time

import pytest

from everlease.lab.netns import Lab
from everlease.runtime.candidates import OVERLAP
from lab.capture import Captured
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def test_a_site_serves_two_links_and_its_nodes_tell_their_metrics(lab: Lab) -> None:
    site = Site(lab, nodes=2, members=1, links=("office", "lab")).start()
    time.sleep(2 * OVERLAP)  # so long who was there first answers beside who came later
    for link, network in (("office", 77), ("lab", 78)):
        client = PacketClient(site.client(f"client-{link}", link))
        lab.on_close(client.close)
        ack = client.obtain()
        assert ack.packet is not None
        assert ack.packet.yiaddr >> 16 == 10 << 8 | network
    sent = sum(node.metric("everlease_packets_sent_total", family="v4") for node in site.nodes)
    assert sent == sum(node.metric("everlease_packets_sent_total") for node in site.nodes)
    assert sent == 4  # one node each: an OFFER and an ACK


def test_a_node_whose_transmissions_are_lost_is_alive_and_another_answers(lab: Lab) -> None:
    site = Site(lab, nodes=2, members=1).start()
    site.mute(0, "office")
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    answers: list[Captured] = []
    for _ in range(20):
        discover = client.message(1, chaddr=bytes([2, 0, 0, 0, 1, len(answers)]))
        answers.extend(client.ask_all(discover, within=0.1))
    assert {answer.source & 0xFF for answer in answers} == {3}
    assert site.nodes[0].alive()
