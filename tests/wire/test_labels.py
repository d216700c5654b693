"""Domain names on the wire (RFC 1035 sections 3.1 and 4.1.4, RFC 3397)."""

from __future__ import annotations

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.errors import WireError
from everlease.wire import labels
from everlease.wire.cursor import Cursor

LABEL = st.binary(min_size=1, max_size=63)
NAME = st.lists(LABEL, max_size=6).map(tuple).filter(lambda name: len(labels.join(name)) <= 255)


def test_rfc_3397_the_example_of_section_2_is_written_as_printed() -> None:
    assert labels.encode(["eng.apple.com", "marketing.apple.com"]) == (b"\3eng\5apple\3com\0\x09marketing\xc0\x04")


def test_compression_saves_whole_names_and_the_root_is_a_name() -> None:
    data = labels.encode(["example.org", "example.org", "."])
    assert data == b"\7example\3org\0\xc0\x00\0"
    assert labels.decode(data) == ["example.org", "example.org", "."]


@given(st.lists(NAME, min_size=1, max_size=8), st.booleans())
def test_names_are_read_back_compressed_or_not(names: list[labels.Labels], compress: bool) -> None:
    texts = [labels.to_text(name) for name in names]
    assert labels.decode(labels.encode(texts, compress=compress)) == texts


@given(NAME)
def test_text_says_the_same_labels_as_dnspython(name: labels.Labels) -> None:
    assert labels.from_text(labels.to_text(name)) == name
    assert dns.name.from_text(labels.to_text(name)).labels == (*name, b"")


@given(st.binary(max_size=300))
def test_decode_returns_names_or_raises_wire_error(data: bytes) -> None:
    try:
        assert labels.decode(data)
    except WireError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0\x00",
        b"\1a\xc0\x00",
        b"\1a\xc0\x02",
        b"\1a\0\1b\xc0\x05\1c\xc0\x03",
        b"\1a\xc0",
        b"\1a",
        b"\x40" + b"a" * 64 + b"\0",
        b"\x80a\0",
        b"\x3f" + b"a" * 63 + (b"\x3f" + b"b" * 63) * 3 + b"\0",
        b"\1a\0" * 257,
    ],
    ids=[
        "nothing",
        "itself",
        "its own name",
        "its own pointer",
        "each other",
        "half a pointer",
        "no root",
        "label 64",
        "label type 10",
        "name 257",
        "257 names",
    ],
)
def test_what_is_no_list_of_names_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        labels.decode(data)


def test_a_chain_of_pointers_costs_no_more_than_its_octets() -> None:
    chain = b"\1a\0" + b"".join((0xC000 | max(0, 3 + 2 * (i - 1)) * (i > 0)).to_bytes(2) for i in range(200))
    assert labels.decode(chain) == ["a"] * 201


@pytest.mark.parametrize("text", ["a..b", ".a", "", "a\\", "a\\256", "a\\25", "x" * 64, "é"])
def test_a_name_that_dns_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        labels.from_text(text)


def test_a_cursor_never_leaves_its_octets() -> None:
    cursor = Cursor(b"abcdef", 1, 4)
    narrow = cursor.narrow(2)
    assert narrow.rest() == b"bc"
    with pytest.raises(WireError, match="1 octets too many"):
        cursor.finish()
    with pytest.raises(WireError, match="2 octets expected, 1 are left"):
        cursor.uint(2)
    assert cursor.take(1) == b"d"
    cursor.finish()
