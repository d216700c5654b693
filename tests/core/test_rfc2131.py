"""RFC 2131: every MUST and MUST NOT that concerns a server, and the SHOULDs that we follow, one test each.

The section stands in each name; 4.3.1 and 4.3.2 to 4.3.6 have files of their own. What the RFC leaves to the wire
format is tested in tests/wire.
"""

from __future__ import annotations

import pytest

from core.answers import RELAY, SERVER, A, number, replied, sent, walk
from core.world import (
    Commit,
    Drop,
    Node,
    Reply,
    bind,
    ip,
    key,
    mac,
    message,
    option,
    pool,
    reservation,
    subnet,
    world,
)
from everlease.core import actions
from everlease.core.actions import TO_ADDRESS, TO_BROADCAST, TO_HARDWARE, TO_RELAY
from everlease.core.lifecycle import RELEASED
from everlease.core.model import Parameters
from everlease.wire import v4

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
