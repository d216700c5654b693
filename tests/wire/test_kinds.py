"""Kinds of option values: what an operator may write, what is on the wire, and what people are shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everlease.errors import WireError
from everlease.wire import kinds, options4
from everlease.wire.kinds import Kind
from wire.samples import SAMPLES

EVERY_KIND = list({id(kind): kind for kind, *_ in SAMPLES}.values())


def _id(row: object) -> str | None:
    return row.name if isinstance(row, Kind) else None


@pytest.mark.parametrize(("kind", "written", "octets", "shown"), SAMPLES, ids=_id)
def test_a_value_is_written_and_read_as_tabled(kind: Kind, written: object, octets: bytes, shown: object) -> None:
    assert kind.encode(written) == octets
    assert kind.decode(octets) == shown


@pytest.mark.parametrize(("kind", "written", "octets", "shown"), SAMPLES, ids=_id)
def test_what_is_shown_is_json_and_can_be_written_again(
    kind: Kind, written: object, octets: bytes, shown: object
) -> None:
    again = json.loads(json.dumps(kind.decode(octets)))
    assert kind.decode(kind.encode(again)) == shown


def test_the_table_has_every_kind_that_an_option_has_or_an_operator_may_name() -> None:
    used = {option.kind.name for option in options4.by_code.values()} | set(kinds.BY_NAME)
    assert used == {kind.name for kind in EVERY_KIND}


@pytest.mark.parametrize("kind", EVERY_KIND, ids=_id)
@settings(max_examples=50)
@given(st.binary(max_size=64))
def test_decode_returns_json_or_raises_wire_error(kind: Kind, data: bytes) -> None:
    try:
        json.dumps(kind.decode(data))
    except WireError as problem:
        assert str(problem)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=10) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=_id)
@settings(max_examples=50)
@given(ANYTHING)
def test_encode_returns_octets_or_raises_value_error(kind: Kind, value: object) -> None:
    try:
        assert isinstance(kind.encode(value), bytes)
    except ValueError as problem:
        assert str(problem)


REFUSED = [
    (kinds.IP, "10.0.0.300", "'10.0.0.300' is not an IPv4 address; write an IPv4 address like 192.0.2.1"),
    (kinds.IP, 10, "10 is not an IPv4 address"),
    (kinds.IP_LIST, [], "the list is empty; write IPv4 addresses like"),
    (kinds.IP_LIST, "10.0.0.1, 10.0.0.2", "is not an IPv4 address; write IPv4 addresses like"),
    (kinds.IP_PAIR_LIST, ["10.0.0.1"], "is not a pair of IPv4 addresses"),
    (kinds.IPV6, "fe80::1%eth0", "is not an IPv6 address"),
    (kinds.UINT8, 256, "256 is out of range; write a whole number from 0 to 255"),
    (kinds.UINT8, True, "True is not a whole number"),
    (kinds.UINT16, "many", "'many' is not a whole number"),
    (kinds.INT32, 1 << 31, "out of range; write a whole number from -2147483648 to 2147483647"),
    (kinds.BOOLEAN, "yes", "'yes' is neither true nor false"),
    (kinds.STRING, 5, "5 is not text"),
    (kinds.STRING, "a\0b", "holds a NUL"),
    (kinds.STRING, "x" * 1300, "takes 1300 octets"),
    (kinds.FQDN, "a..b", "has an empty label; write a domain name like"),
    (kinds.FQDN, "a" * 64, "has a label of more than 63 octets"),
    (kinds.FQDN, ".".join(["a" * 60] * 5), "is longer than 255 octets"),
    (kinds.FQDN, "bücher.example", "is not ASCII: write international names in their xn-- form"),
    (kinds.FQDN_LIST, ["example.org", ""], "'' is not a domain name"),
    (kinds.BINARY, "abc", "is not pairs of hex digits; write octets in hex"),
    (kinds.BINARY, "0a:0bb", "groups that are not one octet each"),
    (kinds.EMPTY, False, "leave the option out"),
    (kinds.ROUTES, ["10.1.2.3/8 via 192.0.2.1"], "has host bits set; the prefix is 10.0.0.0/8"),
    (kinds.ROUTES, ["10.0.0.0/8"], "is not a route; write routes like"),
    (kinds.ROUTES, ["10.0.0.0/33 via 192.0.2.1"], "'10.0.0.0/33' is not a prefix"),
    (kinds.ENCAPSULATED, {0: "0a"}, "0 is out of range"),
    (kinds.SUBOPTIONS, {1: "'" + "x" * 256 + "'"}, "sub-option 1 of 256 octets"),
    (kinds.SUBOPTIONS, {}, "the mapping is empty"),
    (kinds.VENDOR_OPTIONS, {"enterprise": 9}, "does not have exactly the keys enterprise, options"),
    (kinds.VENDOR_OPTIONS, {"enterprise": 1 << 32, "options": {1: "0a"}}, "out of range"),
    (kinds.RESOLVERS, {"priority": 0, "name": "a"}, "0 is out of range; write resolvers like"),
    (kinds.RESOLVERS, {"priority": 1}, "needs a priority and a name"),
    (kinds.RESOLVERS, {"priority": 1, "name": "a", "alpn": ["dot"]}, "service parameters, which need addresses"),
    (kinds.RESOLVERS, {"priority": 1, "name": "a", "prot": 853}, "there is no 'prot'; known are"),
    (kinds.PORT_PARAMETERS, {"offset": 1}, "does not have exactly the keys offset, psid-length, psid"),
]


@pytest.mark.parametrize(("kind", "value", "says"), REFUSED, ids=_id)
def test_a_wrong_value_is_refused_with_what_to_write_instead(kind: Kind, value: object, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        kind.encode(value)
    assert says in str(caught.value)


UNREADABLE = [
    (kinds.IP, "c00002"),
    (kinds.IP, "c000020100"),
    (kinds.IP_LIST, ""),
    (kinds.IP_LIST, "c0000201c0"),
    (kinds.IP_PAIR_LIST, "c0000201"),
    (kinds.UINT16, "01"),
    (kinds.UINT32, "0102030405"),
    (kinds.BOOLEAN, "02"),
    (kinds.EMPTY, "00"),
    (kinds.FQDN, "0161"),
    (kinds.FQDN, "01610000"),
    (kinds.ROUTES, "21c0000201c0000201"),
    (kinds.ROUTES, "180a0b0c"),
    (kinds.ENCAPSULATED, "0105aa"),
    (kinds.SUBOPTIONS, "01"),
    (kinds.VENDOR_OPTIONS, "00000de902 0105"),
    (kinds.VENDOR_CLASSES, "00000de9ff 0a"),
    (kinds.SIP_SERVERS, "02c0000201"),
    (kinds.SIP_SERVERS, "01c00002"),
    (kinds.CLIENT_NDI, "0103"),
    (kinds.RESOLVERS, "0005 0001 02 0161"),
    (kinds.RESOLVERS, "0017 0001 03 0161 00 04 c0000201 0003 0002 0355 0001 0002 0161"),
]


@pytest.mark.parametrize(("kind", "octets"), UNREADABLE, ids=_id)
def test_octets_that_are_no_value_are_the_peers_fault(kind: Kind, octets: str) -> None:
    with pytest.raises(WireError):
        kind.decode(bytes.fromhex(octets))


def test_rfc_3442_bits_beyond_the_prefix_length_mean_nothing() -> None:
    assert kinds.ROUTES.decode(bytes.fromhex("14 0affff c0000201")) == [
        {"prefix": "10.255.240.0/20", "router": "192.0.2.1"}
    ]


def test_rfc_2132_nuls_at_the_end_of_text_are_deleted() -> None:
    assert kinds.STRING.decode(b"host\0\0") == "host"


def test_text_that_is_not_utf_8_is_shown_escaped() -> None:
    assert kinds.STRING.decode(b"a\xff") == "a\\xff"


def test_padding_and_end_are_read_in_vendor_options_only() -> None:
    octets = bytes.fromhex("00 01010a ff 99")
    assert kinds.ENCAPSULATED.decode(octets) == {"1": "0a"}
    with pytest.raises(WireError):
        kinds.SUBOPTIONS.decode(octets)
