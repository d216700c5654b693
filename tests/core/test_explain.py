"""`explain` says what `decide` does, and does nothing itself."""

from __future__ import annotations

import pytest

from core.world import bind, ip, message, option, reservation, subnet, world
from everlease.core.explain import explain, explain_first
from everlease.core.model import ClientClass, Parameters
from everlease.wire import v4


@pytest.mark.parametrize("number", range(10))
def test_what_is_explained_is_what_is_offered(number: int) -> None:
    node = world(names="ab")
    if number % 3 == 0:
        bind(node, number, f"10.77.20.{number}")
    told = explain(message(v4.DISCOVER, number), node.situation(copies=2))
    assert node.truth.leases.keys() == ({("default", ip(f"10.77.20.{number}"))} if number % 3 == 0 else set())
    offer = node.answer(message(v4.DISCOVER, number), copies=2)
    assert isinstance(offer, v4.Packet)
    assert (told.address, told.valid) == (offer.yiaddr, int.from_bytes(offer.options[51], "big"))
    assert {code: offer.options[code] for code, _ in told.options} == dict(told.options)


def test_it_says_which_subnet_and_why_which_classes_what_was_considered_and_who_answers() -> None:
    kind = ClientClass("pxe", lambda facts: "vendor-class-identifier" in facts, "", Parameters())
    own = reservation(1, "10.77.0.10", parameters=Parameters(options={6: option("10.77.0.99")}))
    node = world(subnet(reservations=(own,)), classes=(kind,), names="abc")
    bind(node, 2, "10.77.0.10")
    packet = message(v4.DISCOVER, giaddr="10.77.0.200", requested="10.77.20.9", options={60: b"PXE"})
    told = explain(packet, node.situation(link=None))
    assert (told.subnets, told.found_by, told.classes) == ((1,), "giaddr", ("pxe",))
    assert [(each.address, each.source, each.free) for each in told.candidates] == [
        (ip("10.77.0.10"), "reservation", False),
        (ip("10.77.20.9"), "requested address", True),
    ]
    assert (told.address, told.source, told.reason) == (ip("10.77.20.9"), "requested address", "")
    assert told.reservation.startswith("hw-address 01:02:00")
    assert set(told.answers) == set("abc")
    assert dict(told.options)[6] == ip("10.77.0.99").to_bytes(4, "big")


@pytest.mark.parametrize(
    ("more", "reason"), [({"giaddr": "203.0.113.9"}, "bad_relay"), ({"hlen": 0, "chaddr": b""}, "malformed")]
)
def test_silence_has_its_reason(more: dict[str, object], reason: str) -> None:
    told = explain(message(v4.DISCOVER, **more), world().situation())
    assert (told.reason, told.action, told.address) == (reason, f"drop {reason}", 0)


def test_it_may_be_told_as_the_node_that_answers_first_would() -> None:
    node = world(names="abc")
    for number in range(12):
        told = explain_first(message(v4.DISCOVER, number), node.situation())
        assert told.answer is not None
        assert (told.silence, told.address) == ("", told.answer.yiaddr)
        assert told.answers == explain(message(v4.DISCOVER, number), node.situation()).answers


def test_reservations_are_told_with_those_that_keep_no_address() -> None:
    names = reservation(1, 0, parameters=Parameters(options={6: option("10.77.0.99")}))
    told = explain(message(v4.DISCOVER), world(subnet(reservations=(names,))).situation())
    assert [(number, kept.address) for number, kept in told.reservations] == [(1, 0)]
    assert told.candidates == ()


def test_a_subnet_for_reserved_clients_only_says_so() -> None:
    told = explain(message(v4.DISCOVER), world(subnet(unknown_clients="deny")).situation())
    assert (told.reason, told.action) == ("unknown_client", "drop unknown_client")
