"""`everlease cluster drain`: an operator takes a node out of service, and nobody needs a second packet for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.crowd import Crowd
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from lab.packet_client import ipv4
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd, pytest.mark.patient]


def test_a_drained_node_serves_nobody_until_it_is_resumed(lab: Lab, crowd_on: Callable[..., Crowd]) -> None:
    site = Site(lab, nodes=2, members=1).start()
    asked, drained = site.nodes
    first = crowd_on(site.client("first"), 40, 1)
    first.boot(within=1.0)
    asked.cli("cluster", "drain", drained.name)
    first.run(first.all_bound, 30)
    assert first.most("DISCOVER") == first.most("REQUEST") == 1, first.describe()
    drained.wait_silent(5)
    assert drained.readiness().startswith("draining: drained; `everlease cluster resume node1` ends it")
    drained.stop()
    drained.start().wait_alive()
    wait_until(lambda: drained.readiness().startswith("draining"), 20, "it is drained again")
    second = crowd_on(site.client("second"), 40, 2)
    second.boot(within=0.5)
    second.run(second.all_bound, 30)
    assert {guest.ack.server for guest in second.guests if guest.ack} == {ipv4("10.77.0.2")}
    asked.cli("cluster", "resume", drained.name)
    drained.wait_ready(10)
    site.wait_agreed()
    third = crowd_on(site.client("third"), 40, 3)
    third.boot(within=0.5)
    third.run(third.all_bound, 30)
    assert third.most("DISCOVER") == 1, third.describe()
    assert {guest.ack.server for guest in third.guests if guest.ack} == {ipv4("10.77.0.2"), ipv4("10.77.0.3")}
