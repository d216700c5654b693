"""Who a client is: the key under which its leases are kept, and the bucket that decides which node answers first.

The law of this file: a key depends on the packet and the operator's rule alone, so that every node makes the same one.
A tag byte keeps the kinds apart: no client identifier can pose as another client's hardware address.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from zlib import crc32

from everlease.errors import WireError
from everlease.wire import relay4
from everlease.wire.v4 import Packet

TAG_CLIENT_ID: Final = b"\x01"
TAG_HARDWARE: Final = b"\x02"
TAG_HASHED: Final = b"\x03"

LONGEST: Final = 64
"""Octets of a key, its tag included; longer ones are hashed, so that keys in etcd stay small."""

BY_HARDWARE: Final = "hw-address"
BY_CLIENT_ID: Final = "client-id"

CLIENT_IDENTIFIER: Final = 61
CIRCUIT_ID: Final = 1

Circuit = tuple[int, bytes]
"""Where on a network somebody is plugged in: a relay's giaddr (0 = no relay), and its name for the circuit."""

NOWHERE: Final[Circuit] = (0, b"")

PROBE: Final = b"\x06EVLP"
"""How the (locally administered) hardware addresses begin with which nodes look for servers that are no members."""


def client_key(packet: Packet, rule: str) -> bytes:
    """The client's key by a subnet's `client-identity` rule; b"" if the packet names nobody (no octets of chaddr and
    no option 61).

    `client-id` (RFC 2131 section 4.2): option 61, else htype and chaddr. `hw-address`: the other way round.
    """
    identifier = packet.options.get(CLIENT_IDENTIFIER)
    if identifier is None or (packet.chaddr and rule == BY_HARDWARE):
        if not packet.chaddr:
            return b""
        return TAG_HARDWARE + bytes((packet.htype,)) + packet.chaddr
    if len(identifier) < LONGEST:
        return TAG_CLIENT_ID + identifier
    return TAG_HASHED + blake2b(identifier, digest_size=32).digest()


def heard_key(packet: Packet) -> bytes:
    """Who is speaking, whatever the subnet's rule: for the table of packets heard again."""
    return bytes((packet.htype,)) + packet.chaddr + packet.options.get(CLIENT_IDENTIFIER, b"")[:255]


def circuit_of(giaddr: int, information: bytes) -> Circuit:
    """The circuit by a relay's option 82 (RFC 3046 section 3.1), which somebody must vouch for; b"" = it names none."""
    try:
        return giaddr, relay4.parse(information).get(CIRCUIT_ID, b"")
    except WireError:
        return giaddr, b""


def client_hash(key: bytes) -> int:
    """32 bits that spread clients over buckets, blocks and bits; not a secret."""
    return crc32(key)


def client_bucket(key: bytes) -> int:
    """The bucket 0..255 of a client; its owner answers first."""
    return crc32(key) & 255


def address_bucket(address: int) -> int:
    """The bucket 0..255 of an address: its last octet, so that a /24's mask is a mask of buckets too."""
    return address & 255
