"""RFC 2131 sections 4.3.2 to 4.3.6, what a client says when it has or wants an address: as in test_rfc2131.py."""

from __future__ import annotations

import pytest

from core.answers import RELAY, SERVER, A, number, replied, sent
from core.world import (
    NOW,
    Commit,
    bind,
    ip,
    lease,
    message,
    pool,
    record,
    subnet,
    world,
)
from everlease.core.actions import TO_ADDRESS, TO_BROADCAST
from everlease.core.lifecycle import DECLINED
from everlease.core.model import Parameters
from everlease.wire import v4

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
