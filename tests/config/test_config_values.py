"""config.values: single values as people write them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.config import ranges, values
from everlease.core.lifecycle import INFINITE


@pytest.mark.parametrize(
    ("function", "written", "meant"),
    [
        (values.lifetime, "1h", 3600),
        (values.lifetime, "1h30m", 5400),
        (values.lifetime, "7d", 604_800),
        (values.lifetime, "2w", 1_209_600),
        (values.lifetime, "90 min", 5400),
        (values.lifetime, "1.5h", 5400),
        (values.lifetime, 90, 90),
        (values.lifetime, "infinite", INFINITE),
        (values.number_with_unit, "500ms", 0.5),
        (values.number_with_unit, 0, 0),
        (values.whole_seconds, "0s", 0),
        (values.size, "8GB", 8_000_000_000),
        (values.size, "512MiB", 512 << 20),
        (values.size, "2gib", 2 << 30),
        (values.size, 1000, 1000),
        (values.size, "1.5K", 1500),
        (values.rate, "10/s", 10.0),
        (values.rate, "90/min", 1.5),
        (values.rate, "off", 0.0),
        (values.rate, 5, 5.0),
        (values.address, "192.0.2.1", 0xC0000201),
        (values.prefix, "10.77.0.0/16", (0x0A4D0000, 16)),
        (values.prefix, "10.0.0.0/255.0.0.0", (0x0A000000, 8)),
        (values.address_range, "10.0.0.1-10.0.0.9", (0x0A000001, 0x0A000009)),
        (values.address_range, "10.0.0.1 - 10.0.0.9", (0x0A000001, 0x0A000009)),
        (values.address_range, "10.0.0.0/30", (0x0A000000, 0x0A000003)),
        (values.address_range, "10.0.0.7", (0x0A000007, 0x0A000007)),
        (values.hardware, "02:00:00:00:00:01", b"\1\2\0\0\0\0\1"),
        (values.hardware, "2:0:0:0:0:1", b"\1\2\0\0\0\0\1"),
        (values.hardware, "02-00-00-00-00-01", b"\1\2\0\0\0\0\1"),
        (values.hardware, "0200.0000.0001", b"\1\2\0\0\0\0\1"),
        (values.hardware, "020000000001", b"\1\2\0\0\0\0\1"),
        (values.hardware, 112233445566, b"\1\x11\x22\x33\x44\x55\x66"),
        (values.hardware, "00:11:22:33:44:55:66:77", b"\x1b\0\x11\x22\x33\x44\x55\x66\x77"),
        (values.hardware, "7/05", b"\7\5"),
        (values.identifier, "01:0a:0B", b"\1\n\x0b"),
        (values.identifier, "0x010a", b"\1\n"),
        (values.identifier, "Gi1/0/3", b"Gi1/0/3"),
        (values.identifier, "'beef'", b"beef"),
        (values.identifier, "port 7", b"port 7"),
        (values.identifier, "1.10", b"1.10"),
        (values.identifier, 7, b"7"),
        (values.host_name, "printer-2.example", "printer-2.example"),
    ],
)
def test_a_value_means_what_people_mean(function: object, written: object, meant: object) -> None:
    assert callable(function)
    assert function(written) == meant


@pytest.mark.parametrize(
    ("function", "written", "advice"),
    [
        (values.lifetime, "1 hour", "write one like"),
        (values.lifetime, "", "write one like"),
        (values.lifetime, "-1h", "write one like"),
        (values.lifetime, -5, "write a duration"),
        (values.lifetime, "500ms", "whole seconds"),
        (values.lifetime, "0s", "1s or more"),
        (values.lifetime, "999999d", "out of range"),
        (values.lifetime, True, "write one like"),
        (values.lifetime, ["1h"], "write one like"),
        (values.size, "8 apples", "write one like 8GB"),
        (values.size, True, "write one like 8GB"),
        (values.rate, "10/day", "write one like 10/s"),
        (values.rate, True, "write one like 10/s"),
        (values.address, "10.0.0", "write one like"),
        (values.address, 167772161, "write one like"),
        (values.address, "::1", "write one like"),
        (values.prefix, "10.77.0.1/16", "the prefix is 10.77.0.0/16"),
        (values.prefix, "10.77.0.0", "write one like"),
        (values.prefix, "0.0.0.0/0", "write one like"),
        (values.prefix, "10.0.0.0/33", "write one like"),
        (values.address_range, "10.0.0.9-10.0.0.1", "write 10.0.0.1-10.0.0.9"),
        (values.address_range, "10.0.0.1-9", "write one like"),
        (values.address_range, "10.0.0.1/24", "host bits set; the prefix is 10.0.0.0/24"),
        (values.address_range, None, "write one like"),
        (values.hardware, "02:00", "put its hardware type before it"),
        (values.hardware, "printer", "write one like"),
        (values.hardware, "02:" * 400 + "01", "write one like"),
        (values.identifier, "beef", "write 0xbeef for octets"),
        (values.identifier, "0x0g", "pairs of hex digits"),
        (values.identifier, "", "1 to 255"),
        (values.identifier, "0:" * 1100 + "0", "1 to 255"),
        (values.identifier, True, "write hex"),
        (values.host_name, "two words", "letters, digits and hyphens"),
        (values.host_name, "-a", "letters, digits and hyphens"),
        (values.host_name, "a" * 64, "at most 63"),
        (values.host_name, "a..b", "letters, digits and hyphens"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_advice(function: object, written: object, advice: str) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match=r".") as refused:
        function(written)
    assert advice in str(refused.value)


SPANS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair)))


@given(SPANS, st.lists(SPANS, max_size=6))
def test_a_range_without_others_equals_the_dumb_difference(span: ranges.Range, holes: list[ranges.Range]) -> None:
    left = ranges.without(span, ranges.merged(holes))
    expected = set(range(span[0], span[1] + 1)) - {n for first, last in holes for n in range(first, last + 1)}
    assert [n for first, last in left for n in range(first, last + 1)] == sorted(expected)


@given(st.lists(SPANS, max_size=6))
def test_merged_ranges_are_the_same_addresses_apart_from_each_other(spans: list[ranges.Range]) -> None:
    merged = ranges.merged(spans)
    assert {n for a, b in merged for n in range(a, b + 1)} == {n for a, b in spans for n in range(a, b + 1)}
    assert all(one[1] + 1 < other[0] for one, other in pairwise(merged))
