"""A pool that drains serves the bindings it has; a disabled one is silent; reserved addresses are no pool's."""

from __future__ import annotations

import pytest

from core.world import Node, bind, message, pool, replace, reservation, subnet, world
from everlease.wire import v4

IN_POOL, RESERVED = "10.77.16.9", "10.77.16.10"


def house(pool_state: str, other: str = "active", **more: object) -> Node:
    """A subnet with a pool in this state, and another pool behind it."""
    first = replace(pool("10.77.16.0", "10.77.16.255"), state=pool_state)
    second = replace(pool("10.77.17.0", "10.77.17.255"), state=other)
    return world(subnet(pools=(first, second), reservations=(reservation(7, RESERVED),), **more))


@pytest.mark.parametrize("state", ["draining", "disabled"])
def test_nothing_new_is_given_from_a_pool_that_is_not_active(state: str) -> None:
    node = house(state)
    for number in range(20):
        offer = node.answer(message(v4.DISCOVER, number + 100, requested=IN_POOL))
        assert isinstance(offer, v4.Packet)
        assert offer.yiaddr >> 8 == 0x0A4D11


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [("draining", "draining", "draining"), ("disabled", "disabled", "disabled"), ("disabled", "draining", "draining")],
)
def test_silence_says_so_where_no_pool_is_open(first: str, second: str, reason: str) -> None:
    assert house(first, other=second).answer(message(v4.DISCOVER, 100)) == reason


def test_a_pool_for_others_and_one_that_is_full_are_no_reason_to_say_so() -> None:
    mine = replace(pool("10.77.16.0", "10.77.16.0"), classes=frozenset())
    theirs = replace(pool("10.77.17.0", "10.77.17.9"), classes=frozenset({"phones"}))
    shut = world(subnet(pools=(replace(mine, state="draining"), theirs)))
    assert shut.answer(message(v4.DISCOVER, 100)) == "draining"
    full = world(subnet(pools=(mine, replace(pool("10.77.18.0", "10.77.18.9"), state="draining"))))
    bind(full, 1, "10.77.16.0")
    assert full.answer(message(v4.DISCOVER, 100)) == "no_address"


@pytest.mark.parametrize(("state", "answer"), [("active", v4.ACK), ("draining", v4.ACK), ("disabled", "disabled")])
def test_a_binding_is_renewed_while_its_pool_drains_and_not_when_it_is_disabled(state: str, answer: object) -> None:
    node = house(state)
    bind(node, 1, IN_POOL)
    found = node.answer(message(v4.REQUEST, 1, ciaddr=IN_POOL))
    assert (found.message_type if isinstance(found, v4.Packet) else found) == answer


@pytest.mark.parametrize("state", ["draining", "disabled"])
def test_an_offer_made_before_is_not_completed(state: str) -> None:
    node = house(state)
    assert node.answer(message(v4.REQUEST, 1, requested=IN_POOL, server="10.77.0.2")) == state


def test_a_client_that_starts_anew_leaves_a_draining_pool() -> None:
    node = house("draining")
    bind(node, 1, IN_POOL)
    offer = node.answer(message(v4.DISCOVER, 1))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr >> 8 == 0x0A4D11


@pytest.mark.parametrize("state", ["draining", "disabled"])
def test_a_reserved_address_follows_its_subnet_alone(state: str) -> None:
    offer = house(state).answer(message(v4.DISCOVER, 7))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == 0x0A4D100A


@pytest.mark.parametrize(
    ("of_subnet", "of_pool", "answer"),
    [("draining", "disabled", "disabled"), ("disabled", "draining", "disabled"), ("draining", "active", v4.ACK)],
)
def test_the_stricter_state_holds(of_subnet: str, of_pool: str, answer: object) -> None:
    node = house(of_pool, state=of_subnet)
    bind(node, 1, IN_POOL)
    found = node.answer(message(v4.REQUEST, 1, ciaddr=IN_POOL))
    assert (found.message_type if isinstance(found, v4.Packet) else found) == answer
