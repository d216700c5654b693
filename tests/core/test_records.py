"""What is written of a lease, by whom and for how long: lifetimes, names, kinds of change, DECLINE and RELEASE."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.answers import told
from core.world import (
    NOW,
    Commit,
    Drop,
    Reply,
    bind,
    ip,
    key,
    message,
    option,
    reservation,
    subnet,
    world,
)
from everlease.core.actions import DROP_REASONS, GRANT, OFFER, OPERATIONS, RENEW
from everlease.core.lifecycle import DECLINED, INFINITE, timers
from everlease.core.model import ClusterSettings, Parameters
from everlease.wire import v4

A, B = "10.77.20.9", "10.77.20.10"
SERVER = "10.77.0.2"
RENEWAL = {"destination": ip(SERVER), "source": ip(A)}


# --- lifetimes -------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.floats(1e9, 4e9), st.integers(1, INFINITE), st.sampled_from([None, 0, 30]))
def test_what_is_told_never_ends_after_what_is_stored(now: float, valid: int, grace: int | None) -> None:
    rules = Parameters(valid_lifetime=valid)
    node = world(parameters=rules, cluster=ClusterSettings(grace=grace))
    node.now = now
    ack = node.answer(message(v4.REQUEST, requested=A, server=SERVER))
    assert now + told(ack) <= node.truth.leases["default", ip(A)][0].expires_at


@pytest.mark.parametrize(("valid", "grace"), [(60, 30), (1200, 600), (86_400, 600)])
def test_grace_is_half_the_lifetime_and_at_most_ten_minutes(valid: int, grace: int) -> None:
    node = world(parameters=Parameters(valid_lifetime=valid))
    node.answer(message(v4.REQUEST, requested=A, server=SERVER))
    assert node.truth.leases["default", ip(A)][0].expires_at == int(NOW) + 1 + valid + grace


def test_a_renewal_for_less_never_brings_the_stored_end_forward() -> None:
    node = world(parameters=Parameters(valid_lifetime=3600, min_valid_lifetime=60))
    bind(node, 1, A, ends=9000)
    before = node.truth.leases["default", ip(A)][0].expires_at
    assert told(node.answer(message(v4.REQUEST, ciaddr=A, options={51: (60).to_bytes(4, "big")}))) == 60
    assert node.truth.leases["default", ip(A)][0].expires_at == before


def test_an_endless_binding_ends_when_the_operator_has_set_an_end() -> None:
    node = world()
    bind(node, 1, A, ends=INFINITE, valid=INFINITE)
    assert told(node.answer(message(v4.REQUEST, ciaddr=A))) == 3600
    assert node.truth.leases["default", ip(A)][0].expires_at < NOW + 10_000


@given(st.integers(0, INFINITE - 1), st.none() | st.integers(0, INFINITE), st.none() | st.integers(0, INFINITE))
def test_t1_is_never_after_t2_nor_t2_after_the_end(valid: int, renew: int | None, rebind: int | None) -> None:
    t1, t2 = timers(valid, renew, rebind)
    assert 0 <= t1 <= t2 <= valid


# --- DECLINE and RELEASE, honest and forged (I12) --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [v4.DECLINE, v4.RELEASE])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"number": 2, "address": A, "server": SERVER}, "no_binding"),
        ({"number": 1, "address": B, "server": SERVER}, "no_binding"),
        ({"number": 1, "address": "192.168.1.5", "server": SERVER}, "no_binding"),
        ({"number": 1, "address": A, "server": "10.77.0.250"}, "other_server"),
        ({"number": 1, "address": A}, "malformed"),
        ({"number": 1, "server": SERVER}, "malformed"),
    ],
)
def test_who_does_not_match_in_client_address_and_server_frees_and_parks_nothing(
    kind: int, fields: dict[str, str | int], expected: str
) -> None:
    node = world()
    bind(node, 1, A)
    before = dict(node.truth.leases)
    fields = dict(fields)
    address, number = fields.pop("address", None), fields.pop("number")
    if address is not None:
        fields["requested" if kind == v4.DECLINE else "ciaddr"] = address
    assert node.answer(message(kind, number, **fields)) == expected
    assert node.truth.leases == before


def test_a_replayed_decline_or_release_changes_nothing_more() -> None:
    node = world()
    bind(node, 1, A)
    decline = message(v4.DECLINE, requested=A, server=SERVER)
    release = message(v4.RELEASE, ciaddr=A, server=SERVER)
    assert node.answer(release) == "done"
    assert node.answer(decline) == "no_binding"
    bind(node, 1, A)
    assert node.answer(decline) == "done"
    before = dict(node.truth.leases)
    assert [node.answer(decline), node.answer(release)] == ["done", "no_binding"]
    assert node.truth.leases == before


def test_a_client_that_declined_its_address_gets_another() -> None:
    node = world()
    bind(node, 1, A)
    node.answer(message(v4.DECLINE, requested=A, server=SERVER))
    offer = node.answer(message(v4.DISCOVER))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr != ip(A)
    answer = node.answer(message(v4.REQUEST, requested=A))
    assert isinstance(answer, v4.Packet)
    assert answer.message_type == v4.NAK
    assert node.truth.leases["default", ip(A)][0].state == DECLINED


def test_a_declined_record_is_kept_when_its_client_binds_another_address() -> None:
    node = world()
    bind(node, 1, A)
    node.answer(message(v4.DECLINE, requested=A, server=SERVER))
    node.answer(message(v4.REQUEST, requested=B, server=SERVER))
    assert node.truth.leases["default", ip(A)][0].state == DECLINED
    assert node.truth.index["default", 1, key(1)] == ip(B)


# --- what a record says ----------------------------------------------------------------------------------------------


def test_a_record_says_who_what_where_and_when() -> None:
    node = world()
    packet = message(
        v4.REQUEST, requested=A, server=SERVER, giaddr="10.77.0.200", options={12: b"My Laptop_1", 82: b"\x01\x04port"}
    )
    node.answer(packet, link=None)
    given = node.truth.leases["default", ip(A)][0]
    assert (given.client, given.hardware, given.subnet, given.valid) == (key(1), packet.chaddr, 1, 3600)
    assert (given.granted_at, given.giaddr, given.relay) == (int(NOW), ip("10.77.0.200"), b"\x01\x04port")
    assert given.hostname == "My-Laptop-1"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({12: b"laptop"}, "laptop"),
        ({12: b"\xff\xfe; rm -rf /"}, "rm--rf"),
        ({12: b"..."}, ""),
        ({81: b"\x04\0\0\x06laptop\x03lan\0"}, "laptop.lan"),
        ({81: b"\x04\0\0\xc0\x00"}, ""),
        ({12: b"name", 81: b"\x04\0\0\x06laptop\x00"}, "name"),
    ],
)
def test_names_from_clients_are_cleaned(options: dict[int, bytes], expected: str) -> None:
    node = world()
    node.answer(message(v4.REQUEST, requested=A, server=SERVER, options=options))
    assert node.truth.leases["default", ip(A)][0].hostname == expected


def test_option_82_from_a_client_itself_is_not_recorded() -> None:
    node = world()
    node.answer(message(v4.REQUEST, requested=A, server=SERVER, options={82: b"\x01\x04port"}))
    assert node.truth.leases["default", ip(A)][0].relay == b""


# --- rapid commit (RFC 4039) -----------------------------------------------------------------------------------------

RAPID = {80: b""}


def test_rapid_commit_answers_a_discover_with_a_committed_ack() -> None:
    node = world(parameters=Parameters(rapid_commit=True))
    action = node.decide(message(v4.DISCOVER, options=RAPID))
    assert isinstance(action, Commit)
    assert action.change.kind == GRANT
    assert action.then is not None
    ack = v4.parse(action.then.payload)
    assert (ack.message_type, ack.options[80], action.then.result) == (v4.ACK, b"", "ack")


def test_rapid_commit_is_for_those_who_ask_where_the_operator_allows_it() -> None:
    for node, options in ((world(), RAPID), (world(parameters=Parameters(rapid_commit=True)), {})):
        offer = node.answer(message(v4.DISCOVER, options=options))
        assert isinstance(offer, v4.Packet)
        assert offer.message_type == v4.OFFER
        assert 80 not in offer.options


# --- kinds of change -------------------------------------------------------------------------------------------------


def test_a_renewal_names_the_address_alone() -> None:
    node = world()
    bind(node, 1, A)
    action = node.decide(message(v4.REQUEST, ciaddr=A), **RENEWAL)
    assert isinstance(action, Commit)
    change = action.change
    assert (change.kind, change.indexes, change.puts_index, change.moved) == (RENEW, (), False, None)


def test_an_offer_on_record_is_not_committed_again() -> None:
    node = world(names="ab")
    address = next(a for a in range(ip(A), ip(A) + 200) if not node.peers.owned >> (a & 255) & 1)
    packet = message(v4.DISCOVER, options={50: address.to_bytes(4, "big")})
    first = node.decide(packet, copies=3)
    assert isinstance(first, Commit)
    assert first.change.kind == OFFER
    node.answer(packet, copies=3)
    assert isinstance(node.decide(packet, copies=3), Reply)


def test_a_clients_reservation_gives_it_a_name_and_its_options() -> None:
    own = reservation(1, "10.77.0.10", hostname="printer", parameters=Parameters(options={6: option("10.77.0.99")}))
    node = world(subnet(reservations=(own,)))
    offer = node.answer(message(v4.DISCOVER, options={55: bytes((6, 12))}))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip("10.77.0.10")
    assert (offer.options[12], offer.options[6]) == (b"printer", ip("10.77.0.99").to_bytes(4, "big"))


def test_drops_have_a_reason_that_metrics_know() -> None:
    node = world()
    for packet in (message(v4.DISCOVER, 2, giaddr="203.0.113.1"), message(v4.REQUEST), message(99)):
        action = node.decide(packet)
        assert isinstance(action, Drop)
        assert action.reason in DROP_REASONS
        assert action.operation in OPERATIONS
