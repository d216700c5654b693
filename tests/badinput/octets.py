"""Messages and frames octet by octet, with whatever is wrong about them."""

from __future__ import annotations

import random
import struct

from everlease.runtime.ethernet import BROADCAST_HARDWARE, build
from everlease.wire.v4 import HEADER, MAGIC

DISCOVER, REQUEST, DECLINE, RELEASE, INFORM = (b"\x35\1" + bytes((kind,)) for kind in (1, 3, 4, 7, 8))
END = b"\xff"
EVERYBODY = 0xFFFFFFFF


def random_mac() -> bytes:
    """A locally administered unicast address."""
    return b"\x02" + random.randbytes(5)


def option(code: int, value: bytes) -> bytes:
    """One option, its length octet true."""
    return bytes((code, len(value))) + value


def message(options: bytes = DISCOVER + END, *, magic: bytes = MAGIC, mac: bytes | None = None, **fields: int) -> bytes:
    """A client's broadcast-flagged message; `fields` of the header by name, its options field as given."""
    named = {"op": 1, "htype": 1, "hlen": 6, "hops": 0, "flags": 0x8000, "ciaddr": 0, "giaddr": 0, **fields}
    head = HEADER.pack(
        named["op"], named["htype"], named["hlen"], named["hops"], random.getrandbits(32), 0, named["flags"],
        named["ciaddr"], 0, 0, named["giaddr"], random_mac() if mac is None else mac, b"", b"", magic,
    )  # fmt: skip
    return head + options


def overloaded(file: bytes, sname: bytes, options: bytes) -> bytes:
    """A message whose `file` and `sname` are given."""
    plain = message(options)
    return plain[:44] + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + plain[236:]


def frame(payload: bytes, *, source: int = 0, to: int = EVERYBODY) -> bytearray:
    """A right Ethernet frame of a client, to be spoilt: Ethernet 14, IP 20, UDP 8 octets, payload."""
    return bytearray(build(payload, (random_mac(), BROADCAST_HARDWARE), (source, to), 67))


def half(frame: bytearray, at: int, value: int) -> bytes:
    """The frame with another 16-bit number somewhere."""
    struct.pack_into("!H", frame, at, value)
    return bytes(frame)


def with_ip_checksum(frame: bytearray) -> bytes:
    """The frame with a right checksum over an IP header that was changed."""
    end = 14 + (frame[14] & 15) * 4
    frame[24:26] = b"\0\0"
    return half(frame, 24, -int.from_bytes(frame[14:end], "big") % 0xFFFF)


def with_ip_options(payload: bytes, words: int) -> bytes:
    """A frame whose IP header has so many 32-bit words of options (no-operation)."""
    plain = frame(payload)
    longer = plain[:34] + b"\1" * (4 * words) + plain[34:]
    longer[14] = 0x45 + words
    struct.pack_into("!H", longer, 16, 20 + 4 * words + 8 + len(payload))
    return with_ip_checksum(longer)
