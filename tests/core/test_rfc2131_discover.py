"""RFC 2131 section 4.3.1, DISCOVER, and what its table 3 says of the fields of replies: as in test_rfc2131.py."""

from __future__ import annotations

import pytest

from core.answers import RELAY, SERVER, A, number, replied, sent, walk
from core.world import (
    Commit,
    bind,
    ip,
    mac,
    message,
    option,
    pool,
    reservation,
    subnet,
    world,
)
from everlease.core import actions
from everlease.core.lifecycle import INFINITE, OFFERED, RELEASED
from everlease.core.model import ClientClass, Parameters
from everlease.wire import v4


def test_4_3_1_first_the_current_binding() -> None:
    node = world()
    bind(node, 1, A)
    assert replied(node.answer(message(v4.DISCOVER, requested="10.77.20.10"))).yiaddr == ip(A)


def test_4_3_1_then_the_previous_binding() -> None:
    node = world()
    bind(node, 1, A, state=RELEASED)
    assert replied(node.answer(message(v4.DISCOVER, requested="10.77.20.10"))).yiaddr == ip(A)


def test_4_3_1_then_the_requested_address() -> None:
    assert replied(world().answer(message(v4.DISCOVER, requested=A))).yiaddr == ip(A)


@pytest.mark.parametrize("wanted", ["10.77.0.1", "192.0.2.1", "0.0.0.0", "255.255.255.255"])
def test_4_3_1_a_requested_address_outside_the_pools_is_passed_over(wanted: str) -> None:
    offer = replied(world().answer(message(v4.DISCOVER, requested=wanted)))
    assert ip("10.77.16.0") <= offer.yiaddr <= ip("10.77.31.255")


def test_4_3_1_then_a_new_address_of_the_subnet_of_giaddr() -> None:
    node = world(subnet(), subnet("10.88.0.0/16", id=2, link="lab", pools=(pool("10.88.1.0", "10.88.1.255"),)))
    offer = replied(node.answer(message(v4.DISCOVER, giaddr="10.88.0.9"), link=None))
    assert ip("10.88.1.0") <= offer.yiaddr <= ip("10.88.1.255")


def test_4_3_1_without_giaddr_a_new_address_of_the_subnet_of_the_link() -> None:
    node = world(subnet(), subnet("10.88.0.0/16", id=2, link="lab", pools=(pool("10.88.1.0", "10.88.1.255"),)))
    assert replied(node.answer(message(v4.DISCOVER), link="lab")).yiaddr >> 8 == ip("10.88.1.0") >> 8


def test_4_3_1_a_lifetime_asked_for_is_told_within_bounds() -> None:
    node = world(parameters=Parameters(valid_lifetime=3600, min_valid_lifetime=600, max_valid_lifetime=7200))
    for wanted, told in ((60, 600), (1800, 1800), (86_400, 7200), (INFINITE, 7200)):
        offer = replied(node.answer(message(v4.DISCOVER, options={51: wanted.to_bytes(4, "big")})))
        assert number(offer, 51) == told


def test_4_3_1_no_lifetime_asked_for_is_the_configured_one() -> None:
    assert number(replied(world(parameters=Parameters(valid_lifetime=777)).answer(message(v4.DISCOVER))), 51) == 777


def test_4_3_1_nothing_free_is_silence() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    bind(node, 2, A)
    assert node.answer(message(v4.DISCOVER)) == "no_address"


def test_4_3_1_parameters_come_by_class_before_subnet_and_by_client_before_class() -> None:
    kind = ClientClass(
        "pxe",
        lambda facts: facts.get("vendor-class-identifier") == b"PXE",
        "",
        Parameters(options={3: option("10.77.0.3")}),
    )
    own = reservation(2, parameters=Parameters(options={3: option("10.77.0.4")}))
    node = world(subnet(reservations=(own,)), classes=(kind,))
    router = [
        replied(node.answer(message(v4.DISCOVER, 1))).options[3],
        replied(node.answer(message(v4.DISCOVER, 1, options={60: b"PXE"}))).options[3],
        replied(node.answer(message(v4.DISCOVER, 2, options={60: b"PXE"}))).options[3],
    ]
    assert router == [option(f"10.77.0.{last}").data for last in (1, 3, 4)]


def test_4_3_1_a_class_matches_exactly() -> None:
    kind = ClientClass("pxe", lambda facts: facts.get("vendor-class-identifier") == b"PXE", "drop", Parameters())
    node = world(classes=(kind,))
    assert node.answer(message(v4.DISCOVER, options={60: b"PXE"})) == "class_drop"
    assert replied(node.answer(message(v4.DISCOVER, options={60: b"PXEClient"}))).message_type == v4.OFFER


# table 3: fields and options used by servers


def offer_ack_nak(**more: object) -> list[v4.Packet]:
    node = world()
    bind(node, 9, "10.77.20.10")
    common = {"xid": 0xDEADBEEF, "secs": 7, "hops": 3, "giaddr": RELAY, "flags": 0x8000, **more}
    return [
        replied(node.answer(message(v4.DISCOVER, **common), link=None)),
        replied(node.answer(message(v4.REQUEST, requested=A, server=SERVER, **common), link=None)),
        replied(node.answer(message(v4.REQUEST, requested="10.77.20.10", server=SERVER, **common), link=None)),
    ]


def test_table_3_header_fields() -> None:
    for packet, kind in zip(offer_ack_nak(), (v4.OFFER, v4.ACK, v4.NAK), strict=True):
        assert (packet.message_type, packet.op, packet.htype, packet.hlen) == (kind, v4.BOOTREPLY, 1, 6)
        assert (packet.hops, packet.secs, packet.ciaddr) == (0, 0, 0)
        assert (packet.xid, packet.flags, packet.giaddr, packet.chaddr) == (0xDEADBEEF, 0x8000, ip(RELAY), mac(1))


def test_table_3_an_ack_repeats_ciaddr_and_the_others_do_not() -> None:
    node = world()
    bind(node, 1, A)
    assert replied(node.answer(message(v4.REQUEST, ciaddr=A))).ciaddr == ip(A)
    assert replied(node.answer(message(v4.DISCOVER, ciaddr=A))).ciaddr == 0
    assert replied(node.answer(message(v4.REQUEST, 2, ciaddr=A))).ciaddr == 0


def test_table_3_a_nak_has_no_address_no_lifetime_no_names_and_no_parameters() -> None:
    names = Parameters(next_server=ip("10.77.0.5"), server_hostname=b"boot", boot_file_name=b"grub")
    node = world(parameters=names)
    bind(node, 2, A)
    nak = replied(node.answer(message(v4.REQUEST, requested=A, server=SERVER)))
    assert (nak.yiaddr, nak.siaddr, any(nak.sname), any(nak.file)) == (0, 0, False, False)
    assert set(nak.options) == {53, 54, 56}


def test_table_3_names_are_in_offer_and_ack() -> None:
    names = Parameters(next_server=ip("10.77.0.5"), server_hostname=b"boot", boot_file_name=b"grub")
    offer = replied(world(parameters=names).answer(message(v4.DISCOVER)))
    assert (offer.siaddr, offer.sname[:5], offer.file[:5]) == (ip("10.77.0.5"), b"boot\0", b"grub\0")


def test_table_3_a_server_identifier_is_in_every_reply() -> None:
    assert all(54 in packet.options for packet in offer_ack_nak())


def test_table_3_a_lifetime_is_in_offer_and_ack_but_not_in_a_nak() -> None:
    assert [51 in packet.options for packet in offer_ack_nak()] == [True, True, False]


def test_table_3_no_reply_has_requested_address_request_list_or_maximum_size() -> None:
    asked = {55: bytes((1, 50, 55, 57, 61, 52)), 57: b"\x05\xdc"}
    for packet in offer_ack_nak(options=asked):
        assert not {50, 55, 57} & set(packet.options)


def test_table_3_a_nak_says_why() -> None:
    assert offer_ack_nak()[2].options[56] == b"address not available"


def test_4_3_1_subnet_mask_stands_before_routers_whatever_the_order_asked_for() -> None:
    payload = sent(world().decide(message(v4.DISCOVER, options={55: bytes((6, 3, 1, 15))}))).payload
    assert walk(payload)[-4:] == [6, 1, 3, 15]


def test_2_2_the_offer_that_is_committed_is_written_as_offered_and_writes_nothing_else() -> None:
    node = world(names="ab")
    not_owned = next(a for a in range(ip(A), ip(A) + 200) if not node.peers.owned >> (a & 255) & 1)
    packet = message(v4.DISCOVER, options={50: not_owned.to_bytes(4, "big")})
    action = node.decide(packet, copies=3)
    assert isinstance(action, Commit)
    change = action.change
    assert change.lease is not None
    assert (change.kind, change.lease.state, change.address) == (actions.OFFER, OFFERED, not_owned)
    assert (change.indexes, change.puts_index, change.moved, change.displaced) == (((1, 0),), False, None, None)
