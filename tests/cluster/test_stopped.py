"""A node that was stopped believes nothing of what it knew, and says nothing that it was about to say (I5, F21)."""

from __future__ import annotations

import time

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.packet_client import PacketClient, ipv4
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd, pytest.mark.patient]


def test_a_node_that_was_stopped_joins_again_and_answers_nothing_that_is_old(lab: Lab) -> None:
    site = Site(lab).start()
    stopped = site.nodes[0]
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    stopped.pause()
    for number in range(60):
        client.send(client.message(v4.DISCOVER, chaddr=bytes([2, 0, 0, 0, 3, number]), xid=number + 1))
        time.sleep(0.1)
    resumed = len(client.capture.packets)
    time.sleep(2.5)  # so that all of them are old
    told = stopped.log.read_text().count('"state": "joining"')
    stopped.resume()
    wait_until(lambda: stopped.log.read_text().count('"state": "joining"') > told, 5, "it joins")
    stopped.wait_ready(10)
    late = [each for each in client.capture.packets[resumed:] if each.server == ipv4("10.77.0.2")]
    assert late == []
    assert stopped.metric("everlease_packets_dropped_total", reason="not_serving") >= 40  # no loss: others answered
    site.wait_agreed()
    client.obtain()


def test_an_ack_whose_node_was_stopped_between_commit_and_sending_never_leaves(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    node = site.nodes[0]
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    offer = client.discover()
    site.etcd.pause(0)
    request = client.selecting(offer)
    client.send(request)
    wait_until(lambda: node.metric("everlease_commit_queue_length") >= 2, 5, "it and a presence wait")
    node.pause()
    site.etcd.resume(0)
    time.sleep(6)
    start = len(client.capture.packets)
    node.resume()
    node.wait_ready(20)
    time.sleep(1)
    assert [each for each in client.capture.packets[start:] if not each.sent and each.kind == "ACK"] == []
    assert node.metric("everlease_packets_dropped_total", reason="unavailable") == 1
    assert client.ask(client.selecting(offer)).kind == "ACK"
