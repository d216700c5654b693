"""When the store, the clock or the view is in doubt: what may still be said, and what never."""

from __future__ import annotations

import pytest

from core.answers import told
from core.world import (
    NOW,
    Commit,
    Reply,
    bind,
    ip,
    key,
    lease,
    message,
    pool,
    subnet,
    world,
)
from everlease.core.actions import CHECK
from everlease.core.lifecycle import INFINITE, RELEASED, Row
from everlease.core.model import Parameters
from everlease.wire import v4

A, B = "10.77.20.9", "10.77.20.10"
SERVER = "10.77.0.2"
RENEWAL = {"destination": ip(SERVER), "source": ip(A)}


# --- a view that is not proved fresh ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [v4.DISCOVER, v4.INFORM])
def test_a_stale_view_turns_a_write_free_answer_into_a_check(kind: int) -> None:
    packet = message(kind, ciaddr=A if kind == v4.INFORM else 0)
    assert isinstance(world().decide(packet), Reply)
    stale = world().decide(packet, fresh=False)
    assert isinstance(stale, Commit)
    assert (stale.change.kind, stale.change.lease) == (CHECK, None)
    assert stale.then is not None


def test_the_check_of_an_offer_names_the_address_and_the_clients_index() -> None:
    node = world()
    bind(node, 1, A)
    action = node.decide(message(v4.DISCOVER), fresh=False)
    assert isinstance(action, Commit)
    assert action.change.address == ip(A)
    assert action.change.expected == node.truth.leases["default", ip(A)][1]
    assert action.change.indexes == ((1, ip(A)),)


def test_every_nak_is_checked_however_fresh_the_view() -> None:
    node = world(parameters=Parameters(authoritative=True))
    bind(node, 2, A)
    for fields in (
        {"requested": A, "server": SERVER},
        {"requested": "192.168.1.5", "server": SERVER},
        {"requested": B},
        {"requested": "192.168.1.5"},
        {"ciaddr": A},
        {"ciaddr": "192.168.1.5"},
    ):
        action = node.decide(message(v4.REQUEST, **fields))
        assert isinstance(action, Commit), fields
        assert (action.change.kind, action.change.lease) == (CHECK, None)
        assert action.then is not None
        assert action.then.result == "nak"
        assert action.then.hold is None


def test_a_nak_that_rests_on_a_stale_view_is_never_sent() -> None:
    node = world()
    bind(node, 2, A)
    node.truth.leases["default", ip(A)] = (lease(2, state=RELEASED), 500)  # the view has not heard of it
    assert told(node.answer(message(v4.REQUEST, requested=A, server=SERVER))) == 3600


# --- no quorum -------------------------------------------------------------------------------------------------------

EXTENDING = {"extending": True, "fresh": False}


@pytest.mark.parametrize("fields", [{}, RENEWAL])
def test_without_a_quorum_a_known_binding_is_extended_within_what_is_committed(fields: dict[str, int]) -> None:
    node = world()
    bind(node, 1, A, ends=900)
    action = node.decide(message(v4.REQUEST, ciaddr=A), **EXTENDING, **fields)
    assert isinstance(action, Reply)
    reply = v4.parse(action.payload)
    assert told(reply) == 899  # the end is a quarter second before NOW + 900
    assert NOW + told(reply) <= node.truth.leases["default", ip(A)][0].expires_at
    assert int.from_bytes(reply.options[58], "big") < int.from_bytes(reply.options[59], "big") < 899


def test_without_a_quorum_no_more_than_the_usual_lifetime_is_told() -> None:
    node = world(parameters=Parameters(valid_lifetime=600))
    bind(node, 1, A, ends=900)
    assert told(node.answer(message(v4.REQUEST, ciaddr=A), **EXTENDING)) == 600


def test_without_a_quorum_an_endless_binding_stays_endless() -> None:
    node = world(parameters=Parameters(valid_lifetime=INFINITE))
    bind(node, 1, A, ends=INFINITE, valid=INFINITE)
    assert told(node.answer(message(v4.REQUEST, ciaddr=A), **EXTENDING)) == INFINITE


@pytest.mark.parametrize(("ends", "answered"), [(61, True), (60, False), (5, False), (-5, False)])
def test_without_a_quorum_less_than_a_minute_is_not_told(ends: int, answered: bool) -> None:
    node = world()
    bind(node, 1, A, ends=ends)
    answer = node.answer(message(v4.REQUEST, ciaddr=A), **EXTENDING)
    assert (answer != "unavailable") is answered


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (v4.DISCOVER, {}),
        (v4.REQUEST, {"requested": A, "server": SERVER}),
        (v4.REQUEST, {"requested": A}),
        (v4.INFORM, {"ciaddr": A}),
        (v4.RELEASE, {"ciaddr": A, "server": SERVER}),
        (v4.DECLINE, {"requested": A, "server": SERVER}),
    ],
)
def test_without_a_quorum_everything_else_is_silence(kind: int, fields: dict[str, str]) -> None:
    node = world()
    bind(node, 1, A)
    assert node.answer(message(kind, **fields), **EXTENDING) == "unavailable"


def test_without_a_quorum_nobody_is_refused() -> None:
    node = world(parameters=Parameters(authoritative=True))
    bind(node, 2, A)
    assert node.answer(message(v4.REQUEST, ciaddr=A), **EXTENDING) == "unavailable"
    assert node.answer(message(v4.REQUEST, ciaddr="192.168.1.5"), **EXTENDING) == "no_subnet"


# --- a clock that is not trusted -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [None, {"requested": A, "server": SERVER}, {"requested": A}, {"ciaddr": A}, {"ciaddr": "192.168.1.5"}]
)
def test_an_untrusted_clock_neither_grants_nor_renews_nor_refuses(fields: dict[str, str] | None) -> None:
    node = world()
    bind(node, 1, A)
    packet = message(v4.DISCOVER) if fields is None else message(v4.REQUEST, **fields)
    for more in ({}, EXTENDING):
        assert node.answer(packet, may_grant=False, **more) in ("clock", "unavailable")


def test_an_address_is_reused_by_the_earlier_clock_and_after_the_margin() -> None:
    node = world(subnet(pools=(pool(A, A),)))
    bind(node, 2, A, ends=0)
    ended = node.truth.leases["default", ip(A)][0].expires_at
    asked = message(v4.DISCOVER)
    assert node.answer(asked, now=ended + 1000.0, reuse_now=ended + 4.9) == "no_address"
    assert isinstance(node.answer(asked, now=ended + 1000.0, reuse_now=ended + 5.0), v4.Packet)


def test_expiry_is_stamped_by_the_later_clock() -> None:
    node = world()
    node.answer(message(v4.REQUEST, requested=A, server=SERVER), now=NOW + 3, reuse_now=NOW)
    assert node.truth.leases["default", ip(A)][0].expires_at >= NOW + 3 + 3600 + 600


# --- after a rollback of the store -----------------------------------------------------------------------------------


def ghost(number: int, ends: float = 1000) -> Row:
    return Row(key(number), int(NOW + ends), 50, 1, 1, 3600, 0)


@pytest.mark.parametrize("fields", [{"requested": A}, {"ciaddr": A}])
def test_after_a_rollback_who_asks_for_its_address_gets_it(fields: dict[str, str]) -> None:
    node = world()
    ack = node.answer(message(v4.REQUEST, **fields), restored={})
    assert told(ack) == 3600


def test_after_a_rollback_an_address_without_a_record_is_not_given_out() -> None:
    node = world()
    assert node.answer(message(v4.DISCOVER, requested=A), restored={}) == "no_address"
    nak = node.answer(message(v4.REQUEST, requested=A, server=SERVER), restored={})
    assert isinstance(nak, v4.Packet)
    assert nak.message_type == v4.NAK


def test_after_a_rollback_an_address_with_a_past_record_is_given_out_by_who_remembers_what_was_before() -> None:
    node = world()
    bind(node, 2, A, state=RELEASED)
    offer = node.answer(message(v4.DISCOVER, requested=A), restored={("default", ip(B)): ghost(3)})
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip(A)
    assert node.answer(message(v4.DISCOVER, requested=A), restored={}) == "no_address"


@pytest.mark.parametrize("fields", [{"requested": A}, {"ciaddr": A}])
def test_after_a_restore_who_asks_for_an_address_whose_record_has_ended_gets_it(fields: dict[str, str]) -> None:
    node = world()
    bind(node, 2, A, state=RELEASED)
    assert told(node.answer(message(v4.REQUEST, **fields), restored={})) == 3600
    assert node.truth.leases["default", ip(A)][0].client == key(1)


def test_after_a_restore_a_live_record_serves_its_client_and_keeps_everybody_else_off() -> None:
    node = world()
    bind(node, 2, A)
    assert node.answer(message(v4.REQUEST, requested=A), restored={}) == "no_binding"
    offer = node.answer(message(v4.DISCOVER, 2), restored={})
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip(A)


def test_after_a_restore_a_client_that_has_moved_since_is_believed_and_its_old_address_is_nobodys() -> None:
    node = world()
    bind(node, 1, A)
    assert told(node.answer(message(v4.REQUEST, requested=B), restored={})) == 3600
    assert node.truth.leases["default", ip(A)][0].state == RELEASED
    assert node.answer(message(v4.DISCOVER, 2, requested=A), restored={}) == "no_address"


@pytest.mark.parametrize("fields", [{"requested": A}, {"ciaddr": A}])
def test_after_a_rollback_the_ghosts_of_others_are_respected(fields: dict[str, str]) -> None:
    restored = {("default", ip(A)): ghost(2)}
    for state in (None, RELEASED):
        node = world()
        if state is not None:
            bind(node, 3, A, state=state)
        assert node.answer(message(v4.REQUEST, **fields), restored=restored) == "no_binding"


@pytest.mark.parametrize("fields", [{"requested": A}, {"ciaddr": A}, {"requested": A, "server": SERVER}])
def test_after_a_rollback_an_old_record_does_not_stand_against_a_later_holders_ghost(fields: dict[str, str]) -> None:
    node = world()
    bind(node, 1, A)
    restored = {("default", ip(A)): ghost(2)}
    answer = node.answer(message(v4.REQUEST, **fields), restored=restored)
    assert isinstance(answer, v4.Packet)
    assert answer.message_type == v4.NAK
    assert node.answer(message(v4.REQUEST, ciaddr=A), restored=restored, **EXTENDING) == "unavailable"
    offer = node.answer(message(v4.DISCOVER, requested=B), restored={("default", ip(A)): ghost(2)})
    assert not (isinstance(offer, v4.Packet) and offer.yiaddr == ip(A))


def test_after_a_rollback_a_record_that_no_ghost_contradicts_is_renewed() -> None:
    for restored in ({}, {("default", ip(A)): ghost(1)}, {("default", ip(A)): ghost(2, ends=-100)}):
        node = world()
        bind(node, 1, A)
        assert told(node.answer(message(v4.REQUEST, ciaddr=A), restored=restored)) == 3600


def test_after_a_rollback_a_client_whose_ghost_is_here_gets_its_address_even_by_discover() -> None:
    offer = world().answer(message(v4.DISCOVER, requested=A), restored={("default", ip(A)): ghost(1)})
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip(A)
