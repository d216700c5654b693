"""Replies: a body copied, the client's values packed in, what must be echoed put behind; and where it goes.

The law of this file: option 82 is echoed whole and last (RFC 3046 section 2.2), the client identifier and xid as they
came (RFC 6842), a client's FQDN is answered (RFC 4702 section 4), and no reply is bigger than the client and the way
back take.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

import msgspec

from everlease.core.actions import TO_ADDRESS, TO_BROADCAST, TO_HARDWARE, TO_RELAY, Destination
from everlease.core.bodies import IDENTIFIER_AT, MESSAGE, Body
from everlease.core.query import Query
from everlease.errors import WireError
from everlease.wire import relay4, v4
from everlease.wire.hostname import answer_fqdn
from everlease.wire.v4 import BOOTREPLY, BROADCAST_FLAG, NAK, Packet

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
ETHERNET: Final = 1
FQDN: Final = 81
RELAY_INFORMATION: Final = 82

SHORTEST: Final = 300
"""Octets: BOOTP's length; some clients and relays drop shorter messages (RFC 1542 section 2.1)."""

_HEAD: Final = Struct("!BBBBIHHIIII16s")
_LEASED: Final = Struct("!HIHIHIHI")
_IDENTIFIER: Final = Struct("!HI")
_OPTION_54, _OPTION_51, _OPTION_58, _OPTION_59 = 0x3604, 0x3304, 0x3A04, 0x3B04
_RAPID_COMMIT: Final = 80
_SUBNET_SELECTION: Final = 118
_CLIENT_IDENTIFIER: Final = 61


class Terms(msgspec.Struct, gc=False):
    """What one client is told. kind: message type; identifier: the server's; lifetimes in seconds, 0 = not told.

    message: option 56, of a NAK. rapid: the answer to a rapid DISCOVER.
    """

    kind: int
    identifier: int
    yiaddr: int = 0
    valid: int = 0
    t1: int = 0
    t2: int = 0
    message: bytes = b""
    rapid: bool = False


NAK_BODY: Final = Body(None, NAK, None)


def server_identifier(query: Query) -> int:
    """The address that clients shall take for the server's: the relay's choice (RFC 5107), else where we heard it."""
    if relay4.SERVER_ID_OVERRIDE in query.place.relay:
        try:
            return relay4.server_id_override(query.place.relay) or query.situation.local
        except WireError:
            return query.situation.local
    return query.situation.local


def render(query: Query, body: Body, terms: Terms) -> bytes | None:
    """The message; None if it fits in no form into what the client and the way back take."""
    packet = query.packet
    out = bytearray(body.octets)
    flags, ciaddr = packet.flags, packet.ciaddr
    if terms.kind != v4.ACK:
        ciaddr = 0
        if terms.kind == NAK and packet.giaddr:
            flags |= BROADCAST_FLAG  # RFC 2131 section 4.3.2: so that the relay broadcasts it
    _HEAD.pack_into(
        out, 0, BOOTREPLY, packet.htype, packet.hlen, 0, packet.xid, 0, flags,
        ciaddr, terms.yiaddr, body.next_server, packet.giaddr, packet.chaddr,
    )  # fmt: skip
    if body.leased:
        _LEASED.pack_into(
            out, IDENTIFIER_AT, _OPTION_54, terms.identifier, _OPTION_51, terms.valid,
            _OPTION_58, terms.t1, _OPTION_59, terms.t2,
        )  # fmt: skip
    else:
        _IDENTIFIER.pack_into(out, IDENTIFIER_AT, _OPTION_54, terms.identifier)
    for code, value in _echoes(query, terms):
        if len(value) > 255:
            return _build(query, body, terms, bytes(out))
        out += bytes((code, len(value)))
        out += value
    out += b"\xff"
    size = len(out) + v4.UDP_IP_HEADERS
    if size > query.situation.mtu or (size > v4.DEFAULT_MAXIMUM and size > _room(query)):
        return _build(query, body, terms, bytes(out))
    if len(out) < SHORTEST:
        out += bytes(SHORTEST - len(out))
    return bytes(out)


def _echoes(query: Query, terms: Terms) -> list[tuple[int, bytes]]:
    """What follows the parameters; option 82 is the last."""
    options = query.packet.options
    found = []
    if terms.message:
        found.append((MESSAGE, terms.message))
    if terms.rapid:
        found.append((_RAPID_COMMIT, b""))
    if FQDN in options and terms.valid:
        name = answer_fqdn(options[FQDN])
        if name is not None:
            found.append((FQDN, name))
    if query.place.selected:
        found.append((_SUBNET_SELECTION, options[_SUBNET_SELECTION]))
    if _CLIENT_IDENTIFIER in options:
        found.append((_CLIENT_IDENTIFIER, options[_CLIENT_IDENTIFIER]))
    if RELAY_INFORMATION in options:
        found.append((RELAY_INFORMATION, options[RELAY_INFORMATION]))
    return found


def _room(query: Query) -> int:
    """Octets of the IP datagram: option 57, never below RFC 2131's 576, never above the MTU of the way back."""
    asked = query.packet.options.get(57)
    most = v4.DEFAULT_MAXIMUM if asked is None else max(int.from_bytes(asked, "big"), v4.DEFAULT_MAXIMUM)
    return min(most, query.situation.mtu)


def _build(query: Query, body: Body, terms: Terms, head: bytes) -> bytes | None:
    """The slow way, for replies that need overload, split options or fewer of them: what was asked for last goes."""
    kept = list(body.parameters)
    while True:
        try:
            return v4.build(message(query, body, terms, head, kept), minimum=SHORTEST, maximum=_room(query))
        except WireError:
            if not kept:
                return None
            kept.pop()


def message(query: Query, body: Body, terms: Terms, head: bytes, kept: list[tuple[int, bytes]] | None = None) -> Packet:
    """The reply as a packet, option by option; `head` holds the header's octets, `kept` the parameters to send."""
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, _ = _HEAD.unpack_from(head)
    options = {53: bytes((terms.kind,)), 54: terms.identifier.to_bytes(4, "big")}
    if body.leased:
        for code, seconds in ((51, terms.valid), (58, terms.t1), (59, terms.t2)):
            options[code] = seconds.to_bytes(4, "big")
    options.update(body.parameters if kept is None else kept)
    options.update(_echoes(query, terms))
    chaddr = query.packet.chaddr
    return Packet(
        op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, body.sname, body.file, options
    )  # fmt: skip


def destination(query: Query, terms: Terms) -> Destination:
    """Where the reply goes: RFC 2131 section 4.1, 4.3.2 for NAKs and 4.3.5 for the answer to an INFORM."""
    packet, situation = query.packet, query.situation
    if packet.giaddr:
        if situation.reply_to_source or relay4.RELAY_SOURCE_PORT in query.place.relay:  # RFC 8357
            address = situation.source if situation.reply_to_source else packet.giaddr
            return Destination(TO_RELAY, address, situation.source_port)
        return Destination(TO_RELAY, packet.giaddr, SERVER_PORT)
    if situation.reply_to_source and situation.link is None and packet.ciaddr:  # a renewal through the same NAT
        return Destination(TO_ADDRESS, situation.source, situation.source_port)
    if terms.kind == NAK:
        if situation.link is None:  # a client behind a router: no broadcast reaches it
            return Destination(TO_ADDRESS, packet.ciaddr, CLIENT_PORT)
        return Destination(TO_BROADCAST, 0xFFFFFFFF, CLIENT_PORT)
    by_hardware = not packet.flags & BROADCAST_FLAG and packet.htype == ETHERNET and len(packet.chaddr) == 6
    if packet.ciaddr:
        return Destination(TO_ADDRESS, packet.ciaddr, CLIENT_PORT, packet.chaddr if by_hardware else b"")
    if not by_hardware:
        return Destination(TO_BROADCAST, 0xFFFFFFFF, CLIENT_PORT)
    return Destination(TO_HARDWARE, terms.yiaddr, CLIENT_PORT, packet.chaddr)
