"""Packets to test with: one to start from, and hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

from everlease.wire.v4 import MAGIC, Packet

# The options that the server reads, and must therefore have their RFC's length.
FIXED = {50: 4, 51: 4, 53: 1, 54: 4, 57: 2, 118: 4}


def raw(options: bytes, *, sname: bytes = b"", file: bytes = b"", hlen: int = 6) -> bytes:
    """A request as octets, its options field as given, nothing checked."""
    head = bytes((1, 1, hlen, 0)) + bytes(24) + b"\2\0\0\0\0\1".ljust(16, b"\0")
    return head + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + MAGIC + options


def _names(size: int) -> st.SearchStrategy[bytes]:
    return st.just(b"") | st.binary(max_size=size)


def _option(code: int) -> st.SearchStrategy[tuple[int, bytes]]:
    if code in FIXED:
        return st.tuples(st.just(code), st.binary(min_size=FIXED[code], max_size=FIXED[code]))
    return st.tuples(st.just(code), st.binary(min_size=2 if code == 61 else 0, max_size=600))


def _options() -> st.SearchStrategy[dict[int, bytes]]:
    codes = st.integers(1, 254).filter(lambda code: code != 52)
    return st.lists(codes.flatmap(_option), max_size=12).map(dict)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """Any packet that `build` takes and `parse` gives."""
    octet, word = st.integers(0, 255), st.integers(0, (1 << 32) - 1)
    half = st.integers(0, 65535)
    hlen = draw(st.integers(0, 16))
    header = [draw(octet), draw(octet), hlen, draw(octet), draw(word), draw(half), draw(half)]
    addresses = [draw(word) for _ in range(4)]
    chaddr = draw(st.binary(min_size=hlen, max_size=hlen))
    sname, file = draw(_names(64)).ljust(64, b"\0"), draw(_names(128)).ljust(128, b"\0")
    return Packet(*header, *addresses, chaddr, sname, file, draw(_options()))
