"""What the kernel drops because a node stood still is counted: every packet on the wire is received, and has an end."""

from __future__ import annotations

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.runtime.ethernet import BROADCAST_HARDWARE, build
from everlease.wire import v4
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

SENT = 9000
"""More than the 6,500 packets that a socket's queue holds."""


def test_what_finds_no_room_while_a_node_stands_still_is_received_and_dropped_by_its_reason(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    (node,) = site.nodes
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    payload = v4.build(client.message(v4.DISCOVER))
    frame = build(payload, (client.mac, BROADCAST_HARDWARE), (0, 0xFFFFFFFF), 67)
    before = node.metric("everlease_packets_received_total")
    node.pause()
    for _ in range(SENT):
        client.send_raw(frame)
    node.resume()
    wait_until(lambda: node.metric("everlease_packets_received_total") >= before + SENT, 20, "all of them are counted")
    assert node.metric("everlease_packets_received_total") == before + SENT
    assert 0 < node.metric("everlease_packets_dropped_total", reason="queue_full") < SENT
