"""The client side of one node goes away while its store side is fine: its clients are the others', at once (F29)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cluster.crowd import Crowd
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import PacketClient, ipv4
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

_numbers = itertools.count()


@dataclass(frozen=True)
class Loss:
    """How the interface goes, and how it comes back; each is a function of the site, about host 0."""

    take: Callable[[Site], object]
    give: Callable[[Site], object]


def first_answers(client: PacketClient) -> list[list[Captured]]:
    """What each of a dozen new clients gets for its first DISCOVER."""
    macs = [b"\x02\x0d" + next(_numbers).to_bytes(4, "big") for _ in range(12)]
    return [client.ask_all(client.message(v4.DISCOVER, chaddr=mac), within=0.1) for mac in macs]


def connect(site: Site) -> None:
    site.links["office"].connect(site.hosts[0], "eth1", address="10.77.0.2/16")


CARRIER = Loss(
    lambda site: site.links["office"].cut(site.ports["office"][0]),
    lambda site: site.links["office"].restore(site.ports["office"][0]),
)
DOWN = Loss(
    lambda site: site.hosts[0].ip("link", "set", "eth1", "down"),
    lambda site: site.hosts[0].ip("link", "set", "eth1", "up"),
)
GONE = Loss(lambda site: site.hosts[0].ip("link", "delete", "eth1"), connect)


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(CARRIER, id="carrier"),
        pytest.param(DOWN, id="down", marks=pytest.mark.slow),
        pytest.param(GONE, id="deleted"),
    ],
)
def test_a_lost_link_leaves_presence_at_once_and_comes_back_by_itself(lab: Lab, loss: Loss) -> None:
    site = Site(lab, nodes=2, members=1)
    site.start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)

    def answering() -> set[int]:
        """Who answers; an empty set if a client was not answered, or twice."""
        answers = first_answers(client)
        return {each.server for found in answers for each in found} if set(map(len, answers)) == {1} else set()

    def tells() -> bool:
        return '"office":["10.77.0.2"]' in site.etcd.etcdctl("get", "/everlease/v/nodes/node0")

    first, second = ipv4("10.77.0.2"), ipv4("10.77.0.3")
    wait_until(lambda: answering() == {first, second}, 10, "each node answers its clients")
    loss.take(site)
    wait_until(lambda: not tells(), 2, "the link is out of presence")
    wait_until(lambda: answering() == {second}, 3, "the other node answers every first DISCOVER")
    assert site.nodes[0].readiness().startswith("degraded: no link to serve")
    loss.give(site)
    wait_until(tells, 10, "the link is back in presence")
    wait_until(lambda: answering() == {first, second}, 10, "both answer")


@pytest.mark.slow
def test_a_node_that_is_heard_again_has_its_clients_back_after_a_minute(
    lab: Lab, crowd_on: Callable[..., Crowd]
) -> None:
    site = Site(lab).start()
    site.mute(0, "office")
    crowd = crowd_on(site.client("crowd"), 60)
    crowd.boot(within=0.5)
    crowd.run(crowd.all_bound, 30)
    keys = ("get", "--prefix", "/everlease/v/nodes/")
    wait_until(lambda: '"takeovers"' in site.etcd.etcdctl(*keys), 5, "it is skipped")
    site.unmute(0, "office")
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)

    def servers() -> set[int]:
        return {each.server for answers in first_answers(client) for each in answers}

    wait_until(lambda: servers() == {ipv4("10.77.0.3"), ipv4("10.77.0.4")}, 5, "its clients are the others'")
    wait_until(lambda: '"takeovers"' not in site.etcd.etcdctl(*keys), 70, "the minute is over")
    wait_until(lambda: ipv4("10.77.0.2") in servers(), 5, "it is asked again")
