"""Offers in memory: bounded, one per client, gone after their time."""

from __future__ import annotations

from everlease.core.actions import Held
from everlease.runtime.offers import OfferTable


def held(address: int, client: bytes, until: float = 130.0) -> Held:
    return Held("default", address, client, 1, until)


def test_an_offer_is_found_by_client_and_by_address_until_it_ends() -> None:
    offers = OfferTable()
    offers.hold(held(1, b"a"), 100.0)
    found = offers.of("default", b"a", 129.0)
    assert found is not None
    assert found.address == 1
    assert offers.holder("default", 1, 129.0) == b"a"
    assert offers.of("default", b"a", 130.0) is None
    assert offers.holder("default", 1, 130.0) is None


def test_a_client_holds_one_offer() -> None:
    offers = OfferTable()
    offers.hold(held(1, b"a"), 100.0)
    offers.hold(held(2, b"a"), 101.0)
    assert offers.holder("default", 1, 102.0) is None
    assert offers.holder("default", 2, 102.0) == b"a"


def test_a_flood_of_clients_evicts_the_oldest_offers_and_the_table_stays_bounded() -> None:
    offers = OfferTable(capacity=100)
    for number in range(1000):
        offers.hold(held(number, number.to_bytes(4, "big")), 100.0)
    assert len(offers) <= 100
    assert offers.holder("default", 999, 100.0) is not None
    assert offers.holder("default", 0, 100.0) is None


def test_ended_offers_make_room_by_themselves() -> None:
    offers = OfferTable()
    for number in range(100):
        offers.hold(held(number, number.to_bytes(4, "big")), 100.0)
    for number in range(100, 160):
        offers.hold(held(number, number.to_bytes(4, "big"), 200.0), 140.0)
    assert len(offers) <= 61
