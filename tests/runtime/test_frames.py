"""Ethernet frames: what is read, what is refused, and that others can read ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from everlease.core.actions import DROP_REASONS
from everlease.runtime.ethernet import announcement, build, parse
from everlease.runtime.sockets import REASONS
from runtime.network import CLIENT, CLIENT_MAC, EVERYBODY, PAYLOAD, SERVER, SERVER_MAC


def frame(
    payload: bytes = PAYLOAD, *, ip: dict[str, object] | None = None, udp: dict[str, object] | None = None
) -> bytes:
    """A client's frame, made by scapy."""
    addresses = {"src": "0.0.0.0", "dst": "255.255.255.255", **(ip or {})}
    ports = {"sport": 68, "dport": 67, **(udp or {})}
    return bytes(Ether(src=CLIENT_MAC, dst=b"\xff" * 6, type=0x0800) / IP(**addresses) / UDP(**ports) / Raw(payload))


def test_a_clients_broadcast_is_read() -> None:
    assert parse(frame(), verify=True) == (PAYLOAD, 0, 68, EVERYBODY)


@given(payload=st.binary(max_size=600), address=st.integers(0, EVERYBODY), source=st.integers(0, EVERYBODY))
def test_what_we_build_we_read_with_every_checksum_right(payload: bytes, address: int, source: int) -> None:
    ours = build(payload, (SERVER_MAC, CLIENT_MAC), (source, address), 68)
    assert parse(ours, verify=True) == (payload, source, 67, address)


@pytest.mark.parametrize("payload", [PAYLOAD, PAYLOAD + b"\xff", b""])
def test_another_implementation_computes_the_same_checksums(payload: bytes) -> None:
    ours = Ether(build(payload, (SERVER_MAC, CLIENT_MAC), (SERVER, CLIENT), 68))
    again = ours.copy()
    del again[IP].chksum, again[UDP].chksum
    assert bytes(again) == bytes(ours)


def test_an_announcement_is_a_request_that_answers_itself() -> None:
    ours = Ether(announcement(SERVER_MAC, SERVER))
    mac, address = SERVER_MAC.hex(":"), "10.77.0.2"
    body = {"op": "who-has", "hwsrc": mac, "psrc": address, "hwdst": "00:00:00:00:00:00", "pdst": address}
    assert bytes(ours) == bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(**body))


def test_a_udp_checksum_of_zero_means_none() -> None:
    assert not isinstance(parse(frame(udp={"chksum": 0}), verify=True), str)


def test_a_wrong_udp_checksum_is_refused_unless_it_is_known_to_be_unfinished() -> None:
    wrong = frame(udp={"chksum": 0x1234})
    assert parse(wrong, verify=True) == "bad_checksum"
    assert not isinstance(parse(wrong, verify=False), str)


def test_a_wrong_ip_checksum_is_refused() -> None:
    assert parse(frame(ip={"chksum": 0x1234}), verify=False) == "bad_checksum"


def test_ip_options_are_skipped() -> None:
    router_alert = frame(ip={"options": b"\x94\x04\x00\x00"})
    assert parse(router_alert, verify=True) == (PAYLOAD, 0, 68, EVERYBODY)


def test_a_udp_length_beyond_the_ip_payload_is_malformed() -> None:
    assert parse(frame(udp={"len": 400}), verify=False) == "malformed"


@pytest.mark.parametrize("length", [0, 7])
def test_a_udp_length_below_its_own_header_is_malformed(length: int) -> None:
    assert parse(frame(udp={"len": length}), verify=False) == "malformed"


def test_an_ip_length_beyond_the_frame_is_malformed() -> None:
    assert parse(frame(ip={"len": 1000}), verify=False) == "malformed"


def test_padding_after_the_packet_is_cut_off() -> None:
    assert parse(frame(b"short") + bytes(40), verify=True) == (b"short", 0, 68, EVERYBODY)


@given(data=st.binary(max_size=100), cut=st.integers(0, 400), verify=st.booleans())
def test_no_bytes_at_all_raise(data: bytes, cut: int, verify: bool) -> None:
    parse(data, verify=verify)
    parse(frame()[:cut] + data, verify=verify)


def test_every_reason_to_drop_a_frame_is_one_that_metrics_know() -> None:
    assert set(REASONS) <= set(DROP_REASONS)
