"""What a client calls itself: option 12 (host name) and option 81 (client FQDN, RFC 4702).

The law of this file: a name from a client is an outsider's text. `clean_hostname` never raises and returns only
letters, digits, hyphens and dots, or nothing; nothing else of a name goes to logs, records or DNS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from everlease.errors import WireError
from everlease.wire import labels
from everlease.wire.cursor import Cursor

# RFC 4702 section 2.1
SERVER_UPDATES: Final = 0x01  # S: the server shall update the A record
OVERRIDDEN: Final = 0x02  # O: the server did other than the client asked
CANONICAL: Final = 0x04  # E: the name is in wire form; otherwise deprecated ASCII
NO_UPDATES: Final = 0x08  # N: the server shall update nothing

MOST_ANSWERS: Final = 4096
"""Answers kept: a client asks twice and renews; a stranger may send any name."""

_LONGEST_TEXT: Final = 253  # RFC 1035: 255 on the wire, less the first length octet and the root
_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9-]+")


def clean_hostname(data: bytes) -> str:
    """A client's host name as RFC 1123 allows it, or "" if nothing is left.

    Octets outside letters, digits and hyphens become one hyphen each run (as Windows names with spaces or
    underscores), hyphens at the ends of a label and empty labels go, a label is cut to 63 and the name to 253.
    """
    text = data[:1024].rstrip(b"\0").decode("ascii", "replace")
    cleaned = (_FORBIDDEN.sub("-", label).strip("-")[:63].rstrip("-") for label in text.split("."))
    name = ""
    for label in filter(None, cleaned):
        longer = f"{name}.{label}" if name else label
        if len(longer) > _LONGEST_TEXT:
            break
        name = longer
    return name


@dataclass(frozen=True, slots=True)
class ClientFqdn:
    """Option 81: its flags and the name. `partial`: the client did not give its domain, the server may add one.

    `name` is raw: use `clean_hostname` on it before it goes anywhere but back to the client.
    """

    flags: int
    name: str
    partial: bool

    @property
    def hostname(self) -> str:
        """The name, cleaned."""
        return clean_hostname(self.name.encode("ascii", "replace"))


def parse_fqdn(data: bytes) -> ClientFqdn:
    """Read option 81, canonical or ASCII. `WireError` if it is short, its labels are wrong, or S and N are both set."""
    cursor = Cursor(data)
    flags = cursor.uint(1)
    cursor.take(2)  # RCODE1 and RCODE2 are deprecated: ignored on receipt (RFC 4702 section 2.2)
    if flags & SERVER_UPDATES and flags & NO_UPDATES:
        raise WireError("option 81 sets both S and N; a client asks for one of them")
    if not flags & CANONICAL:
        text = cursor.rest().rstrip(b"\0").decode("ascii", "backslashreplace")
        return ClientFqdn(flags, text.removesuffix("."), partial=not text.endswith("."))
    return _canonical(flags, cursor.rest())


def _canonical(flags: int, data: bytes) -> ClientFqdn:
    # The name starts the data, so no pointer can go back: compression, which section 2.3.1 forbids, is refused.
    cursor = Cursor(data)
    name = labels.read(cursor, partial=True)
    cursor.finish()
    if not name:
        return ClientFqdn(flags, "", partial=True)  # section 2.3: the client has no name
    # A complete name ends with the root label; without it the octets are those of its labels alone.
    partial = len(data) == len(labels.join(name, root=False))
    return ClientFqdn(flags, labels.to_text(name), partial)


def build_fqdn(fqdn: ClientFqdn) -> bytes:
    """Write option 81 in the form that its E flag says, RCODEs 255 as RFC 4702 section 2.2 asks of a server.

    `ValueError` for a name that DNS cannot hold.
    """
    head = bytes((fqdn.flags, 255, 255))
    if not fqdn.flags & CANONICAL:
        return head + (fqdn.name + ("" if fqdn.partial else ".")).encode("ascii")
    if not fqdn.name:
        return head
    return head + labels.join(labels.from_text(fqdn.name), root=not fqdn.partial)


@lru_cache(maxsize=MOST_ANSWERS)
def answer_fqdn(data: bytes) -> bytes | None:
    """What a server that updates no DNS record answers to an option 81; None to one that is malformed.

    RFC 4702 sections 2.1 and 4: S=0, N=1, O where the client had asked for S, the form that the client used (E), every
    other flag 0; and the name as the server takes it, cleaned.
    """
    try:
        asked = parse_fqdn(data)
    except WireError:
        return None
    flags = asked.flags & CANONICAL | NO_UPDATES | (OVERRIDDEN if asked.flags & SERVER_UPDATES else 0)
    name = asked.hostname
    return build_fqdn(ClientFqdn(flags, name, asked.partial or not name))
