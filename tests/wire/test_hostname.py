"""Options 12 and 81: names that clients give themselves (RFC 1123, RFC 4702)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.errors import WireError
from everlease.wire.hostname import ClientFqdn, build_fqdn, clean_hostname, parse_fqdn

SAFE = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*)?")

NAMES = [
    (b"printer", "printer"),
    (b"host.example.org", "host.example.org"),
    (b"host.example.org.", "host.example.org"),
    (b"host\0", "host"),
    (b"John's PC", "John-s-PC"),
    (b"my_host", "my-host"),
    (b"", ""),
    (b"\0\0", ""),
    (b"...", ""),
    (b"---", ""),
    (b"___.___", ""),
    (b"aaa..bbb.com", "aaa.bbb.com"),
    (b"-a-.-b-", "a.b"),
    (b"x" * 64, "x" * 63),
    (b"x" * 62 + b"-y", "x" * 62),
    (b".".join([b"x" * 60] * 5), ".".join(["x" * 60] * 4)),
    (b"$(reboot)", "reboot"),
    (b'a"b{c}\nd\x1b[31m', "a-b-c-d-31m"),
    (b"\xff\xfe", ""),
    ("bücher".encode(), "b-cher"),
]


@pytest.mark.parametrize(("data", "name"), NAMES)
def test_a_host_name_is_cleaned(data: bytes, name: str) -> None:
    assert clean_hostname(data) == name


@given(st.binary(max_size=600) | st.text(max_size=300).map(str.encode))
def test_whatever_a_client_says_becomes_a_safe_name_or_none(data: bytes) -> None:
    name = clean_hostname(data)
    assert SAFE.fullmatch(name)
    assert len(name) <= 253
    assert clean_hostname(name.encode()) == name


FQDNS = [
    (b"\x05\0\0\4host\7example\3org\0", ClientFqdn(5, "host.example.org", partial=False)),
    (b"\x05\0\0\4host", ClientFqdn(5, "host", partial=True)),
    (b"\x04\0\0", ClientFqdn(4, "", partial=True)),
    (b"\x04\0\0\0", ClientFqdn(4, "", partial=True)),
    (b"\0\0\0DESKTOP", ClientFqdn(0, "DESKTOP", partial=True)),
    (b"\1\xff\xffhost.example.org.", ClientFqdn(1, "host.example.org", partial=False)),
    (b"\x08\0\0", ClientFqdn(8, "", partial=True)),
]


@pytest.mark.parametrize(("data", "fqdn"), FQDNS)
def test_option_81_is_read_in_both_forms(data: bytes, fqdn: ClientFqdn) -> None:
    assert parse_fqdn(data) == fqdn
    assert parse_fqdn(build_fqdn(fqdn)) == fqdn


def test_rfc_4702_2_2_a_server_writes_255_for_the_rcodes() -> None:
    assert build_fqdn(ClientFqdn(5, "a.b", partial=False)) == b"\5\xff\xff\1a\1b\0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\4\0",
        b"\x09\0\0host",
        b"\4\0\0\x40" + b"a" * 64 + b"\0",
        b"\4\0\0\1a\xc0\x00",
        b"\4\0\0\1a\0\1b\0",
        b"\4\0\0\x05abc",
    ],
    ids=["empty", "2 octets", "S and N", "label 64", "pointer", "two names", "label past the end"],
)
def test_a_malformed_option_81_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_fqdn(data)


@given(st.binary(max_size=300))
def test_option_81_is_read_or_refused_and_its_host_name_is_safe(data: bytes) -> None:
    try:
        fqdn = parse_fqdn(data)
    except WireError:
        return
    assert SAFE.fullmatch(fqdn.hostname)
