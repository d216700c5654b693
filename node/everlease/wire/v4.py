"""DHCPv4 messages: bytes <-> `Packet` (RFC 2131 section 2, RFC 2132, RFC 3396; BOOTP by RFC 951).

The law of this file: `parse` returns a packet or raises `WireError`, nothing else, ever; nobody writes to a packet
after `parse`. Addresses are ints and options are bytes until somebody asks, because most replies read three options
of fifteen. A value that the server reads by itself has the right length here, so that no reader checks it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError  # noqa: N812  (the standard library's name for it is `error`)
from typing import Final

from everlease.errors import WireError

BOOTREQUEST: Final = 1
BOOTREPLY: Final = 2

# Option 53 (RFC 2132 9.6, RFC 3203, RFC 4388, RFC 6926, RFC 7724).
DISCOVER: Final = 1
OFFER: Final = 2
REQUEST: Final = 3
DECLINE: Final = 4
ACK: Final = 5
NAK: Final = 6
RELEASE: Final = 7
INFORM: Final = 8
FORCERENEW: Final = 9
LEASEQUERY: Final = 10
LEASEUNASSIGNED: Final = 11
LEASEUNKNOWN: Final = 12
LEASEACTIVE: Final = 13
BULKLEASEQUERY: Final = 14
LEASEQUERYDONE: Final = 15
ACTIVELEASEQUERY: Final = 16
LEASEQUERYSTATUS: Final = 17
TLS: Final = 18

MESSAGE_NAMES: Final[dict[int, str]] = {
    DISCOVER: "DISCOVER",
    OFFER: "OFFER",
    REQUEST: "REQUEST",
    DECLINE: "DECLINE",
    ACK: "ACK",
    NAK: "NAK",
    RELEASE: "RELEASE",
    INFORM: "INFORM",
    FORCERENEW: "FORCERENEW",
    LEASEQUERY: "LEASEQUERY",
    LEASEUNASSIGNED: "LEASEUNASSIGNED",
    LEASEUNKNOWN: "LEASEUNKNOWN",
    LEASEACTIVE: "LEASEACTIVE",
    BULKLEASEQUERY: "BULKLEASEQUERY",
    LEASEQUERYDONE: "LEASEQUERYDONE",
    ACTIVELEASEQUERY: "ACTIVELEASEQUERY",
    LEASEQUERYSTATUS: "LEASEQUERYSTATUS",
    TLS: "TLS",
}

MAGIC: Final = b"\x63\x82\x53\x63"
PAD: Final = 0
END: Final = 255
OVERLOAD: Final = 52
RELAY_INFORMATION: Final = 82
BROADCAST_FLAG: Final = 0x8000

# op htype hlen hops | xid | secs flags | ciaddr yiaddr siaddr giaddr | chaddr sname file | magic cookie
HEADER: Final = Struct("!BBBBIHHIIII16s64s128s4s")
HEADER_LENGTH: Final = HEADER.size  # 240
BOOTP_LENGTH: Final = 300  # RFC 951 section 3: the vendor area is always 64 octets
UDP_IP_HEADERS: Final = 28
DEFAULT_MAXIMUM: Final = 576  # RFC 2131 section 2: what every client accepts, IP and UDP headers included
LONGEST: Final = 9216  # a jumbo frame; nobody's message is longer, and it bounds the work of one packet

NO_SNAME: Final = bytes(64)
NO_FILE: Final = bytes(128)

# Options that the server itself reads, and the length that each must have (RFC 2132 9.1-9.10, RFC 3011).
_EXACT: Final = ((53, 1), (50, 4), (54, 4), (51, 4), (57, 2), (118, 4))
_CLIENT_IDENTIFIER: Final = 61
# RFC 2132 9.14. A bare type octet names nobody: clients that sent the same one would share an address.
_SHORTEST_CLIENT_IDENTIFIER: Final = 2

_Repeats = list[tuple[int, bytes]]


@dataclass(slots=True)
class Packet:
    """One DHCP or BOOTP message. Addresses are ints, in host order; lifetimes and names are still option bytes.

    `chaddr` holds exactly `hlen` octets, `sname` 64 and `file` 128; a field that carried options by overload reads as
    zeros. `options` keeps the order of first appearance; split options are joined; codes 0, 52 and 255 are never in
    it.
    """

    op: int = BOOTREQUEST
    htype: int = 1
    hlen: int = 6
    hops: int = 0
    xid: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: int = 0
    yiaddr: int = 0
    siaddr: int = 0
    giaddr: int = 0
    chaddr: bytes = bytes(6)
    sname: bytes = NO_SNAME
    file: bytes = NO_FILE
    options: dict[int, bytes] = field(default_factory=dict)

    @property
    def message_type(self) -> int:
        """Option 53, or 0 for BOOTP."""
        value = self.options.get(53)
        return value[0] if value else 0

    @property
    def broadcast(self) -> bool:
        """The client asks for a broadcast reply (RFC 2131 section 4.1)."""
        return self.flags & BROADCAST_FLAG != 0

    @property
    def bootp(self) -> bool:
        """A message without option 53: plain BOOTP, with or without the magic cookie (RFC 1534)."""
        return 53 not in self.options


def parse(data: bytes | memoryview) -> Packet:
    """Read one UDP payload. Raises `WireError`, and nothing else, for bytes that are no BOOTP or DHCP message.

    A missing END is tolerated, as are bytes after it; an option cut short is not. Repeated options are joined
    (RFC 3396), and so are those in `file`, then `sname`, when option 52 says so (RFC 2132 9.3).
    """
    data = bytes(data)
    if not HEADER_LENGTH <= len(data) <= LONGEST:
        raise WireError(f"a message of {len(data)} octets; expected {HEADER_LENGTH} to {LONGEST}")
    (op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, magic) = (
        HEADER.unpack_from(data)
    )
    if hlen > 16:
        raise WireError(f"hardware address length {hlen}; chaddr has 16 octets")
    options: dict[int, bytes] = {}
    if magic == MAGIC:
        repeats: _Repeats = []
        _walk(data, HEADER_LENGTH, options, repeats)
        if OVERLOAD in options:
            file, sname = _walk_overload(file, sname, options, repeats)
        if repeats:
            _join(options, repeats)
        _check(options)
    elif len(data) < BOOTP_LENGTH:
        raise WireError(f"no magic cookie, and {len(data)} octets are too few for BOOTP ({BOOTP_LENGTH})")
    chaddr = chaddr[:hlen]
    return Packet(
        op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, options
    )  # fmt: skip


def _walk(area: bytes, position: int, options: dict[int, bytes], repeats: _Repeats) -> None:
    """Collect the options of one field into `options`; values of codes already seen go to `repeats`.

    Nothing is compared with the end while walking: the octet behind the field stops the walk, and where it stopped
    tells whether the field ended between two options.
    """
    code = start = 0
    try:
        while True:
            code = area[position]
            if code == END:
                return
            if code == PAD:
                position += 1
                continue
            start = position + 2
            stop = start + area[position + 1]
            if code in options:
                repeats.append((code, area[start:stop]))
            else:
                options[code] = area[start:stop]
            position = stop
    except IndexError:
        end = len(area)
    if position > end:
        raise WireError(f"option {code} says {position - start} octets, {end - start} are left")
    if position < end:
        raise WireError(f"option {code} ends before its length")


def _walk_overload(file: bytes, sname: bytes, options: dict[int, bytes], repeats: _Repeats) -> tuple[bytes, bytes]:
    """Read the fields that option 52 names, and return what is left of `file` and `sname` as names."""
    value = options.pop(OVERLOAD)
    if len(value) != 1 or not 1 <= value[0] <= 3 or any(code == OVERLOAD for code, _ in repeats):
        raise WireError(f"option 52 (overload) must be one octet, 1 to 3, once; it is 0x{value.hex()}")
    if value[0] & 1:
        _walk(file, 0, options, repeats)
        file = NO_FILE
    if value[0] & 2:
        _walk(sname, 0, options, repeats)
        sname = NO_SNAME
    # An overload option inside an overloaded field points at itself or its neighbour: it says nothing.
    options.pop(OVERLOAD, None)
    return file, sname


def _join(options: dict[int, bytes], repeats: _Repeats) -> None:
    """RFC 3396 section 7: the pieces of an option are one value, in the order in which they came."""
    pieces: dict[int, list[bytes]] = {}
    for code, value in repeats:
        if code != OVERLOAD:
            pieces.setdefault(code, [options[code]]).append(value)
    for code, parts in pieces.items():
        options[code] = b"".join(parts)


def _check(options: dict[int, bytes]) -> None:
    for code, length in _EXACT:
        if code in options and len(options[code]) != length:
            raise WireError(f"option {code} must have {length} octets, it has {len(options[code])}")
    if _CLIENT_IDENTIFIER in options and len(options[_CLIENT_IDENTIFIER]) < _SHORTEST_CLIENT_IDENTIFIER:
        raise WireError(
            f"option 61 (client identifier) must have 2 octets or more, it has {len(options[_CLIENT_IDENTIFIER])}"
        )


def build(packet: Packet, *, minimum: int = BOOTP_LENGTH, maximum: int = DEFAULT_MAXIMUM) -> bytes:
    """Write a packet as a UDP payload, its options in their order, option 82 last before END (RFC 3046 2.2).

    `minimum` counts octets of the payload (BOOTP's 300), `maximum` those of the IP datagram, headers included, as
    option 57 and an MTU do. Values over 255 octets are split (RFC 3396). What does not fit goes to empty `file` and
    `sname` fields by option 52; an option is cut there only if no field takes it whole. Raises `WireError` when it
    cannot fit: the caller drops what matters least. `file` and `sname` are padded with zeros.
    """
    tail = _pieces(RELAY_INFORMATION, packet.options.get(RELAY_INFORMATION)) + bytes((END,))
    room = maximum - UDP_IP_HEADERS - HEADER_LENGTH - len(tail)
    body = b"".join(
        _pieces(code, value) for code, value in packet.options.items() if code not in (RELAY_INFORMATION, OVERLOAD)
    )
    file, sname = packet.file, packet.sname
    if len(body) > room:
        body, file, sname = _overload(packet, room)
    message = _header(packet, file, sname) + body + tail
    return message + bytes(minimum - len(message)) if len(message) < minimum else message


def _header(packet: Packet, file: bytes, sname: bytes) -> bytes:
    if max(packet.hlen, len(packet.chaddr)) > 16 or len(file) > 128 or len(sname) > 64:
        raise WireError("chaddr, file and sname have room for 16, 128 and 64 octets; one of them is longer")
    try:
        return HEADER.pack(
            packet.op, packet.htype, packet.hlen, packet.hops, packet.xid, packet.secs, packet.flags,
            packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr, packet.chaddr, sname, file, MAGIC,
        )  # fmt: skip
    except StructError as problem:
        raise WireError(f"a header value is out of range: {problem}") from None


def _pieces(code: int, value: bytes | None) -> bytes:
    """One option as it is written, in pieces of at most 255 octets (RFC 3396 section 5); b"" for None."""
    if value is None:
        return b""
    if not PAD < code < END:
        raise WireError(f"option code {code}; codes are 1 to 254")
    if len(value) <= 255:
        return bytes((code, len(value))) + value
    return b"".join(
        bytes((code, len(piece))) + piece
        for piece in (value[start : start + 255] for start in range(0, len(value), 255))
    )


def _overload(packet: Packet, room: int) -> tuple[bytes, bytes, bytes]:
    """Spread the options over the options field and the empty ones of `file` and `sname`; returns all three."""
    # Keyed by the field's bit in option 52, in the order in which a reader joins them.
    fields = {0: _Field(room - 3)}
    if not any(packet.file):
        fields[1] = _Field(127)  # its END takes one octet (RFC 2131 section 4.1)
    if not any(packet.sname):
        fields[2] = _Field(63)
    for code, value in packet.options.items():
        if code not in (RELAY_INFORMATION, OVERLOAD):
            _place(list(fields.values()), code, value)
    used = sum(bit for bit, place in fields.items() if place.written)
    # Behind the message type, which some devices on the way look for in the first place.
    cut = 3 if fields[0].written.startswith(b"\x35\1") else 0
    body = bytes(fields[0].written[:cut]) + bytes((OVERLOAD, 1, used)) + bytes(fields[0].written[cut:])
    if not used or len(body) > room:
        raise WireError(f"the message has no room for its options: {room} octets")
    file = bytes(fields[1].written) + bytes((END,)) if used & 1 else packet.file
    sname = bytes(fields[2].written) + bytes((END,)) if used & 2 else packet.sname
    return body, file, sname


class _Field:
    """One place where options can be written, and the octets that are still free in it."""

    __slots__ = ("room", "written")

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = bytearray()

    def put(self, option: bytes) -> None:
        self.written += option
        self.room -= len(option)


def _place(fields: list[_Field], code: int, value: bytes) -> None:
    """Write an option whole where it fits first; cut it over the fields, in their order, only if it fits nowhere."""
    whole = _pieces(code, value)
    for place in fields:
        if len(whole) <= place.room:
            place.put(whole)
            return
    for place in fields:
        while value and place.room > 2:
            length = min(255, place.room - 2, len(value))
            place.put(_pieces(code, value[:length]))
            value = value[length:]
    if value or len(whole) == 2:
        raise WireError(f"option {code} does not fit the message: {max(len(value), 2)} octets too many")
