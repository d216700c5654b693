"""scapy reads our octets and we read scapy's."""

from __future__ import annotations

from hypothesis import given, settings
from scapy.layers.dhcp import BOOTP, DHCP

from everlease.wire import relay4, v4
from everlease.wire.v4 import Packet, build, parse
from wire.packets4 import packets


def test_scapy_reads_an_ack_that_we_write() -> None:
    packet = Packet(
        op=v4.BOOTREPLY,
        xid=0xDEADBEEF,
        flags=0x8000,
        yiaddr=0x0A4D1001,
        siaddr=0x0A4D0005,
        giaddr=0xC0000201,
        chaddr=b"\2\0\0\0\0\1",
        file=b"grub.efi".ljust(128, b"\0"),
        options={
            53: bytes((v4.ACK,)),
            54: b"\x0a\x4d\0\2",
            51: (3600).to_bytes(4),
            1: b"\xff\xff\0\0",
            3: b"\x0a\x4d\0\1",
            82: relay4.build({1: b"eth0"}),
        },
    )
    theirs = BOOTP(build(packet))
    assert (theirs.op, theirs.xid, theirs.yiaddr, theirs.siaddr) == (2, 0xDEADBEEF, "10.77.16.1", "10.77.0.5")
    assert theirs.giaddr == "192.0.2.1"
    assert theirs.file.rstrip(b"\0") == b"grub.efi"
    options = [option for option in theirs[DHCP].options if option != "pad"]
    assert options[:5] == [
        ("message-type", 5),
        ("server_id", "10.77.0.2"),
        ("lease_time", 3600),
        ("subnet_mask", "255.255.0.0"),
        ("router", "10.77.0.1"),
    ]
    assert options[5][0] == "relay_agent_information"
    assert options[6] == "end"


def test_we_read_a_request_that_scapy_writes() -> None:
    theirs = BOOTP(op=1, xid=7, chaddr=b"\2\0\0\0\0\1", ciaddr="10.77.16.1", flags=0x8000) / DHCP(
        options=[
            ("message-type", "request"),
            ("server_id", "10.77.0.2"),
            ("requested_addr", "10.77.16.1"),
            ("hostname", b"printer"),
            ("param_req_list", [1, 3, 6]),
            ("client_id", b"\1\2\0\0\0\0\1"),
            "end",
        ]
    )
    packet = parse(bytes(theirs))
    assert packet.message_type == v4.REQUEST
    assert packet.broadcast
    assert packet.ciaddr == 0x0A4D1001
    assert packet.chaddr == b"\2\0\0\0\0\1"
    assert packet.options == {
        53: b"\3",
        54: b"\x0a\x4d\0\2",
        50: b"\x0a\x4d\x10\1",
        12: b"printer",
        55: b"\1\3\6",
        61: b"\1\2\0\0\0\0\1",
    }


@settings(max_examples=40)
@given(packets())
def test_scapy_reads_the_header_of_whatever_we_write(packet: Packet) -> None:
    theirs = BOOTP(build(packet, maximum=9216))
    assert theirs.xid == packet.xid
    assert theirs.secs == packet.secs
    assert theirs.chaddr[: packet.hlen] == packet.chaddr
    assert theirs.options == v4.MAGIC
