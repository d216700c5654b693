"""ping-check, with hosts that are really there: who answers at an address on offer is left in peace."""

from __future__ import annotations

import json

import pytest

from clients.exchanges import exchanges, packet_of
from clients.office import Office
from everlease.core.lifecycle import DECLINED, NOBODY
from everlease.lab.netns import Lab
from lab.clients import Udhcpc
from lab.packet_client import PacketClient, ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

FIRST, LAST = "10.78.16.10", "10.78.16.99"
"""Of the ordered pool. On a busy machine a second node may answer a DISCOVER, and then the next address is on offer to
the same client as well: what a test asks for by name is far from those."""

UPSTAIRS = "10.91.16.77"


def test_a_squatted_address_is_not_offered_and_counts_as_declined(office: Office, lab: Lab) -> None:
    office.plug(lab, "squatter", "warehouse", address=f"{FIRST}/16")
    client = Udhcpc(lab, office.plug(lab, "client", "warehouse"))
    assert ipv4(FIRST) < ipv4(client.obtain()) < ipv4(LAST)
    discovers = exchanges(client, "DISCOVER")
    assert [set(each.kinds) for each in discovers] == [{"OFFER"}], "\n".join(map(str, discovers))
    assert ipv4(FIRST) not in [packet_of(each).yiaddr for each in client.received("OFFER")]
    parked = office.wait_state(FIRST, DECLINED)
    assert parked.client == NOBODY
    assert client.sent("DECLINE") == []
    subnets = json.loads(office.site.nodes[0].cli("subnet", "list", "--output", "json"))
    assert [each["declined"] for each in subnets if each["id"] == 78] == [1], subnets
    shown = json.loads(office.site.nodes[1].cli("lease", "show", FIRST, "--output", "json"))
    assert (shown["state"], shown["client"]) == ("declined", ""), shown
    total = sum(node.metric("everlease_ping_checks_total", result="in_use") for node in office.site.nodes)
    assert total == 1
    lines = [line for node in office.site.nodes for line in node.log.read_text().splitlines()]
    said = [line for line in lines if "address in use" in line]
    assert [json.loads(line)["address"] for line in said] == [FIRST]  # once, by the node that found it


def test_behind_a_relay_the_echo_is_routed(office: Office, lab: Lab) -> None:
    squatter = office.plug(lab, "squatter", "floor", address=f"{UPSTAIRS}/16")
    squatter.ip("route", "add", "default", "via", "10.91.0.254")
    client = PacketClient(office.plug(lab, "client", "floor"))
    lab.on_close(client.close)
    offer = client.discover({50: ipv4(UPSTAIRS).to_bytes(4, "big")})
    assert packet_of(offer).yiaddr not in (0, ipv4(UPSTAIRS))
    assert office.wait_state(UPSTAIRS, DECLINED).client == NOBODY


def test_a_client_that_answers_itself_at_the_address_it_asks_for_is_offered_it(office: Office, lab: Lab) -> None:
    client = PacketClient(office.plug(lab, "static", "warehouse", address=f"{LAST}/16"))
    lab.on_close(client.close)
    offer = client.discover({50: ipv4(LAST).to_bytes(4, "big")})
    assert packet_of(offer).yiaddr == ipv4(LAST)
