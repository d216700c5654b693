"""What a reply says apart from who it is for: compiled once per policy, kind of reply and parameter request list.

The law of this file: a body holds no value of any one client. It is the octets of a message whose header is zeros and
whose lifetimes and server identifier stand at fixed places; `replies.render` copies it and fills these in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from everlease.core.model import SEND_ALWAYS, SEND_NEVER, OptionValue, Policy
from everlease.core.policy import Resolved
from everlease.wire.v4 import HEADER, MAGIC, NAK

MOST_BODIES: Final = 32
"""Bodies kept per policy: real networks see a dozen parameter request lists; a stranger may send any."""

LONGEST_LIST: Final = 64
"""Octets of a parameter request list kept as it came; a longer one is first freed of what says nothing."""

PARAMETER_REQUEST_LIST: Final = 55
SUBNET_MASK: Final = 1
ROUTERS: Final = 3
MESSAGE: Final = 56

# What the server says by itself, or never says: PAD, requested address, lifetimes, overload, type, server identifier,
# request list, maximum size, T1, T2, client identifier, rapid commit, FQDN, relay information, subnet selection, END.
# RFC 2131 table 3.
NOT_PARAMETERS: Final = frozenset((0, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 80, 81, 82, 118, 255))

MESSAGE_TYPE_AT: Final = 242
IDENTIFIER_AT: Final = 243

# Kinds of reply: the message type, and whether it grants an address (lifetimes are told; INFORM's ACK tells none).
INFORM_ACK: Final = 0x105


class Body:
    """A compiled reply. `octets`: header, cookie and options without END; `parameters`: the options that the policy
    gives, as (code, value) in their order; `leased`: options 51, 58 and 59 follow the server identifier.
    """

    __slots__ = ("file", "leased", "next_server", "octets", "parameters", "sname")

    def __init__(self, policy: Policy | None, kind: int, requested: bytes | None) -> None:
        self.leased = kind not in (NAK, INFORM_ACK)
        self.parameters = tuple(parameters(policy, requested)) if policy is not None else ()
        self.next_server = policy.next_server if policy is not None else 0
        self.sname = _field(policy.server_hostname, 64) if policy is not None else b""
        self.file = _field(policy.boot_file_name, 128) if policy is not None else b""
        header = HEADER.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"", self.sname, self.file, MAGIC)
        options = [bytes((53, 1, kind & 0xFF)), b"\x36\x04\0\0\0\0"]
        if self.leased:
            options += (b"\x33\x04\0\0\0\0", b"\x3a\x04\0\0\0\0", b"\x3b\x04\0\0\0\0")
        self.octets = header + b"".join(options) + b"".join(_written(*each) for each in self.parameters)


def body_of(resolved: Resolved, kind: int, requested: bytes | None) -> Body:
    """The body for a kind of reply (OFFER, ACK, INFORM_ACK) and option 55 as it came, None without one."""
    if requested is not None and len(requested) > LONGEST_LIST:
        requested = bytes(dict.fromkeys(requested))
    kept = resolved.bodies
    body = kept.get((kind, requested))
    if body is None:
        body = Body(resolved.policy, kind, requested)
        if len(kept) >= MOST_BODIES:
            del kept[next(iter(kept))]
        kept[kind, requested] = body
    return body


def parameters(policy: Policy, requested: bytes | None) -> Iterable[tuple[int, bytes]]:
    """The options to send: those asked for in the client's order (RFC 2131 4.3.1, RFC 2132 9.8), then those that are
    always sent; without option 55 all, in the document's order. Each once; never those that are never sent.
    """
    options = policy.options
    codes = list(options if requested is None else dict.fromkeys(requested))
    codes += [code for code, option in options.items() if option.send == SEND_ALWAYS and code not in codes]
    chosen = [code for code in codes if code not in NOT_PARAMETERS and _is_sent(options.get(code))]
    if ROUTERS in chosen and SUBNET_MASK in chosen[chosen.index(ROUTERS) :]:
        # RFC 2132 section 3.3: the subnet mask MUST come before the routers.
        chosen.remove(SUBNET_MASK)
        chosen.insert(chosen.index(ROUTERS), SUBNET_MASK)
    return ((code, options[code].data) for code in chosen)


def _is_sent(option: OptionValue | None) -> bool:
    return option is not None and option.send != SEND_NEVER


def _written(code: int, value: bytes) -> bytes:
    """An option in pieces of at most 255 octets (RFC 3396)."""
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [b""]
    return b"".join(bytes((code, len(piece))) + piece for piece in pieces)


def _field(name: bytes, size: int) -> bytes:
    """A name in a header field, null-terminated; one too long for it goes by its option alone."""
    return name if len(name) < size else b""
