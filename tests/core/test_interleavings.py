"""Interleavings that break careless designs: what one node has not seen yet, and what happens twice.

Nodes here share a truth that compares every key a change names, as etcd does; a view is as old as its last `refresh`.
"""

from __future__ import annotations

import pytest

from core.world import (
    Commit,
    Node,
    Truth,
    bind,
    configuration,
    ip,
    key,
    lease,
    message,
    pool,
    record,
    replace,
    reservation,
    subnet,
    world,
)
from everlease.core.actions import CHECK, GRANT, OFFER
from everlease.core.lifecycle import BOUND, OFFERED, RELEASED
from everlease.core.model import ClientClass, Parameters
from everlease.wire import v4

A, B = "10.77.20.9", "10.77.20.10"
SERVER = "10.77.0.2"
RENEWAL = {"destination": ip(SERVER)}


def committed(node: Node, packet: v4.Packet, **more: object) -> Commit:
    action = node.decide(packet, **more)
    assert isinstance(action, Commit), action
    return action


def kind(answer: v4.Packet | str) -> int | str:
    return answer.message_type if isinstance(answer, v4.Packet) else answer


# --- the expired client returns after its address moved on -----------------------------------------------------------


@pytest.mark.parametrize("fields", [{"ciaddr": A}, {"requested": A}, {"requested": A, "server": SERVER}])
def test_an_expired_client_returns_after_its_address_moved_on(fields: dict[str, str]) -> None:
    node = world()
    bind(node, 1, A, ends=-100)
    assert kind(node.answer(message(v4.REQUEST, 2, requested=A, server=SERVER))) == v4.ACK
    assert ("default", 1, key(1)) not in node.truth.index
    assert kind(node.answer(message(v4.REQUEST, 1, **fields))) == v4.NAK
    offer = node.answer(message(v4.DISCOVER, 1))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr != ip(A)
    assert node.truth.leases["default", ip(A)][0].client == key(2)


def test_the_same_before_the_node_has_heard_that_the_address_moved_on() -> None:
    truth, config = Truth(), configuration()
    first, second = Node(truth, config, "a", "ab"), Node(truth, config, "b", "ab")
    bind(first, 1, A, ends=-100)
    second.sight.refresh()
    assert first.truth.apply(committed(first, message(v4.REQUEST, 2, requested=A, server=SERVER)).change)
    stale = committed(second, message(v4.REQUEST, 1, ciaddr=A), **RENEWAL)
    assert stale.then is not None
    assert stale.then.result == "ack"
    assert not truth.apply(stale.change)  # so this ACK never leaves
    assert kind(second.answer(message(v4.REQUEST, 1, ciaddr=A), **RENEWAL)) == v4.NAK


def test_an_expired_client_returns_while_its_address_is_still_free() -> None:
    for fields in ({"ciaddr": A}, {"requested": A}):
        node = world()
        bind(node, 1, A, ends=-100)
        assert kind(node.answer(message(v4.REQUEST, 1, **fields))) == v4.ACK


def test_two_nodes_grant_one_address_to_two_clients_and_one_commit_wins() -> None:
    truth, config = Truth(), configuration()
    first, second = Node(truth, config, "a", "ab"), Node(truth, config, "b", "ab")
    one = committed(first, message(v4.REQUEST, 1, requested=A, server="10.77.0.2"))
    two = committed(second, message(v4.REQUEST, 2, requested=A, server="10.77.0.3"))
    assert truth.apply(one.change)
    assert not truth.apply(two.change)
    assert kind(second.answer(message(v4.REQUEST, 2, requested=A, server="10.77.0.3"))) == v4.NAK


def test_two_nodes_grant_two_addresses_to_one_client_and_it_ends_with_one() -> None:
    truth, config = Truth(), configuration()
    first, second = Node(truth, config, "a", "ab"), Node(truth, config, "b", "ab")
    one = committed(first, message(v4.REQUEST, 1, requested=A, server="10.77.0.2"))
    two = committed(second, message(v4.REQUEST, 1, requested=B, server="10.77.0.3"))
    assert truth.apply(one.change)
    assert not truth.apply(two.change)
    assert kind(second.answer(message(v4.REQUEST, 1, requested=B, server="10.77.0.3"))) == v4.ACK
    assert truth.leases["default", ip(A)][0].state == RELEASED
    assert truth.index["default", 1, key(1)] == ip(B)


# --- class change with a nearly full pool and an OFFER never taken ---------------------------------------------------


def classed() -> Node:
    """Two pools: sixteen addresses for phones, the others in 10.77.20.0."""
    phones = pool("10.77.2.0", "10.77.2.15", frozenset({"phone"}))
    others = pool("10.77.20.0", "10.77.20.255", frozenset({"other"}))
    kinds = (
        ClientClass("phone", lambda facts: "user-class" in facts, "", Parameters()),
        ClientClass("other", lambda facts: "user-class" not in facts, "", Parameters()),
    )
    return world(subnet(pools=(phones, others)), classes=kinds)


PHONE = {77: b"phone"}


def test_a_class_change_with_a_nearly_full_pool_and_an_offer_never_taken() -> None:
    node = classed()
    bind(node, 1, A)
    for last in range(15):
        bind(node, 100 + last, f"10.77.2.{last}")
    offered = committed(node, message(v4.DISCOVER, options=PHONE))
    assert offered.change.kind == OFFER  # the share is nearly used up
    assert offered.change.address == ip("10.77.2.15")
    assert kind(node.answer(message(v4.DISCOVER, options=PHONE))) == v4.OFFER
    # It never takes the offer, and is what it was before: its binding and its index are untouched.
    assert node.truth.leases["default", ip("10.77.2.15")][0].state == OFFERED
    assert node.truth.index["default", 1, key(1)] == ip(A)
    assert kind(node.answer(message(v4.REQUEST, ciaddr=A), **RENEWAL)) == v4.ACK
    # The offer ends by itself, and the address goes to the next phone.
    node.now += 60
    offer = node.answer(message(v4.DISCOVER, 7, options=PHONE))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip("10.77.2.15")


def test_a_client_of_another_class_is_refused_at_renewal_and_keeps_its_record_until_it_moves() -> None:
    node = classed()
    bind(node, 1, A)
    assert kind(node.answer(message(v4.REQUEST, ciaddr=A, options=PHONE), **RENEWAL)) == v4.NAK
    assert node.truth.leases["default", ip(A)][0].state == BOUND
    offer = node.answer(message(v4.DISCOVER, options=PHONE))
    assert isinstance(offer, v4.Packet)
    taken = {50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54], **PHONE}
    assert kind(node.answer(message(v4.REQUEST, options=taken))) == v4.ACK
    assert node.truth.leases["default", ip(A)][0].state == RELEASED  # its own move frees it at once
    assert node.truth.index["default", 1, key(1)] == offer.yiaddr


# --- two nodes offer two addresses to one client ---------------------------------------------------------------------


LAST_TWO = pool("10.77.20.0", "10.77.20.1")


def offered_twice() -> tuple[Node, Node, Commit, Commit]:
    """Two nodes on the last two addresses, each about to commit an offer of its own to client 1."""
    truth, config = Truth(), configuration(subnet(pools=(LAST_TWO,)))
    first, second = Node(truth, config, "a", "ab"), Node(truth, config, "b", "ab")
    one = committed(first, message(v4.DISCOVER, 1, requested="10.77.20.0"), copies=3)
    two = committed(second, message(v4.DISCOVER, 1, requested="10.77.20.1"), copies=3)
    assert (one.change.kind, two.change.kind) == (OFFER, OFFER)
    assert one.change.address != two.change.address
    return first, second, one, two


def take(node: Node, number: int, address: int) -> v4.Packet | str:
    return node.answer(
        message(v4.REQUEST, number, options={50: address.to_bytes(4, "big"), 54: ip(SERVER).to_bytes(4, "big")}),
        copies=3,
    )


def test_of_two_committed_offers_the_one_that_was_not_taken_goes_to_who_needs_it() -> None:
    first, second, one, two = offered_twice()
    assert first.truth.apply(one.change)
    assert first.truth.apply(two.change)
    for node in (first, second):
        node.sight.refresh()
        assert node.answer(message(v4.DISCOVER, 2), copies=3) == "no_address"
    assert kind(take(first, 1, one.change.address)) == v4.ACK
    second.sight.refresh()
    offer = committed(second, message(v4.DISCOVER, 2), copies=3)  # the record still names client 1: never from memory
    assert (offer.change.kind, offer.change.address) == (OFFER, two.change.address)
    assert second.truth.apply(offer.change)
    for node in (first, second):
        node.sight.refresh()
    assert kind(take(first, 2, two.change.address)) == v4.ACK
    second.sight.refresh()
    assert kind(take(second, 1, two.change.address)) == v4.NAK
    assert [lease.client for lease, _ in first.truth.leases.values()] == [key(1), key(2)]


def test_what_a_client_did_not_take_is_nobody_elses_while_it_has_not_taken_anything() -> None:
    first, second, one, two = offered_twice()
    assert first.truth.apply(one.change)
    assert first.truth.apply(two.change)
    second.sight.refresh()
    assert kind(take(second, 2, two.change.address)) == v4.NAK
    assert kind(take(second, 1, two.change.address)) == v4.ACK


def test_an_offer_that_comes_after_its_client_was_bound_by_another_node_is_refused() -> None:
    first, second, one, two = offered_twice()
    assert first.truth.apply(one.change)
    first.sight.refresh()
    assert kind(take(first, 1, one.change.address)) == v4.ACK
    assert not second.truth.apply(two.change)
    answer = second.answer(message(v4.DISCOVER, 1), copies=3)
    assert isinstance(answer, v4.Packet)
    assert answer.yiaddr == one.change.address  # what it is bound to; nothing is kept beside it
    assert len(first.truth.leases) == 1


# --- reservations that arrive late -----------------------------------------------------------------------------------


def api_reservation(number: int, address: str) -> object:
    return reservation(number, address, source="api", revision=77)


def test_a_reservation_made_while_a_node_has_not_heard_of_it_refuses_the_grant() -> None:
    node = world()
    stale = committed(node, message(v4.REQUEST, 1, requested=A, server=SERVER))
    node.truth.reservations["default", ip(A)] = api_reservation(2, A)  # type: ignore[assignment]
    assert stale.change.reservation == 0
    assert not node.truth.apply(stale.change)
    assert kind(node.answer(message(v4.REQUEST, 1, requested=A, server=SERVER))) == v4.NAK
    assert kind(node.answer(message(v4.REQUEST, 2, requested=A, server=SERVER))) == v4.ACK


def test_a_reserved_address_that_another_holds_stays_his_until_its_end() -> None:
    node = world(subnet(reservations=(reservation(2, A),)))
    bind(node, 1, A)
    before = node.truth.leases["default", ip(A)]
    assert kind(node.answer(message(v4.REQUEST, 1, ciaddr=A), **RENEWAL)) == v4.NAK
    assert node.truth.leases["default", ip(A)] == before  # a NAK writes nothing
    meanwhile = node.answer(message(v4.DISCOVER, 2))
    assert isinstance(meanwhile, v4.Packet)
    assert meanwhile.yiaddr != ip(A)
    taken = {50: meanwhile.yiaddr.to_bytes(4, "big"), 54: meanwhile.options[54]}
    assert kind(node.answer(message(v4.REQUEST, 2, options=taken))) == v4.ACK
    node.now = before[0].expires_at + 6.0
    moved = node.answer(message(v4.DISCOVER, 2))
    assert isinstance(moved, v4.Packet)
    assert moved.yiaddr == ip(A)


def test_a_reserved_client_is_not_driven_from_its_dynamic_address_at_renewal() -> None:
    node = world(subnet(reservations=(reservation(1, "10.77.0.10"),)))
    bind(node, 1, A)
    assert kind(node.answer(message(v4.REQUEST, 1, ciaddr=A), **RENEWAL)) == v4.ACK


def test_a_reserved_address_goes_to_nobody_else_even_while_its_owner_is_away() -> None:
    node = world(subnet(pools=(pool(A, A),), reservations=(reservation(2, A),)))
    assert node.answer(message(v4.DISCOVER, 1, requested=A)) == "no_address"
    assert kind(node.answer(message(v4.REQUEST, 1, requested=A, server=SERVER))) == v4.NAK


def test_a_client_that_two_reservations_name_gets_the_one_by_hardware() -> None:
    by_id = reservation(1, "10.77.0.11", kind="client-id", value=b"\x00me")
    node = world(subnet(reservations=(by_id, reservation(1, "10.77.0.10"))))
    offer = node.answer(message(v4.DISCOVER, 1, options={61: b"\x00me"}))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip("10.77.0.10")


def test_a_reservation_by_circuit_needs_a_relay_that_vouches_for_it() -> None:
    by_port = reservation(1, "10.77.0.11", kind="circuit-id", value=b"port")
    node = world(subnet(reservations=(by_port,)))
    options = {82: b"\x01\x04port"}
    relayed = node.answer(message(v4.DISCOVER, 5, giaddr="10.77.0.200", options=options), link=None)
    forged = node.answer(message(v4.DISCOVER, 6, options=options))
    assert isinstance(relayed, v4.Packet)
    assert isinstance(forged, v4.Packet)
    assert relayed.yiaddr == ip("10.77.0.11")
    assert forged.yiaddr != ip("10.77.0.11")


# --- stale views and replays -----------------------------------------------------------------------------------------


def test_a_reply_that_would_need_a_stale_view_waits_for_its_check() -> None:
    truth, config = Truth(), configuration()
    first, second = Node(truth, config, "a", "ab"), Node(truth, config, "b", "ab")
    bind(first, 1, A)
    # b has not seen the binding; its offer would name another address than the client has.
    offer = committed(second, message(v4.DISCOVER, 1), copies=3, fresh=False)
    assert offer.change.kind in (CHECK, OFFER)
    if offer.change.kind == CHECK:
        assert not truth.apply(offer.change)
    answer = second.answer(message(v4.DISCOVER, 1), copies=3, fresh=False)
    assert isinstance(answer, v4.Packet)


def test_an_old_batch_after_a_release_is_refused() -> None:
    node = world()
    bind(node, 1, A)
    old = committed(node, message(v4.REQUEST, 1, ciaddr=A), **RENEWAL)
    assert node.answer(message(v4.RELEASE, 1, ciaddr=A, server=SERVER), **RENEWAL) == "done"
    assert not node.truth.apply(old.change)
    assert kind(node.answer(message(v4.REQUEST, 2, requested=A, server=SERVER))) == v4.ACK
    assert not node.truth.apply(old.change)


@pytest.mark.parametrize("fields", [{"ciaddr": A}, {"requested": A}])
def test_a_replayed_renewal_does_not_drive_a_client_from_where_it_is_now(fields: dict[str, str]) -> None:
    node = world()
    bind(node, 1, A)
    assert kind(node.answer(message(v4.REQUEST, 1, requested=B, server=SERVER))) == v4.ACK
    assert kind(node.answer(message(v4.REQUEST, 1, **fields))) == v4.NAK
    assert node.truth.leases["default", ip(B)][0].state == BOUND


def test_a_replayed_release_after_reassignment_frees_nothing() -> None:
    node = world()
    bind(node, 1, A)
    release = message(v4.RELEASE, 1, ciaddr=A, server=SERVER)
    node.answer(release)
    node.answer(message(v4.REQUEST, 2, requested=A, server=SERVER))
    assert node.answer(release) == "no_binding"
    assert node.truth.leases["default", ip(A)][0].client == key(2)


def test_the_same_request_on_three_nodes_gives_one_record_and_the_same_address() -> None:
    truth, config = Truth(), configuration()
    nodes = [Node(truth, config, name, "abc") for name in "abc"]
    packet = message(v4.REQUEST, 1, requested=A, server=SERVER)
    answers = [node.answer(packet, copies=3) for node in nodes]
    assert [answer.yiaddr for answer in answers if isinstance(answer, v4.Packet)] == [ip(A)] * 3
    assert len(truth.leases) == 1


def test_a_client_that_moves_between_members_of_a_shared_network_leaves_one_binding() -> None:
    second = subnet("10.88.0.0/16", id=2, link=None, pools=(pool("10.88.1.0", "10.88.1.255"),))
    node = world((subnet(), second))
    bind(node, 1, A)
    assert kind(node.answer(message(v4.REQUEST, 1, requested="10.88.1.7", server=SERVER))) == v4.ACK
    assert node.truth.leases["default", ip(A)][0].state == RELEASED
    assert node.truth.index == {("default", 2, key(1)): ip("10.88.1.7")}


def test_a_record_of_a_subnet_that_was_drawn_anew_is_taken_over_with_its_index() -> None:
    node = world(replace(subnet(), id=5))
    record(node, A, lease(1, subnet_id=1))
    action = committed(node, message(v4.REQUEST, 1, ciaddr=A), **RENEWAL)
    assert action.change.kind == GRANT
    assert action.change.displaced == (key(1), 1)
    assert node.truth.apply(action.change)
    assert node.truth.index == {("default", 5, key(1)): ip(A)}


def test_an_offer_in_memory_is_repeated_to_its_client_and_to_nobody_else() -> None:
    node = world()
    offer = node.answer(message(v4.DISCOVER, 1))
    again = node.answer(message(v4.DISCOVER, 1))
    assert isinstance(offer, v4.Packet)
    assert isinstance(again, v4.Packet)
    assert again.yiaddr == offer.yiaddr
    for number in range(2, 200):
        other = node.answer(message(v4.DISCOVER, number, options={50: offer.yiaddr.to_bytes(4, "big")}))
        assert isinstance(other, v4.Packet)
        assert other.yiaddr != offer.yiaddr
    request = message(v4.REQUEST, 2, options={50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]})
    # Silence, not a NAK: behind an identifier that all share, another node may have promised it to this client.
    assert node.answer(request) == "conflict"
