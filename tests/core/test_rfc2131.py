"""RFC 2131: every MUST and MUST NOT that concerns a server, and the SHOULDs that we follow, one test each.

The section stands in each name. What the RFC leaves to the wire format is tested in tests/wire.
"""

from __future__ import annotations

import pytest

from core.world import (
    NOW,
    Commit,
    Drop,
    Node,
    Reply,
    bind,
    ip,
    key,
    lease,
    mac,
    message,
    option,
    pool,
    record,
    reservation,
    subnet,
    world,
)
from everlease.core import actions
from everlease.core.actions import TO_ADDRESS, TO_BROADCAST, TO_HARDWARE, TO_RELAY
from everlease.core.lifecycle import DECLINED, INFINITE, OFFERED, RELEASED
from everlease.core.model import ClientClass, Parameters
from everlease.wire import v4

A = "10.77.20.9"
SERVER = "10.77.0.2"
RELAY = "10.77.0.200"


def replied(answer: v4.Packet | str) -> v4.Packet:
    assert isinstance(answer, v4.Packet), answer
    return answer


def sent(action: object) -> Reply:
    if isinstance(action, Commit):
        assert action.then is not None
        return action.then
    assert isinstance(action, Reply), action
    return action


def number(packet: v4.Packet, code: int) -> int:
    return int.from_bytes(packet.options[code], "big")


# --- 2.1, 2.2: the repository of bindings and the allocation of addresses -------------------------------------------


def test_2_1_a_binding_is_keyed_by_subnet_and_client_and_survives_a_restart() -> None:
    node = world()
    bind(node, 1, A)
    restarted = Node(node.truth, node.config)
    assert replied(restarted.answer(message(v4.DISCOVER))).yiaddr == ip(A)


def test_2_2_a_client_gets_the_same_address_whenever_it_asks_again() -> None:
    node = world()
    bind(node, 1, A, ends=-100_000)
    assert replied(node.answer(message(v4.DISCOVER))).yiaddr == ip(A)


def test_2_2_an_address_in_use_is_given_to_nobody_else() -> None:
    node = world()
    bind(node, 1, A)
    assert replied(node.answer(message(v4.DISCOVER, 2, requested=A))).yiaddr != ip(A)


def test_2_2_a_reused_address_is_to_be_probed_if_the_operator_wants_it() -> None:
    check = actions.PingCheck(enabled=True)
    node = world(parameters=Parameters(ping_check=check))
    action = node.decide(message(v4.DISCOVER))
    assert isinstance(action, Reply)
    assert action.ping == check


def test_2_2_an_address_that_its_own_client_holds_is_not_probed() -> None:
    node = world(parameters=Parameters(ping_check=actions.PingCheck(enabled=True)))
    bind(node, 1, A)
    assert sent(node.decide(message(v4.DISCOVER))).ping is None


# --- 3.1: the exchange -----------------------------------------------------------------------------------------------


def test_3_1_2_an_offered_address_is_not_offered_to_another_client() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    assert replied(node.answer(message(v4.DISCOVER, 1))).yiaddr == ip(A)
    assert node.answer(message(v4.DISCOVER, 2)) == "no_address"


def test_3_1_2_an_offer_that_nobody_took_is_free_after_its_lifetime() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    node.answer(message(v4.DISCOVER, 1))
    node.now += 60
    assert replied(node.answer(message(v4.DISCOVER, 2))).yiaddr == ip(A)


def test_3_1_4_the_selected_server_commits_the_binding_before_it_answers() -> None:
    node = world()
    action = node.decide(message(v4.REQUEST, requested=A, server=SERVER))
    assert isinstance(action, Commit)
    assert action.change.kind == actions.GRANT
    assert action.then is not None


def test_3_1_4_the_ack_repeats_the_parameters_of_the_offer() -> None:
    node = world()
    offer = replied(node.answer(message(v4.DISCOVER, options={55: bytes((1, 3, 6, 15))})))
    ack = replied(
        node.answer(
            message(
                v4.REQUEST,
                options={50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54], 55: bytes((1, 3, 6, 15))},
            )
        )
    )
    assert {code: ack.options[code] for code in (1, 3, 6, 15, 51)} == {
        code: offer.options[code] for code in (1, 3, 6, 15, 51)
    }
    assert ack.yiaddr == offer.yiaddr


def test_3_1_4_an_address_that_is_gone_is_answered_by_a_nak() -> None:
    node = world()
    bind(node, 2, A)
    assert replied(node.answer(message(v4.REQUEST, requested=A, server=SERVER))).message_type == v4.NAK


def test_3_1_6_a_released_address_remembers_its_client() -> None:
    node = world()
    bind(node, 1, A)
    assert node.answer(message(v4.RELEASE, ciaddr=A, server=SERVER), destination=ip(SERVER)) == "done"
    given, _ = node.truth.leases["default", ip(A)]
    assert (given.state, given.client) == (RELEASED, key(1))


def test_3_2_3_a_request_for_another_servers_client_without_a_record_is_not_answered() -> None:
    assert world().answer(message(v4.REQUEST, requested=A)) == "no_binding"


def test_3_4_inform_gets_parameters_without_an_allocation() -> None:
    node = world()
    ack = replied(node.answer(message(v4.INFORM, ciaddr="10.77.0.9"), destination=ip(SERVER)))
    assert ack.message_type == v4.ACK
    assert ack.options[6] == option("10.77.0.53").data
    assert node.truth.leases == {}


def test_3_5_only_what_was_requested_is_returned() -> None:
    offer = replied(world().answer(message(v4.DISCOVER, options={55: bytes((3,))})))
    assert set(offer.options) == {53, 54, 51, 58, 59, 3}


def test_3_5_without_a_parameter_request_list_everything_configured_is_returned() -> None:
    offer = replied(world().answer(message(v4.DISCOVER)))
    assert {1, 3, 6, 15} <= set(offer.options)


# --- 4.1: constructing and sending -----------------------------------------------------------------------------------


def test_4_1_a_server_accepts_each_of_its_addresses_as_its_identifier() -> None:
    node = world()
    more = {"interface": ((ip("10.77.0.2"), 16), (ip("10.77.0.77"), 16))}
    assert replied(node.answer(message(v4.REQUEST, requested=A, server="10.77.0.77"), **more)).message_type == v4.ACK


def test_4_1_the_server_identifier_is_the_address_on_the_clients_link() -> None:
    offer = replied(world().answer(message(v4.DISCOVER), local=ip("10.77.0.5")))
    assert number(offer, 54) == ip("10.77.0.5")


def test_4_1_with_giaddr_every_reply_goes_to_the_relays_server_port() -> None:
    node = world()
    for packet in (
        message(v4.DISCOVER, giaddr=RELAY),
        message(v4.REQUEST, giaddr=RELAY, requested=A, server=SERVER),
        message(v4.REQUEST, giaddr=RELAY, requested="192.0.2.1"),
        message(v4.INFORM, giaddr=RELAY, ciaddr="10.77.0.9"),
    ):
        to = sent(node.decide(packet, link=None, source=ip(RELAY), destination=ip(SERVER))).destination
        assert (to.kind, to.address, to.port) == (TO_RELAY, ip(RELAY), 67)


def test_4_1_without_giaddr_a_client_with_an_address_is_answered_there() -> None:
    node = world()
    bind(node, 1, A)
    to = sent(node.decide(message(v4.REQUEST, ciaddr=A), destination=ip(SERVER))).destination
    assert (to.kind, to.address, to.port) == (TO_ADDRESS, ip(A), 68)


def test_4_1_the_broadcast_bit_asks_for_a_broadcast() -> None:
    to = sent(world().decide(message(v4.DISCOVER, flags=v4.BROADCAST_FLAG))).destination
    assert (to.kind, to.address, to.port) == (TO_BROADCAST, 0xFFFFFFFF, 68)


def test_4_1_otherwise_the_reply_goes_to_yiaddr_and_the_hardware_address() -> None:
    node = world()
    action = sent(node.decide(message(v4.DISCOVER)))
    to = action.destination
    assert (to.kind, to.hardware, to.port) == (TO_HARDWARE, mac(1), 68)
    assert to.address == v4.parse(action.payload).yiaddr


def test_4_1_a_client_that_cannot_be_unicast_to_gets_a_broadcast() -> None:
    packet = message(v4.DISCOVER, htype=32, hlen=0, chaddr=b"", options={61: b"\xff\x00\x01"})
    assert sent(world().decide(packet)).destination.kind == TO_BROADCAST


def test_4_1_without_giaddr_a_nak_is_broadcast_even_to_a_client_with_an_address() -> None:
    node = world()
    bind(node, 2, A)
    to = sent(node.decide(message(v4.REQUEST, ciaddr=A), destination=ip(SERVER))).destination
    assert (to.kind, to.address) == (TO_BROADCAST, 0xFFFFFFFF)


def test_4_1_options_in_the_answer_appear_once_and_end_with_end() -> None:
    payload = sent(world().decide(message(v4.DISCOVER, options={55: bytes((1, 3, 3, 1, 6, 51, 54))}))).payload
    codes = walk(payload)
    assert len(codes) == len(set(codes))
    assert codes[0] == 53


def walk(payload: bytes) -> list[int]:
    """Codes in the options field, in order; fails without an END."""
    codes, position = [], v4.HEADER_LENGTH
    while payload[position] != v4.END:
        codes.append(payload[position])
        position += 2 + payload[position + 1]
    assert not any(payload[position + 1 :])
    return codes


def test_4_1_a_reply_is_never_shorter_than_bootp() -> None:
    assert len(sent(world().decide(message(v4.DISCOVER, options={55: b"\x03"}))).payload) == 300


def test_4_1_too_many_options_go_to_sname_and_file_with_option_overload() -> None:
    many = {code: option(bytes(60)) for code in range(224, 231)}
    node = world(parameters=Parameters(options=many))
    payload = sent(node.decide(message(v4.DISCOVER))).payload
    assert len(payload) + 28 <= 576
    assert 52 in walk(payload)
    assert set(many) & set(v4.parse(payload).options)


# --- 4.2: administrative controls ------------------------------------------------------------------------------------


def test_4_2_a_client_identifier_names_the_client_whatever_its_hardware_address() -> None:
    node = world()
    first = replied(node.answer(message(v4.REQUEST, 1, requested=A, server=SERVER, options={61: b"\x00me"})))
    second = replied(node.answer(message(v4.DISCOVER, 2, options={61: b"\x00me"})))
    assert first.yiaddr == second.yiaddr == ip(A)


def test_4_2_without_a_client_identifier_chaddr_names_the_client() -> None:
    node = world()
    node.answer(message(v4.REQUEST, 1, requested=A, server=SERVER))
    assert node.truth.leases["default", ip(A)][0].client == b"\x02\x01" + mac(1)


def test_4_2_the_operator_may_refuse_clients_without_a_reservation() -> None:
    node = world(subnet(unknown_clients="deny", reservations=(reservation(1),)))
    assert node.answer(message(v4.DISCOVER, 2)) == "unknown_client"
    assert replied(node.answer(message(v4.DISCOVER, 1))).message_type == v4.OFFER


# --- 4.3.1: DISCOVER -------------------------------------------------------------------------------------------------


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


# --- 4.3.2: REQUEST --------------------------------------------------------------------------------------------------


def test_4_3_2_selecting_another_known_server_is_left_to_it() -> None:
    node = world(names="ab")
    assert node.answer(message(v4.REQUEST, requested=A, server="10.77.0.3")) == "not_owner"


def test_4_3_2_selecting_a_stranger_is_silence() -> None:
    assert world().answer(message(v4.REQUEST, requested=A, server="10.77.0.250")) == "other_server"


def test_4_3_2_selecting_without_a_requested_address_is_malformed() -> None:
    assert world().answer(message(v4.REQUEST, server=SERVER)) == "malformed"


def test_4_3_2_init_reboot_with_the_right_address_gets_an_ack() -> None:
    node = world()
    bind(node, 1, A)
    ack = replied(node.answer(message(v4.REQUEST, requested=A)))
    assert (ack.message_type, ack.yiaddr, number(ack, 51)) == (v4.ACK, ip(A), 3600)


def test_4_3_2_init_reboot_on_the_wrong_network_gets_a_nak() -> None:
    assert replied(world().answer(message(v4.REQUEST, requested="192.168.1.5"))).message_type == v4.NAK


def test_4_3_2_init_reboot_behind_a_relay_on_the_wrong_network_gets_a_nak() -> None:
    node = world(subnet(), subnet("10.88.0.0/16", id=2, link="lab", pools=(pool("10.88.1.0", "10.88.1.255"),)))
    packet = message(v4.REQUEST, requested=A, giaddr="10.88.0.9")
    assert replied(node.answer(packet, link=None)).message_type == v4.NAK


def test_4_3_2_init_reboot_with_an_address_that_is_not_the_clients_gets_a_nak() -> None:
    node = world()
    bind(node, 1, A)
    assert replied(node.answer(message(v4.REQUEST, requested="10.77.20.10"))).message_type == v4.NAK


def test_4_3_2_init_reboot_of_an_unknown_client_must_be_met_with_silence() -> None:
    assert world().answer(message(v4.REQUEST, requested=A)) == "no_binding"


def test_4_3_2_init_reboot_of_an_unknown_client_gets_a_nak_only_from_an_authoritative_server() -> None:
    node = world(parameters=Parameters(authoritative=True))
    assert replied(node.answer(message(v4.REQUEST, requested=A))).message_type == v4.NAK


def test_4_3_2_a_nak_without_giaddr_must_be_broadcast() -> None:
    to = sent(world().decide(message(v4.REQUEST, requested="192.168.1.5"))).destination
    assert (to.kind, to.address) == (TO_BROADCAST, 0xFFFFFFFF)


def test_4_3_2_a_nak_through_a_relay_must_have_the_broadcast_bit() -> None:
    packet = message(v4.REQUEST, requested="192.168.1.5", giaddr=RELAY)
    nak = replied(world().answer(packet, link=None))
    assert nak.message_type == v4.NAK
    assert nak.flags & v4.BROADCAST_FLAG


def test_4_3_2_renewing_extends_the_lease() -> None:
    node = world()
    bind(node, 1, A, ends=100)
    ack = replied(node.answer(message(v4.REQUEST, ciaddr=A), destination=ip(SERVER), source=ip(A)))
    assert (ack.message_type, ack.yiaddr, ack.ciaddr) == (v4.ACK, ip(A), ip(A))
    assert node.truth.leases["default", ip(A)][0].expires_at > NOW + 3600


def test_4_3_2_renewing_trusts_ciaddr_wherever_the_packet_came_in() -> None:
    node = world(subnet(), subnet("10.88.0.0/16", id=2, link="lab", pools=(pool("10.88.1.0", "10.88.1.255"),)))
    bind(node, 1, A)
    answer = node.answer(message(v4.REQUEST, ciaddr=A), link="lab", interface=(), destination=ip(SERVER))
    assert replied(answer).message_type == v4.ACK


def test_4_3_2_rebinding_is_answered_although_another_server_granted_the_lease() -> None:
    node = world()
    given = lease(1)
    given.node = "b"
    record(node, A, given)
    assert replied(node.answer(message(v4.REQUEST, ciaddr=A))).message_type == v4.ACK


def test_4_3_2_rebinding_with_an_address_of_another_network_gets_a_nak() -> None:
    assert replied(world().answer(message(v4.REQUEST, ciaddr="192.168.1.5"))).message_type == v4.NAK


def test_4_3_2_rebinding_with_somebody_elses_address_gets_a_nak() -> None:
    node = world()
    bind(node, 2, A)
    assert replied(node.answer(message(v4.REQUEST, 1, ciaddr=A))).message_type == v4.NAK


# --- 4.3.3 to 4.3.5 --------------------------------------------------------------------------------------------------


def test_4_3_3_a_declined_address_must_not_be_available() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    bind(node, 1, A)
    assert node.answer(message(v4.DECLINE, requested=A, server=SERVER)) == "done"
    assert node.truth.leases["default", ip(A)][0].state == DECLINED
    for client in (1, 2):
        assert node.answer(message(v4.DISCOVER, client)) == "no_address"


def test_4_3_3_a_declined_address_comes_back_after_its_probation() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    bind(node, 1, A)
    node.answer(message(v4.DECLINE, requested=A, server=SERVER))
    node.now += 86_400 + 60
    assert replied(node.answer(message(v4.DISCOVER, 2))).yiaddr == ip(A)


def test_4_3_4_a_released_address_is_free_at_once() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    bind(node, 1, A)
    node.answer(message(v4.RELEASE, ciaddr=A, server=SERVER), destination=ip(SERVER))
    assert replied(node.answer(message(v4.DISCOVER, 2))).yiaddr == ip(A)


def test_4_3_4_a_release_by_unicast_need_not_name_the_server() -> None:
    node = world()
    bind(node, 1, A)
    assert node.answer(message(v4.RELEASE, ciaddr=A)) == "malformed"
    assert node.answer(message(v4.RELEASE, ciaddr=A), destination=ip(SERVER)) == "done"


def test_4_3_4_a_release_has_no_reply() -> None:
    node = world()
    bind(node, 1, A)
    action = node.decide(message(v4.RELEASE, ciaddr=A, server=SERVER), destination=ip(SERVER))
    assert isinstance(action, Commit)
    assert action.then is None


def test_4_3_5_the_answer_to_inform_must_not_have_a_lifetime_nor_yiaddr() -> None:
    ack = replied(world().answer(message(v4.INFORM, ciaddr="10.77.0.9"), destination=ip(SERVER)))
    assert not {51, 58, 59} & set(ack.options)
    assert ack.yiaddr == 0


def test_4_3_5_the_answer_to_inform_goes_to_ciaddr() -> None:
    to = sent(world().decide(message(v4.INFORM, ciaddr="10.77.0.9", flags=0x8000))).destination
    assert (to.kind, to.address, to.port) == (TO_ADDRESS, ip("10.77.0.9"), 68)


def test_4_3_5_inform_must_not_look_for_a_lease() -> None:
    node = world()
    bind(node, 2, A)
    assert replied(node.answer(message(v4.INFORM, 1, ciaddr=A), destination=ip(SERVER))).message_type == v4.ACK


def test_4_3_5_inform_is_checked_for_consistency() -> None:
    assert world().answer(message(v4.INFORM, ciaddr="192.168.1.5")) == "no_subnet"
    assert world().answer(message(v4.INFORM)) == "malformed"


# --- 4.3.6: table 4, the client's states -----------------------------------------------------------------------------

UNICAST = ip(SERVER)
TABLE_4 = [
    ("init_reboot", {"requested": A}, 0xFFFFFFFF),
    ("request", {"requested": A, "server": SERVER}, 0xFFFFFFFF),
    ("renew", {"ciaddr": A}, UNICAST),
    ("rebind", {"ciaddr": A}, 0xFFFFFFFF),
    # What the table forbids and some clients send: the state is still the one that makes sense.
    ("request", {"requested": A, "server": SERVER, "ciaddr": A}, 0xFFFFFFFF),
    ("renew", {"ciaddr": A, "server": SERVER}, UNICAST),
    ("rebind", {"ciaddr": A, "requested": A}, 0xFFFFFFFF),
    ("rebind", {"ciaddr": A}, ip("10.77.255.255")),
    ("rebind", {"ciaddr": A, "giaddr": RELAY}, UNICAST),
    ("renew", {"ciaddr": A, "giaddr": RELAY, "options": {82: b"\x0a\x01\x80"}}, UNICAST),
]


@pytest.mark.parametrize(("state", "fields", "destination"), TABLE_4)
def test_4_3_6_the_state_is_read_from_server_identifier_requested_address_ciaddr_and_destination(
    state: str, fields: dict[str, object], destination: int
) -> None:
    node = world()
    bind(node, 1, A)
    action = node.decide(message(v4.REQUEST, **fields), destination=destination)
    assert isinstance(action, Commit)
    assert (action.operation, sent(action).result) == (state, "ack")


@pytest.mark.parametrize("fields", [{}, {"server": SERVER}])
def test_4_3_6_a_request_that_names_no_address_is_malformed(fields: dict[str, object]) -> None:
    assert world().answer(message(v4.REQUEST, **fields)) == "malformed"


# --- 4.4.5: timers ---------------------------------------------------------------------------------------------------


def test_4_4_5_t1_is_half_and_t2_seven_eighths_of_the_lifetime() -> None:
    offer = replied(world(parameters=Parameters(valid_lifetime=8000)).answer(message(v4.DISCOVER)))
    assert (number(offer, 58), number(offer, 59)) == (4000, 7000)


@pytest.mark.parametrize("valid", [1, 7, 60, 500, 3600])
@pytest.mark.parametrize(("renew", "rebind"), [(None, None), (400, 700), (700, 400), (9000, 9000), (0, 0)])
def test_4_4_5_t1_must_be_before_t2_and_t2_before_the_end(valid: int, renew: int | None, rebind: int | None) -> None:
    rules = Parameters(valid_lifetime=valid, renew_time=renew, rebind_time=rebind)
    offer = replied(world(parameters=rules).answer(message(v4.DISCOVER)))
    assert number(offer, 58) <= number(offer, 59) < number(offer, 51)


def test_4_4_6_a_release_from_another_client_frees_nothing() -> None:
    node = world()
    bind(node, 1, A)
    assert node.answer(message(v4.RELEASE, 2, ciaddr=A, server=SERVER), destination=ip(SERVER)) == "no_binding"


def test_table_5_what_is_no_message_of_a_client_is_dropped() -> None:
    node = world()
    assert node.decide(message(v4.DISCOVER, op=2)) == Drop("not_a_request")
    assert node.decide(message(v4.DISCOVER, op=2), source=node.local) == Drop("loop")
    for kind in (v4.OFFER, v4.ACK, v4.NAK, v4.FORCERENEW, 99):
        assert node.decide(message(kind)) == Drop("not_a_request")
    bootp = message(v4.DISCOVER)
    bootp.options.clear()
    assert node.decide(bootp) == Drop("bootp", "bootp")


def test_2_2_the_offer_that_is_committed_is_written_as_offered_and_touches_nothing_else() -> None:
    node = world(names="ab")
    not_owned = next(a for a in range(ip(A), ip(A) + 200) if not node.peers.owned >> (a & 255) & 1)
    packet = message(v4.DISCOVER, options={50: not_owned.to_bytes(4, "big")})
    action = node.decide(packet, copies=3)
    assert isinstance(action, Commit)
    change = action.change
    assert change.lease is not None
    assert (change.kind, change.lease.state, change.address) == (actions.OFFER, OFFERED, not_owned)
    assert (change.indexes, change.puts_index, change.moved, change.displaced) == ((), False, None, None)
