"""Option 82 (RFC 3046) and what its sub-options say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.errors import WireError
from everlease.wire import relay4, v4
from wire.hexfile import vector

SUBOPTIONS = st.dictionaries(st.integers(0, 255), st.binary(max_size=255), max_size=8)


def test_what_a_relay_says_is_read() -> None:
    relay = relay4.parse(v4.parse(vector("relayed-discover")).options[82])
    assert relay[relay4.CIRCUIT_ID] == b"Gi1/0/24:100"
    assert relay[relay4.REMOTE_ID] == bytes.fromhex("0006aabbccddeeff")
    assert relay4.link_selection(relay) == 0x0A010200
    assert relay4.server_id_override(relay) == 0xC0000201


@given(SUBOPTIONS)
def test_what_was_written_is_read_back(suboptions: dict[int, bytes]) -> None:
    data = relay4.build(suboptions)
    assert relay4.parse(data) == suboptions
    assert relay4.build(relay4.parse(data)) == data


@given(st.binary(max_size=300))
def test_parse_returns_sub_options_or_raises_wire_error(data: bytes) -> None:
    try:
        relay4.parse(data)
    except WireError:
        return


def test_a_relay_that_says_nothing_is_believed() -> None:
    assert relay4.parse(b"") == {}
    assert relay4.link_selection({}) is None
    assert relay4.server_id_override({}) is None
    assert relay4.received_by_unicast({}) is None
    assert relay4.virtual_subnet({}) is None


@pytest.mark.parametrize("data", [b"\1", b"\1\2a", b"\1\1a\2", b"\1\1a\2\xff"])
def test_lengths_that_do_not_add_up_are_malformed(data: bytes) -> None:
    with pytest.raises(WireError):
        relay4.parse(data)


def test_rfc_5010_the_unicast_flag() -> None:
    assert relay4.received_by_unicast({relay4.FLAGS: b"\x80"}) is True
    assert relay4.received_by_unicast({relay4.FLAGS: b"\x7f"}) is False
    with pytest.raises(WireError):
        relay4.received_by_unicast({relay4.FLAGS: b""})


def test_rfc_6607_the_virtual_subnet() -> None:
    vpn = relay4.virtual_subnet({relay4.VIRTUAL_SUBNET_SELECTION: b"\0red"})
    assert vpn == relay4.VirtualSubnet(0, b"red")
    for malformed in (b"", b"\x01" + b"123456", b"\xff1"):
        with pytest.raises(WireError):
            relay4.virtual_subnet({relay4.VIRTUAL_SUBNET_SELECTION: malformed})


@pytest.mark.parametrize("value", [b"", b"\1\2\3", b"\1\2\3\4\5"])
def test_an_address_has_four_octets(value: bytes) -> None:
    with pytest.raises(WireError):
        relay4.link_selection({relay4.LINK_SELECTION: value})
    with pytest.raises(WireError):
        relay4.server_id_override({relay4.SERVER_ID_OVERRIDE: value})


def test_a_sub_option_over_255_octets_is_refused() -> None:
    with pytest.raises(WireError):
        relay4.build({1: bytes(256)})


def test_every_sub_option_has_a_name() -> None:
    assert len(set(relay4.NAMES.values())) == len(relay4.NAMES) == 20
