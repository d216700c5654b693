"""DHCPv4 messages: what `parse` says of real clients' packets, and what `build` writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.errors import WireError
from everlease.wire import v4
from everlease.wire.v4 import Packet, build, parse
from wire.hexfile import VECTORS, vector
from wire.packets4 import packets, raw

ANY_SIZE = 9216
ETHERNET = bytes.fromhex("02000000 0e01")
WINDOWS = bytes.fromhex("00155d0a0b0c")

# vector, message type, hardware address, what one can say of its options
CLIENTS = [
    ("dhclient-discover", v4.DISCOVER, ETHERNET, {12: b"hostA"}),
    ("dhclient-request", v4.REQUEST, ETHERNET, {54: b"\x0a\x63\x00\x01", 50: b"\x0a\x63\x00\x0a"}),
    ("udhcpc-discover", v4.DISCOVER, ETHERNET, {60: b"udhcp 1.35.0", 61: b"\1" + ETHERNET}),
    ("udhcpc-request", v4.REQUEST, ETHERNET, {57: b"\x02\x40", 12: b"hostU"}),
    ("dhcpcd-discover", v4.DISCOVER, ETHERNET, {80: b"", 145: b"\1"}),
    ("dhcpcd-request", v4.REQUEST, ETHERNET, {57: b"\x05\xc0", 50: b"\x0a\x63\x00\x0b"}),
    ("networkd-discover", v4.DISCOVER, ETHERNET, {12: b"vm", 57: b"\x05\xc0"}),
    ("networkd-request", v4.REQUEST, ETHERNET, {50: b"\x0a\x63\x00\x0a"}),
    ("windows-discover", v4.DISCOVER, WINDOWS, {60: b"MSFT 5.0"}),
    ("windows-request", v4.REQUEST, WINDOWS, {81: b"\0\0\0DESKTOP-7Q2K1LM"}),
    ("ipxe-discover", v4.DISCOVER, bytes.fromhex("525400123456"), {77: b"iPXE", 93: b"\0\7"}),
    ("relayed-discover", v4.DISCOVER, bytes.fromhex("525400123456"), {55: b"\1\3\6"}),
    ("kea-offer", v4.OFFER, ETHERNET, {54: b"\x0a\x63\x00\x01", 51: b"\0\0\x0e\x10"}),
    ("kea-ack", v4.ACK, ETHERNET, {1: b"\xff\xff\xff\0"}),
    ("bootp-no-cookie", 0, bytes.fromhex("525400123456"), {}),
    ("bootp-cookie", 0, bytes.fromhex("525400123456"), {12: b"old", 17: b"/nfs"}),
]


@pytest.mark.parametrize(("name", "kind", "chaddr", "some"), CLIENTS, ids=[row[0] for row in CLIENTS])
def test_what_clients_send_is_read(name: str, kind: int, chaddr: bytes, some: dict[int, bytes]) -> None:
    packet = parse(vector(name))
    assert packet.message_type == kind
    assert packet.bootp == (kind == 0)
    assert packet.chaddr == chaddr
    assert {code: packet.options[code] for code in some} == some


def test_every_vector_is_in_the_table() -> None:
    assert {path.stem for path in VECTORS.glob("*.hex")} == {row[0] for row in CLIENTS}


@pytest.mark.parametrize("name", [row[0] for row in CLIENTS if row[0] != "bootp-no-cookie"])
def test_a_packet_that_was_read_is_written_octet_for_octet(name: str) -> None:
    data = vector(name)
    assert build(parse(data)).rstrip(b"\0") == data.rstrip(b"\0")


@given(packets())
def test_what_was_written_is_read_back(packet: Packet) -> None:
    assert parse(build(packet, maximum=ANY_SIZE)) == packet


@given(packets(), st.integers(300, 1500))
def test_what_fits_only_by_overload_is_read_back_and_keeps_its_bounds(packet: Packet, maximum: int) -> None:
    try:
        data = build(packet, minimum=0, maximum=maximum)
    except WireError:
        return
    assert len(data) + 28 <= maximum
    assert parse(data) == packet


@given(packets())
def test_building_what_was_parsed_changes_nothing(packet: Packet) -> None:
    data = build(packet, maximum=ANY_SIZE)
    assert build(parse(data), maximum=ANY_SIZE) == data


@given(st.binary(max_size=700))
def test_parse_returns_a_packet_or_raises_wire_error(data: bytes) -> None:
    try:
        parse(data)
    except WireError as problem:
        assert str(problem)


@given(st.binary(max_size=400), st.binary(max_size=64), st.binary(max_size=128), st.integers(0, 3))
def test_any_options_are_a_packet_or_a_wire_error(options: bytes, sname: bytes, file: bytes, overload: int) -> None:
    data = raw(b"\x34\1" + bytes((overload,)) + options, sname=sname, file=file)
    try:
        packet = parse(data)
    except WireError:
        return
    assert not {0, 52, 255} & packet.options.keys()
    assert len(packet.chaddr) == packet.hlen


def test_a_memoryview_is_read_as_bytes_are() -> None:
    data = vector("udhcpc-request")
    assert parse(memoryview(data)) == parse(data)


def test_header_fields_are_where_rfc_2131_puts_them() -> None:
    packet = Packet(
        1, 6, 8, 2, 0x01020304, 5, 0x8000, 0x0A000001, 0x0A000002, 0x0A000003, 0x0A000004, b"12345678"
    )  # fmt: skip
    data = build(packet)
    assert data[:28] == bytes.fromhex("01060802 01020304 00058000 0a000001 0a000002 0a000003 0a000004")
    assert data[28:44] == b"12345678".ljust(16, b"\0")
    assert parse(data).broadcast


def test_a_message_is_padded_to_bootps_300_octets_and_no_more() -> None:
    assert len(build(Packet(options={53: b"\1"}))) == 300
    assert len(build(Packet(options={53: b"\1"}), minimum=0)) == 240 + 3 + 1


def test_options_keep_the_order_of_their_first_appearance() -> None:
    packet = parse(raw(b"\x3d\2ab\x35\1\1\x0c\1x\x3d\1c\xff"))
    assert list(packet.options) == [61, 53, 12]


def test_a_missing_end_and_padding_between_options_are_tolerated() -> None:
    assert parse(raw(b"\0\x35\1\1\0\0\x0c\1x")).options == {53: b"\1", 12: b"x"}


def test_octets_behind_the_end_say_nothing() -> None:
    assert parse(raw(b"\x35\1\1\xff\x0c\xff junk")).options == {53: b"\1"}


class TestRfc3396:
    """Long options (RFC 3396)."""

    def test_section_7_pieces_are_joined_in_the_order_in_which_they_came(self) -> None:
        packet = parse(raw(b"\x77\2ab\x35\1\1\x77\2cd\x77\0\x77\1e\xff"))
        assert packet.options == {119: b"abcde", 53: b"\1"}

    def test_section_5_a_value_over_255_octets_is_split_into_adjacent_pieces(self) -> None:
        value = bytes(range(256)) * 2
        data = build(Packet(options={53: b"\5", 121: value}), maximum=1500)
        pieces = b"".join(bytes((121, len(value[i : i + 255]))) + value[i : i + 255] for i in range(0, len(value), 255))
        assert data[240:] == b"\x35\1\5" + pieces + b"\xff"
        assert parse(data).options[121] == value

    def test_pieces_are_joined_over_options_then_file_then_sname(self) -> None:
        data = raw(b"\x34\1\3\x77\1a\xff", file=b"\x77\1b\xff", sname=b"\x77\1c\xff")
        assert parse(data).options == {119: b"abc"}

    def test_a_packet_full_of_one_octet_pieces_is_joined_once(self) -> None:
        assert parse(raw(b"\x77\1x" * 2900 + b"\xff")).options[119] == b"x" * 2900


class TestOverload:
    """Option 52 (RFC 2132 section 9.3)."""

    @pytest.mark.parametrize(("value", "options"), [(1, {12: b"f"}), (2, {15: b"s"}), (3, {12: b"f", 15: b"s"})])
    def test_it_names_the_fields_that_hold_options(self, value: int, options: dict[int, bytes]) -> None:
        packet = parse(raw(b"\x34\1" + bytes((value,)) + b"\xff", file=b"\x0c\1f\xff", sname=b"\x0f\1s\xff"))
        assert packet.options == options

    def test_a_field_that_held_options_reads_as_no_name(self) -> None:
        packet = parse(raw(b"\x34\1\1\xff", file=b"\x0c\1f\xff", sname=b"boot.example.org"))
        assert packet.file == bytes(128)
        assert packet.sname.rstrip(b"\0") == b"boot.example.org"

    def test_it_is_used_when_the_message_would_be_longer_than_the_client_takes(self) -> None:
        packet = Packet(options={53: b"\5", 6: b"\x0a\0\0\1" * 63, 15: b"x" * 100, 12: b"y" * 50})
        data = build(packet, maximum=576)
        assert len(data) <= 548
        assert data[240:246] == b"\x35\1\5\x34\1\3"
        assert parse(data) == packet

    def test_a_field_with_a_name_in_it_is_left_alone(self) -> None:
        packet = Packet(file=b"pxelinux.0".ljust(128, b"\0"), options={6: b"\x0a\0\0\1" * 63, 15: b"x" * 60})
        data = build(packet)
        assert data[240:243] == b"\x34\1\2"
        assert parse(data) == packet

    def test_overloaded_fields_end_with_an_end_option(self) -> None:
        data = build(Packet(options={6: b"\x0a\0\0\1" * 63, 15: b"x" * 120, 12: b"y" * 50}))
        file, sname = data[108:236], data[44:108]
        assert file[:2] == b"\x0f\x78"
        assert file[122:].strip(b"\0") == b"\xff"
        assert sname[:2] == b"\x0c\x32"
        assert sname[52:].strip(b"\0") == b"\xff"

    def test_an_option_is_cut_only_if_no_field_takes_it_whole(self) -> None:
        packet = Packet(options={6: b"\x0a\0\0\1" * 60, 43: bytes(range(200))})
        data = build(packet)
        assert len(data) <= 548
        assert parse(data) == packet

    def test_what_cannot_fit_is_refused(self) -> None:
        with pytest.raises(WireError, match="option 43 does not fit"):
            build(Packet(options={43: bytes(600)}))
        names = {"file": b"x" * 128, "sname": b"y" * 64}
        with pytest.raises(WireError, match="option 60 does not fit"):
            build(Packet(**names, options={43: bytes(250), 44: bytes(50), 60: b"", 77: b"zz"}))
        with pytest.raises(WireError, match="no room"):
            build(Packet(options={82: bytes(400), 60: b"x"}))


class TestRelayInformation:
    """Option 82 in a reply (RFC 3046 section 2.2)."""

    def test_it_is_the_last_option_wherever_it_was(self) -> None:
        data = build(Packet(options={82: b"\1\1a", 53: b"\5", 12: b"x"}), minimum=0)
        assert data.endswith(b"\x0c\1x\x52\3\1\1a\xff")

    def test_it_stays_whole_in_the_options_field_when_others_move_out(self) -> None:
        packet = Packet(options={82: b"\1\x64" + b"a" * 100, 6: b"\x0a\0\0\1" * 45, 15: b"x" * 100})
        data = build(packet, minimum=0)
        assert data.endswith(b"\x52\x66" + packet.options[82] + b"\xff")
        assert parse(data) == packet


@pytest.mark.parametrize(
    "packet",
    [
        Packet(xid=1 << 32),
        Packet(flags=-1),
        Packet(hlen=17),
        Packet(chaddr=bytes(17)),
        Packet(file=bytes(129)),
        Packet(sname=bytes(65)),
        Packet(options={0: b""}),
        Packet(options={255: b""}),
        Packet(options={256: b""}),
    ],
)
def test_what_has_no_place_on_the_wire_is_refused(packet: Packet) -> None:
    with pytest.raises(WireError):
        build(packet)


def test_message_types_are_named() -> None:
    assert v4.MESSAGE_NAMES[v4.DISCOVER] == "DISCOVER"
    assert sorted(v4.MESSAGE_NAMES) == list(range(1, 19))
