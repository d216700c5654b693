"""Several nodes hear a client, or only some do: it is answered at once, and by one that nobody has to wait for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.audit import Records, check
from cluster.crowd import Crowd
from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import wait_until
from lab.clients import Dhcrelay, Udhcpc
from lab.packet_client import ipv4
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

MakeCrowd = Callable[..., Crowd]

BEHIND = """  - id: 90
    prefix: 10.90.0.0/16
    pools: [{range: 10.90.16.0-10.90.31.255}]
  - id: 91
    prefix: 10.91.0.0/16
    pools: [{range: 10.91.16.0-10.91.31.255}]
"""


def relay_host(site: Site, label: str, network: str, legs: dict[str, str]) -> Namespace:
    """A host with an address on some links, that every node reaches the network behind it by."""
    relay = site.lab.namespace(label)
    for number, (link, address) in enumerate(legs.items()):
        site.links[link].connect(relay, f"up{number}", address=f"{address}/16")
        for host in site.plugs[link]:
            site.hosts[host].ip("route", "replace", network, "via", address)
    return relay


def test_with_five_nodes_two_links_and_relays_that_reach_two_of_them_nobody_needs_a_second_discover(
    lab: Lab, crowd_on: MakeCrowd, crowd_behind: MakeCrowd
) -> None:
    site = Site(lab, nodes=5, members=3, links={"office": (0, 1, 2), "plant": (2, 3, 4)})
    site.start(site.simple() + BEHIND)
    across = relay_host(site, "across", "10.90.0.0/16", {"office": "10.77.1.1", "plant": "10.78.1.1"})
    across.ip("address", "add", "10.90.0.1/16", "dev", "lo")
    isc = relay_host(site, "isc", "10.91.0.0/16", {"office": "10.77.1.2"})
    floor = lab.switch("floor")
    floor.connect(isc, "down0", address="10.91.0.1/16")
    Dhcrelay(lab, isc, "down0", "up0", "10.77.0.2", "10.77.0.3")
    upstairs, real = lab.namespace("upstairs"), lab.namespace("real")
    for namespace in (upstairs, real):
        floor.connect(namespace, "eth0")
    crowds = [
        crowd_on(site.client("office"), 40, 1),
        crowd_on(site.client("plant", "plant"), 40, 2),
        crowd_behind(across, "10.90.0.1", ["10.77.0.3", "10.78.0.5"], 40, 3),
        crowd_on(upstairs, 40, 4),
    ]
    for crowd in crowds:
        crowd.boot(within=2.0)
    live_together(crowds)
    udhcpc = Udhcpc(lab, real)
    udhcpc.obtain()
    assert len(udhcpc.sent("DISCOVER")) == 1
    for crowd in crowds:
        assert crowd.needed("DISCOVER") == {1: 40}, crowd.describe()
        assert crowd.needed("REQUEST") == {1: 40}, crowd.describe()
    check([ack for crowd in crowds for ack in crowd.acks], Records(site.etcd))


def live_together(crowds: list[Crowd], timeout: float = 30.0) -> None:
    """Run several crowds at once until everybody is bound."""
    first, others = crowds[0], crowds[1:]

    def done() -> bool:
        for crowd in others:
            crowd.step()
        return all(crowd.all_bound() for crowd in crowds)

    first.run(done, timeout)


def test_a_node_killed_between_offer_and_request_is_replaced_and_its_offers_hold(lab: Lab, crowd_on: MakeCrowd) -> None:
    site = Site(lab).start()
    crowd = crowd_on(site.client("client"), 40)
    crowd.held = True
    crowd.boot(within=0.5)
    crowd.run(crowd.all_offered, 10)
    site.nodes[0].kill()
    dead = ipv4("10.77.0.2")
    orphans = [guest for guest in crowd.guests if guest.offer and guest.offer.options[54] == dead.to_bytes(4, "big")]
    assert orphans
    crowd.held = False
    crowd.run(crowd.all_bound, 30)
    assert crowd.needed("DISCOVER") == {1: 40}, crowd.describe()
    assert crowd.most("REQUEST") <= 2, crowd.needed("REQUEST")
    for guest in crowd.guests:
        assert guest.offer and guest.ack
        assert guest.ack.address == guest.offer.yiaddr
    assert all(guest.ack and guest.ack.server != dead for guest in orphans)
    check(crowd.acks, Records(site.etcd))


def test_a_node_that_falls_mute_between_offer_and_request_costs_one_retransmission(
    lab: Lab, crowd_on: MakeCrowd
) -> None:
    site = Site(lab).start()
    crowd = crowd_on(site.client("client"), 40)
    crowd.held = True
    crowd.boot(within=0.5)
    crowd.run(crowd.all_offered, 10)
    site.mute(0, "office")
    crowd.held = False
    crowd.run(crowd.all_bound, 30)
    assert set(crowd.needed("REQUEST")) == {1, 2}, crowd.needed("REQUEST")
    assert crowd.most("DISCOVER") == 1
    check(crowd.acks, Records(site.etcd))


def test_the_clients_of_a_mute_node_are_answered_at_their_first_retransmission_and_soon_at_once(
    lab: Lab, crowd_on: MakeCrowd
) -> None:
    site = Site(lab).start()
    site.mute(0, "office")
    first = crowd_on(site.client("first"), 60, 1)
    first.boot(within=0.5)
    first.run(first.all_bound, 30)
    assert set(first.needed("DISCOVER")) == {1, 2}, first.needed("DISCOVER")
    assert first.most("REQUEST") == 1, first.needed("REQUEST")
    wait_until(lambda: '"takeovers":[{' in site.etcd.etcdctl("get", "--prefix", "/everlease/v/nodes/"), 5, "told")
    second = crowd_on(site.client("second"), 60, 2)
    second.boot(within=0.5)
    second.run(second.all_bound, 30)
    assert second.most("DISCOVER") == 1, second.needed("DISCOVER")
    check([*first.acks, *second.acks], Records(site.etcd))
