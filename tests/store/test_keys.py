"""Keys and records: what is written can be read back, by us, by people, and by the next version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.core.lifecycle import Lease
from everlease.store.keys import Keys, index_value, parse_address, range_end
from everlease.store.records import (
    BadRecord,
    Presence,
    Takeover,
    decode_lease,
    decode_presence,
    decode_reservation,
    decode_row,
    dotted,
    encode,
    encode_lease,
    row_of,
    undotted,
)
from store.makers import lease

KEYS = Keys()
addresses = st.integers(0, 2**32 - 1)
texts = st.text(max_size=70)


def test_keys_are_those_of_the_architecture() -> None:
    assert KEYS.lease("default", 0x0A4D1001) == b"/everlease/v/leases/default/4/0a4d1001"
    assert KEYS.reservation("default", 0x0A4D1001) == b"/everlease/v/reservations/default/4/0a4d1001"
    assert KEYS.reservation_without_address("a", "id") == b"/everlease/v/reservations/a/4/none/id"
    assert KEYS.client("default", 7, b"\x01\xff") == b"/everlease/x/clients/default/4/7/01ff"
    assert KEYS.node("n1") == b"/everlease/v/nodes/n1"
    assert KEYS.config_current == b"/everlease/v/config/current"
    assert KEYS.config_chunk(12, 3) == b"/everlease/v/config/doc/0000000012/0003"


def test_a_range_ends_before_the_keys_of_a_longer_name() -> None:
    assert KEYS.watched <= KEYS.lease("default", 0) < range_end(KEYS.watched)
    assert not KEYS.watched <= Keys("/everlease2").lease("default", 0) < range_end(KEYS.watched)
    start, end = KEYS.leases("a"), range_end(KEYS.leases("a"))
    assert not start <= KEYS.lease("a-b", 1) < end


@given(st.lists(addresses, min_size=2, max_size=9))
def test_keys_sort_by_address(some: list[int]) -> None:
    keys = [KEYS.lease("default", address) for address in sorted(some)]
    assert keys == sorted(keys)


@given(addresses, addresses)
def test_a_lease_range_holds_its_first_and_its_last_address_and_nothing_else(one: int, two: int) -> None:
    first, last = sorted((one, two))
    start, end = KEYS.lease_range("default", first, last)
    assert start <= KEYS.lease("default", first) <= KEYS.lease("default", last) < end
    if last < 2**32 - 1:
        assert KEYS.lease("default", last + 1) >= end


@given(addresses, st.binary(min_size=1, max_size=65), st.integers(1, 10**6))
def test_keys_can_be_read_back(address: int, client: bytes, subnet: int) -> None:
    assert parse_address(KEYS.parse(KEYS.lease("a-1", address))[3]) == address
    assert KEYS.parse_client(KEYS.client("a-1", subnet, client)) == ("a-1", subnet, client)
    assert parse_address(index_value(address)) == address


def test_foreign_keys_are_not_ours() -> None:
    assert KEYS.parse(b"/other/v/leases") == ()
    assert KEYS.parse_client(KEYS.lease("default", 1)) is None
    assert KEYS.parse_client(b"/everlease/x/clients/default/4/one/zz") is None
    assert parse_address(b"none") is None


def test_a_space_is_named_in_lower_case_letters_digits_and_hyphens() -> None:
    for bad in ("", "A", "a/b", "a b", "ä"):
        with pytest.raises(ValueError, match="address space"):
            KEYS.lease(bad, 1)


leases = st.builds(
    Lease,
    client=st.binary(min_size=1, max_size=65),
    hardware=st.binary(max_size=16),
    state=st.integers(0, 3),
    granted_at=st.integers(0, 2**40),
    expires_at=st.integers(0, 2**40),
    valid=st.integers(0, 2**32 - 1),
    subnet=st.integers(0, 2**32 - 1),
    hostname=texts,
    relay=st.binary(max_size=255),
    giaddr=addresses,
    nonce=st.integers(0, 2**63 - 1),
    node=texts,
    config=st.integers(0, 2**40),
)


@given(leases)
def test_a_lease_that_was_written_can_be_read_back(one: Lease) -> None:
    value = encode_lease(one)
    assert decode_lease(value) == one
    assert decode_row(value, 7) == (row_of(one, 7), one.granted_at)


def test_a_record_of_the_next_version_is_understood() -> None:
    value = encode_lease(lease())[:-1] + b',"colour":"blue","nested":{"a":[1]}}'
    assert decode_lease(value) == lease()
    assert decode_row(value, 7)[0] == row_of(lease(), 7)


@given(st.binary(max_size=80))
def test_a_value_that_is_no_record_is_a_bad_record_and_nothing_else(value: bytes) -> None:
    for decode in (
        decode_lease,
        decode_presence,
        lambda raw: decode_row(raw, 1),
        lambda raw: decode_reservation(raw, 1),
    ):
        with pytest.raises(BadRecord):
            decode(value)


def test_an_unknown_state_and_an_odd_hex_string_are_bad_records() -> None:
    for change in ((b'"bound"', b'"lost"'), (b'"client":"01', b'"client":"0')):
        value = encode_lease(lease()).replace(*change)
        with pytest.raises(BadRecord):
            decode_row(value, 1)


def test_presence_comes_back_as_it_was() -> None:
    told = Presence("boot", 3, "serving", 12.5, 99, 7, {"office": ["10.0.0.1"]}, ["192.0.2.1"])
    told.takeovers = [Takeover("n2", "office", 17.0)]
    assert decode_presence(encode(told)) == told


@given(addresses)
def test_addresses_are_written_dotted(address: int) -> None:
    assert undotted(dotted(address)) == address


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.4.5", "1.2.3.256", "a.b.c.d", "1.2.3.-4"])
def test_what_is_no_address_is_a_bad_record(text: str) -> None:
    with pytest.raises(BadRecord):
        undotted(text)
