"""The bad-input table of the reliability design as packets: row, what is wrong, octets, and what must become of them.

Law: an outcome is exact. DROPPED cases name the one reason that is counted; ANSWERED ones the kind of the reply.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import combinations

from badinput.octets import DECLINE, DISCOVER, END, INFORM, RELEASE, REQUEST, message, option, overloaded

SERVER, OURS = (int(IPv4Address(text)) for text in ("10.77.0.2", "10.99.0.1"))
FREE, ELSEWHERE = (int(IPv4Address(text)) for text in ("10.77.200.200", "192.0.2.1"))
GIADDR, STRICT, TENANT = (int(IPv4Address(text)) for text in ("10.78.0.1", "10.79.0.2", "10.80.0.2"))
NAMED = option(50, FREE.to_bytes(4, "big")) + option(54, SERVER.to_bytes(4, "big"))


@dataclass(frozen=True)
class Case:
    """outcome: a reason of drops, or "OFFER", "ACK"; relayed: sent by UDP to the relay socket."""

    row: int
    what: str
    payload: bytes
    outcome: str
    relayed: bool = False

    def __str__(self) -> str:
        return f"row {self.row}: {self.what}"


def _discover(row: int, what: str, options: bytes, outcome: str = "OFFER", *, relayed: bool = False) -> Case:
    giaddr = GIADDR if relayed else 0
    return Case(row, what, message(DISCOVER + options + END, giaddr=giaddr), outcome, relayed)


def _identities() -> Iterator[Case]:
    nobody = {"mac": b"", "hlen": 0}
    yield Case(4, "neither hardware address nor client identifier", message(**nobody), "malformed")
    named = DISCOVER + option(61, b"\0only-name") + END
    yield Case(4, "a client identifier alone", message(named, **nobody), "OFFER")
    yield Case(4, "a hardware address of 17 octets", message(hlen=17), "malformed")
    yield Case(4, "a hardware address of 255 octets", message(hlen=255), "malformed")
    yield Case(4, "a hardware type that nobody has", message(htype=255, hlen=16, mac=b"0123456789abcdef"), "OFFER")
    for length in (0, 1):
        yield _discover(11, f"a client identifier of {length} octets", option(61, b"x" * length), "malformed")
    yield _discover(30, "a client identifier split in two", option(61, b"\1") + option(61, b"\2\3"))


def _lengths() -> Iterator[Case]:
    sizes = {50: (0, 1, 3, 5), 51: (0, 2, 8), 54: (0, 3, 16), 57: (0, 1, 3), 118: (0, 3, 5)}
    for code, lengths in sizes.items():
        for length in lengths:
            yield _discover(10, f"option {code} of {length} octets", option(code, bytes(length)), "malformed")
    yield _discover(10, "a subnet mask of 16 octets", option(1, bytes(16)))
    for length in (0, 2):
        wrong = message(option(53, b"\1" * length) + END)
        yield Case(10, f"a message type of {length} octets", wrong, "malformed")
    yield _discover(27, "an option that runs past the end", b"\x0c\x40abc", "malformed")
    yield Case(27, "an option without length at the end", message(DISCOVER + b"\x0c"), "malformed")
    yield Case(27, "no END", message(DISCOVER), "OFFER")
    yield Case(27, "padding only", message(bytes(60)), "bootp")
    yield _discover(27, "an overload that names no field", option(52, b"\4"), "malformed")
    inside = option(52, b"\3") + option(12, b"x") + END
    yield Case(
        27, "overloads inside overloaded fields", overloaded(inside, inside, DISCOVER + option(52, b"\3")), "OFFER"
    )
    past = overloaded(b"\x0c\xff", b"", DISCOVER + option(52, b"\1"))
    yield Case(27, "an option that runs past an overloaded field", past, "malformed")


_FQDNS = (
    b"", b"\0\0", b"\4\0\0\x40" + b"x" * 64, b"\4\0\0\1a\xc0\3", b"\4\0\0\1a\xc0\0", b"\x09\0\0",
    b"\5\0\0" + b"x" * 250,
)  # fmt: skip


def _names() -> Iterator[Case]:
    for name in (b"", b"...", b"x" * 64, b"a\0b", b"\xc0\x0c", b"aaa..bbb.com", b"___"):
        yield _discover(3, f"host name {name[:12]!r}", option(12, name))
    for fqdn in _FQDNS:
        yield _discover(3, f"client FQDN {fqdn[:12]!r}", option(81, fqdn))
    for data in (b"\xc0\0", b"\1a\xc0\0", b"\1a\xc0\2\xc0\0"):
        yield _discover(9, f"a domain search list that points at itself {data!r}", option(119, data))
    for name in (b"$(id)", b"`id`;reboot", b'{"a":1}', b"a\nlevel=error\r\n", b"\x1b]0;x\7", b"\xff\xfe\x80"):
        yield _discover(21, f"host name {name!r}", option(12, name) + option(60, name) + option(77, name))


def _containers() -> Iterator[Case]:
    nested = b"\1\1a"
    for _ in range(50):
        nested = option(43, nested)
    yield _discover(8, "vendor options nested in themselves", option(43, nested))
    for code in (43, 124, 125):
        for torn in (b"\1", b"\1\5a", b"\0\0\0\x09\2\1\5"):
            yield _discover(28, f"option {code} that does not add up: {torn!r}", option(code, torn))
    for torn in (b"\1", b"\1\5a", b"\1\1a\2", b"\5\3abc"):
        yield _discover(
            28, f"a relay's option 82 that does not add up: {torn!r}", option(82, torn), "malformed", relayed=True
        )
        yield _discover(28, f"a client's option 82 that does not add up: {torn!r}", option(82, torn))
    for flags in (b"", b"\x80\x80"):
        yield _discover(28, f"relay flags {flags!r}", option(82, option(10, flags)), relayed=True)
    yield _discover(28, "a server identifier override of 3 octets", option(82, option(11, b"abc")), relayed=True)
    for protocol in (0, 1, 2, 3, 255):
        yield _discover(29, f"authentication by protocol {protocol}", option(90, bytes((protocol, 0, 0)) + bytes(8)))
    for auth in (b"", b"\1"):
        yield _discover(29, f"authentication {auth!r}", option(90, auth))


def _sizes() -> Iterator[Case]:
    every = option(55, bytes(range(255)))
    yield _discover(26, "four parameter request lists of 255 codes", every * 4)
    for size in (0, 1, 575, 65535):
        yield _discover(26, f"a maximum message size of {size}", option(57, size.to_bytes(2, "big")) + every)
    echoes = option(61, b"\0" + b"c" * 254) + option(82, option(1, b"r" * 253))
    yield _discover(26, "echoes that 576 octets do not take", echoes, "too_large", relayed=True)
    yield _discover(26, "echoes that 1,500 octets take", echoes + option(57, b"\5\xdc"), relayed=True)
    yield _discover(30, "option 82 twice", option(82, b"\1\1a") + option(82, b"\2\1b"), relayed=True)
    yield Case(13, "more octets than any message has", message() + bytes(9000), "malformed", relayed=True)
    yield Case(13, "more octets than any frame has", message() + bytes(20_000), "too_large", relayed=True)


def _kinds() -> Iterator[Case]:
    yield Case(13, "300 zeros", bytes(300), "not_a_request")
    yield Case(13, "299 octets without a cookie", b"\1" + bytes(298), "malformed")
    yield Case(13, "nothing", b"", "malformed")
    yield Case(13, "one octet", b"\1", "malformed")
    yield Case(13, "BOOTP without a cookie", message(bytes(60), magic=bytes(4)), "bootp")
    yield Case(13, "BOOTP with a cookie", message(option(12, b"x") + END), "bootp")
    for kind in (0, 2, 5, 6, 9, 10, 11, 14, 18, 19, 255):
        words = "a forged FORCERENEW" if kind == 9 else f"message type {kind}"
        yield Case(29, words, message(option(53, bytes((kind,))) + END), "not_a_request")
    for op in (0, 2, 3, 255):
        yield Case(35, f"op {op} at port 67", message(op=op), "not_a_request")
    yield Case(27, "a REQUEST that names a server and no address", message(REQUEST + NAMED[6:] + END), "malformed")
    yield Case(27, "a REQUEST that names nothing", message(REQUEST + END), "malformed")
    yield Case(27, "a DECLINE that names nothing", message(DECLINE + END), "malformed")
    yield Case(27, "a RELEASE of nothing", message(RELEASE + END), "malformed")
    yield Case(27, "an INFORM without an address", message(INFORM + END), "malformed")
    yield Case(12, "a DECLINE of what nobody holds", message(DECLINE + NAMED + END), "no_binding")
    yield Case(12, "a RELEASE of what nobody holds", message(RELEASE + NAMED[6:] + END, ciaddr=FREE), "no_binding")


def _relays() -> Iterator[Case]:
    yield Case(32, "a relay that nobody knows", message(giaddr=ELSEWHERE), "bad_relay", relayed=True)
    yield Case(32, "a relay that nobody knows, on the link", message(giaddr=ELSEWHERE), "bad_relay")
    yield Case(32, "a relay that a strict subnet does not list", message(giaddr=STRICT), "bad_relay", relayed=True)
    yield Case(32, "our own address as relay", message(giaddr=OURS), "loop", relayed=True)
    yield Case(32, "our own address as relay, on the link", message(giaddr=SERVER), "loop")
    for giaddr in (0x7F000001, 0xE0000001, 0xFFFFFFFF):
        yield Case(32, f"relay {IPv4Address(giaddr)}", message(giaddr=giaddr), "bad_relay", relayed=True)
    other = option(82, option(5, TENANT.to_bytes(4, "big")))
    yield _discover(32, "link selection of another tenant's subnet", other, "bad_relay", relayed=True)
    strict = option(82, option(5, STRICT.to_bytes(4, "big")))
    yield _discover(32, "link selection of a strict subnet", strict, "bad_relay", relayed=True)
    nowhere = option(118, ELSEWHERE.to_bytes(4, "big"))
    yield _discover(32, "subnet selection of no subnet", nowhere, "no_subnet", relayed=True)
    yield _discover(32, "a client's own subnet selection", option(118, TENANT.to_bytes(4, "big")))


CASES = [case for make in (_identities, _lengths, _names, _containers, _sizes, _kinds, _relays) for case in make()]

_CARRIED = (
    option(12, b"name"), option(50, b"\xc0\0\2\7"), option(51, b"\0\0\1\0"), option(55, b"\1\3\6"),
    option(57, b"\2\x40"), option(60, b"x"), option(61, b"\0id"), option(80, b""), option(81, b"\0\0\0a"),
    option(82, b"\1\1a"), option(118, b"\x0a\x4e\0\0"),
)  # fmt: skip


def without_a_subnet() -> Iterator[bytes]:
    """Row 5: unicast to the relay socket, no relay, and an address (if any) of no subnet; options two by two."""
    for pair in combinations(_CARRIED, 2):
        for kind, ciaddr in ((DISCOVER, 0), (REQUEST, ELSEWHERE), (INFORM, ELSEWHERE)):
            yield message(kind + b"".join(pair) + END, ciaddr=ciaddr, flags=0)
