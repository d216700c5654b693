"""Packets that broke other servers (the bad-input table of the reliability design; its row numbers are in the names).

Here: what the parser makes of them. That the next good client is served is shown where packets are served.
"""

from __future__ import annotations

import pytest

from everlease.errors import WireError
from everlease.wire import kinds, labels, relay4
from everlease.wire.hostname import clean_hostname, parse_fqdn
from everlease.wire.options4 import by_code, show
from everlease.wire.v4 import Packet, build, parse
from wire.packets4 import raw

DISCOVER = b"\x35\1\1"


def refused(data: bytes) -> str:
    """The reason for which a packet is dropped."""
    with pytest.raises(WireError) as caught:
        parse(data)
    assert caught.value.reason == "malformed"
    return str(caught.value)


@pytest.mark.parametrize("name", [b"", b"...", b"x" * 64, b"a\0b", b"\xc0\x0c"])
def test_row_3_and_6_a_malformed_host_name_is_carried_and_cleaned(name: bytes) -> None:
    packet = parse(raw(DISCOVER + bytes((12, len(name))) + name + b"\xff"))
    assert packet.options[12] == name
    assert clean_hostname(name) in {"", "x" * 63, "a-b"}


@pytest.mark.parametrize("fqdn", [b"", b"\4\0\0\x40" + b"x" * 64, b"\4\0\0\1a\xc0\3", b"\4\0\0\1a\xc0\0", b"\x09\0\0"])
def test_row_3_a_malformed_fqdn_is_carried_and_refused_when_read(fqdn: bytes) -> None:
    packet = parse(raw(DISCOVER + bytes((81, len(fqdn))) + fqdn + b"\xff"))
    with pytest.raises(WireError):
        parse_fqdn(packet.options[81])


def test_row_6_a_name_of_empty_labels_becomes_a_name_or_none() -> None:
    assert clean_hostname(b"aaa..bbb.com") == "aaa.bbb.com"
    assert clean_hostname(b"___") == ""


def test_row_4_no_hardware_address_is_read_as_none() -> None:
    packet = parse(raw(DISCOVER + b"\xff", hlen=0))
    assert packet.chaddr == b""
    assert 61 not in packet.options


@pytest.mark.parametrize("hlen", [17, 128, 255])
def test_row_4_a_hardware_address_longer_than_its_field_is_refused(hlen: int) -> None:
    assert "hardware address length" in refused(raw(DISCOVER, hlen=hlen))


def test_row_8_vendor_options_nested_in_themselves_are_read_one_level_deep() -> None:
    nested = b"\x01\x01a"
    for _ in range(50):
        nested = bytes((43, len(nested))) + nested
    packet = parse(raw(DISCOVER + bytes((43, len(nested))) + nested))
    value = kinds.ENCAPSULATED.decode(packet.options[43])
    assert isinstance(value, dict)
    assert list(value) == ["43"]


@pytest.mark.parametrize("data", [b"\xc0\0", b"\1a\xc0\0", b"\1a\xc0\2\xc0\0", b"\xc0\2\xc0\0"])
def test_row_9_cyclic_compression_pointers_are_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="does not go back"):
        labels.decode(data)
    assert show(119, data) == data.hex(":")


@pytest.mark.parametrize(
    ("code", "length"),
    [(code, length) for code in (50, 51, 54, 118) for length in (0, 1, 2, 3, 5, 8)]
    + [(53, 0), (53, 2), (57, 0), (57, 1), (57, 3)],
)
def test_row_10_fixed_size_options_of_another_size_are_refused(code: int, length: int) -> None:
    message = DISCOVER if code != 53 else b""
    assert f"option {code} must have" in refused(raw(message + bytes((code, length)) + bytes(length) + b"\xff"))


def test_row_10_fixed_size_options_that_only_answers_carry_do_not_matter() -> None:
    assert parse(raw(DISCOVER + b"\1\x02ab\xff")).options[1] == b"ab"
    assert show(1, b"ab") == "61:62"


@pytest.mark.parametrize("length", [0, 1])
def test_row_11_a_client_identifier_of_no_octet_or_one_is_refused(length: int) -> None:
    assert "option 61" in refused(raw(DISCOVER + bytes((61, length)) + b"x" * length + b"\xff"))


def test_row_11_two_octets_are_a_client_identifier() -> None:
    assert parse(raw(DISCOVER + b"\x3d\2\0\1\xff")).options[61] == b"\0\1"


def test_row_13_300_zeros_are_bootp_that_asks_for_nothing() -> None:
    packet = parse(bytes(300))
    assert (packet.op, packet.bootp, packet.message_type, packet.options) == (0, True, 0, {})


def test_row_13_bootp_without_cookie_needs_the_length_of_rfc_951() -> None:
    assert "no magic cookie" in refused(bytes(299))
    assert "a message of 239 octets" in refused(bytes(239))
    assert "a message of 0 octets" in refused(b"")


def test_row_13_bootp_with_a_cookie_and_no_message_type() -> None:
    assert parse(raw(b"\x0c\1x\xff")).bootp


def test_row_15_a_message_longer_than_any_frame_is_refused_unread() -> None:
    assert "a message of 9217 octets" in refused(raw(b"\0" * 8977))


@pytest.mark.parametrize(
    "name", [b"$(id)", b"`id`;reboot", b'{"a":1}', b"a\nb\r\nc", b"\x1b]0;x\7", b"\xff\xfe\x80", b"<b>&"]
)
def test_row_21_metacharacters_never_leave_a_host_name(name: bytes) -> None:
    assert set(clean_hostname(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_row_21_what_is_shown_of_octets_is_printable() -> None:
    assert show(82, b'\1\3\x1b\n"') == {"1": "1b:0a:22"}
    assert show(61, b"\0;rm") == "00:3b:72:6d"


def test_row_26_a_parameter_list_of_255_codes_many_times_is_one_list() -> None:
    asked = b"\x37\xff" + bytes(range(255))
    assert len(parse(raw(DISCOVER + asked * 30 + b"\xff")).options[55]) == 255 * 30


def test_row_26_a_reply_that_would_be_too_long_is_refused_not_cut() -> None:
    options = {code: bytes(100) for code in range(1, 40)}
    with pytest.raises(WireError, match="does not fit"):
        build(Packet(options=options), maximum=576)


@pytest.mark.parametrize("options", [b"\x32", b"\x32\4", b"\x32\4\1\2\3", b"\x0c\xff", b"\x35\1\1\x37\x20\1\3"])
def test_row_27_an_option_that_runs_past_the_end_is_refused(options: bytes) -> None:
    assert "option" in refused(raw(options))


def test_row_27_a_missing_end_and_padding_alone_are_tolerated() -> None:
    assert parse(raw(DISCOVER)).message_type == 1
    assert parse(raw(bytes(60))).options == {}
    assert parse(raw(b"")).options == {}


@pytest.mark.parametrize("value", [b"", b"\0", b"\4", b"\xff", b"\1\1"])
def test_row_27_an_overload_that_names_no_field_is_refused(value: bytes) -> None:
    assert "option 52" in refused(raw(DISCOVER + bytes((52, len(value))) + value + b"\xff"))


def test_row_27_an_overload_given_twice_is_refused() -> None:
    assert "option 52" in refused(raw(b"\x34\1\1\x34\1\2\xff"))


def test_row_27_an_overload_inside_an_overloaded_field_says_nothing() -> None:
    inner = b"\x34\1\3\x34\1\3\x0c\1x\xff"
    packet = parse(raw(DISCOVER + b"\x34\1\3\xff", file=inner, sname=inner))
    assert packet.options == {53: b"\1", 12: b"xx"}


def test_row_27_an_option_that_runs_past_an_overloaded_field_is_refused() -> None:
    assert "option 12" in refused(raw(DISCOVER + b"\x34\1\2\xff", sname=b"\x0c\x40".ljust(64, b"x")))
    assert "option 12" in refused(raw(DISCOVER + b"\x34\1\1\xff", file=b"\0" * 127 + b"\x0c"))


TORN = [(code, value) for code in (43, 82, 122) for value in (b"\1", b"\1\5a", b"\1\1a\2", b"\1\xff")]
TORN += [(code, b"\0\0\0\x09" + value) for code in (124, 125) for value in (b"", b"\5\1\1a", b"\1a\0\0\0")]
TORN += [(125, b"\0\0\0\x09\2\1\5"), (125, b"\0\0\0\x09\1\1")]


@pytest.mark.parametrize(("code", "value"), TORN)
def test_row_28_sub_options_that_do_not_add_up_are_carried_and_refused_when_read(code: int, value: bytes) -> None:
    packet = parse(raw(DISCOVER + bytes((code, len(value))) + value + b"\xff"))
    assert packet.options[code] == value
    with pytest.raises(WireError):
        by_code[code].kind.decode(value)
    assert by_code[code].show(value) == value.hex(":")


def test_row_28_relay_information_that_does_not_add_up_is_refused_when_read() -> None:
    with pytest.raises(WireError):
        relay4.parse(b"\1\4eth")


@pytest.mark.parametrize("protocol", range(256))
def test_row_29_authentication_of_every_protocol_is_carried_and_ignored(protocol: int) -> None:
    auth = bytes((protocol, 0, 0)) + bytes(8)
    assert parse(raw(DISCOVER + b"\x5a\x0b" + auth + b"\xff")).message_type == 1


def test_row_30_relay_information_given_twice_is_joined() -> None:
    packet = parse(raw(DISCOVER + b"\x52\3\1\1a\x52\3\2\1b\xff"))
    assert relay4.parse(packet.options[82]) == {1: b"a", 2: b"b"}


def test_row_30_a_split_client_identifier_is_joined_before_it_is_judged() -> None:
    packet = parse(raw(DISCOVER + b"\x3d\1\1\x3d\1\2\xff"))
    assert packet.options[61] == b"\1\2"


@pytest.mark.parametrize("op", [0, 2, 3, 255])
def test_row_35_a_reply_that_comes_back_shows_its_op(op: int) -> None:
    data = bytes((op,)) + raw(DISCOVER + b"\xff")[1:]
    assert parse(data).op == op
