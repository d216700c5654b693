"""Three nodes on one link, three etcd members, real processes in namespaces."""

from __future__ import annotations

import pytest

from lab.netns import Lab
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def test_a_client_gets_a_lease_from_three_nodes_on_one_link(lab: Lab) -> None:
    site = Site(lab).start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    ack = client.obtain()
    assert ack.kind == "ACK"
