"""An address that answers an echo before it is offered is nobody's, and its client gets another (RFC 2131 2.2)."""

from __future__ import annotations

from math import ceil

from core.world import NOW, Node, Reply, bind, dotted, ip, key, lease, message, record, world
from everlease.core.actions import DECLINE, Change
from everlease.core.lifecycle import BOUND, DECLINED, NOBODY, OFFERED, RELEASED
from everlease.core.model import Parameters, PingCheck
from everlease.core.v4 import found_in_use
from everlease.wire import v4

A, B = "10.77.20.9", "10.77.20.10"
PROBATION = 7200
PROBED = Parameters(decline_probation=PROBATION, ping_check=PingCheck(enabled=True))


def offered(node: Node, number: int = 1) -> int:
    answer = node.answer(message(v4.DISCOVER, number))
    assert isinstance(answer, v4.Packet), answer
    return answer.yiaddr


def answers(node: Node, address: int | str, number: int = 1) -> Change | None:
    """A host that is not the client answers at the address."""
    where = ip(address) if isinstance(address, str) else address
    change = found_in_use(message(v4.DISCOVER, number), node.situation(), where)
    if change is not None:
        assert node.truth.apply(change)
        node.sight.refresh()
    return change


def test_an_offer_of_an_address_that_is_new_to_its_client_asks_for_an_echo_and_one_of_its_binding_does_not() -> None:
    node = world(parameters=PROBED)
    bind(node, 2, A)
    probed, known = (node.decide(message(v4.DISCOVER, number)) for number in (1, 2))
    assert isinstance(probed, Reply)
    assert isinstance(known, Reply)
    assert probed.ping is not None
    assert known.ping is None


def test_an_address_that_answers_is_on_probation_in_nobodys_name_and_the_client_gets_another() -> None:
    node = world(parameters=PROBED)
    address = offered(node)
    change = answers(node, address)
    assert change is not None
    assert (change.kind, change.client) == (DECLINE, NOBODY)
    kept = node.truth.leases["default", address][0]
    assert (kept.state, kept.client, kept.expires_at) == (DECLINED, NOBODY, ceil(NOW) + PROBATION)
    assert offered(node) != address
    refusal = node.answer(message(v4.REQUEST, 1, requested=dotted(address), server="10.77.0.2"))
    assert isinstance(refusal, v4.Packet)
    assert refusal.message_type == v4.NAK
    assert node.truth.index == {}


def test_it_comes_back_after_its_probation() -> None:
    node = world(parameters=PROBED)
    record(node, A, lease(1, state=RELEASED, ends=-10))
    assert offered(node) == ip(A)
    answers(node, A)
    node.now = NOW + PROBATION + 6
    answer = node.answer(message(v4.REQUEST, 2, requested=A, server="10.77.0.2"))
    assert isinstance(answer, v4.Packet)
    assert answer.message_type == v4.ACK


def test_the_index_entry_of_who_had_the_address_before_goes_with_the_record() -> None:
    node = world(parameters=PROBED)
    record(node, A, lease(1, state=RELEASED, ends=-10))
    assert node.truth.index == {("default", 1, key(1)): ip(A)}
    answers(node, A)
    assert node.truth.index == {}
    assert offered(node) != ip(A)


def test_an_offer_of_this_client_that_was_committed_becomes_the_probation() -> None:
    node = world(parameters=PROBED)
    record(node, A, lease(1, state=OFFERED, ends=30))
    assert answers(node, A) is not None
    assert node.truth.leases["default", ip(A)][0].state == DECLINED


def test_what_is_somebodys_by_now_is_not_taken_away_by_a_probe() -> None:
    node = world(parameters=PROBED)
    bind(node, 1, A)
    bind(node, 2, B)
    assert answers(node, A) is None
    assert answers(node, B) is None
    assert node.truth.leases["default", ip(A)][0].state == BOUND


def test_an_address_that_is_no_ones_network_any_more_is_left_alone() -> None:
    assert answers(world(parameters=PROBED), "192.0.2.9") is None
