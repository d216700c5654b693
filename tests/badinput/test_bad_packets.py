"""Packets that broke other servers, sent to a running node: each has the one end that it must have, and the next good
client is served (the bad-input table of the reliability design; its row numbers are in the names).
"""

from __future__ import annotations

import pytest

from badinput.besieged import SERVER, TWICE, TWICE_ID, TWICE_MAC, Besieged
from badinput.octets import frame, message
from badinput.table import CASES, Case, without_a_subnet
from everlease.wire import v4
from lab.packet_client import ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]
DROPPED = [case for case in CASES if case.outcome.islower()]
ANSWERED = [case for case in CASES if case.outcome.isupper()]


@pytest.mark.parametrize("case", DROPPED, ids=str)
def test_dropped_with_its_reason_and_the_next_client_is_served(besieged: Besieged, case: Case) -> None:
    def send() -> None:
        (besieged.relay.send_octets if case.relayed else besieged.link.send_frame)(case.payload)
        besieged.serve_somebody()

    assert besieged.ends(send) == {case.outcome: 1, "sent": 2}


@pytest.mark.parametrize("case", ANSWERED, ids=str)
def test_answered_within_its_bounds_and_the_next_client_is_served(besieged: Besieged, case: Case) -> None:
    reply = besieged.reply_to(case.payload, besieged.relay if case.relayed else besieged.link)
    asked, told = v4.parse(case.payload), reply.packet
    assert reply.kind == case.outcome
    assert told is not None
    assert told.chaddr == asked.chaddr
    assert [told.options.get(code) for code in (61, 82)] == [asked.options.get(code) for code in (61, 82)]
    assert 82 not in asked.options or list(told.options)[-1] == 82
    takes = int.from_bytes(asked.options.get(57, b""), "big")
    assert len(reply.payload) + 28 <= max(576, min(1500, takes))
    besieged.serve_somebody()


def test_row_5_unicast_with_every_pair_of_options_where_no_subnet_matches(besieged: Besieged) -> None:
    packets = list(without_a_subnet())
    ends = besieged.ends(lambda: [besieged.relay.send_octets(packet) for packet in packets])
    assert ends == {"no_subnet": len(packets)}
    besieged.serve_somebody()


def test_row_19_of_two_reservations_that_name_a_client_its_hardware_address_wins(besieged: Besieged) -> None:
    besieged.link.mac = TWICE_MAC
    ack = besieged.link.obtain({61: TWICE_ID})
    assert ack.packet is not None
    assert ack.packet.yiaddr == ipv4(TWICE)


def test_row_35_our_own_replies_that_come_back_are_a_loop(besieged: Besieged) -> None:
    offer = besieged.reply_to(message(), besieged.link)
    echo = bytes(frame(offer.payload, source=ipv4(SERVER)))
    assert besieged.ends(lambda: besieged.link.send_raw(echo)) == {"loop": 1}
