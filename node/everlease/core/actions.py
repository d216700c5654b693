"""What a decision may ask for. Only the runtime performs it; a reply that depends on a Change leaves after its commit.

decide(...) -> Reply | Commit(change, then=Reply) | Drop(reason)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from everlease.core.lifecycle import Lease
from everlease.core.model import PingCheck

# Kinds of change. CHECK compares and puts nothing: it proves that what the view shows is still so.
OFFER, GRANT, RENEW, RELEASE, DECLINE, CHECK = range(6)
CHANGE_NAMES: Final = ("offer", "grant", "renew", "release", "decline", "check")

# Where a reply goes (RFC 2131 section 4.1).
TO_RELAY, TO_ADDRESS, TO_HARDWARE, TO_BROADCAST = range(4)

OPERATIONS: Final = (
    "discover", "request", "renew", "rebind", "init_reboot", "release", "decline", "inform", "bootp", "other",
)  # fmt: skip
"""Label values of `operation` (interfaces.md); "request" is a REQUEST in SELECTING."""

UNREAD: Final = "other"
"""Of a packet that was dropped before anybody looked at what it asks."""

DROP: Final = "drop"
RESULTS: Final = ("offer", "ack", "nak", DROP)
"""Label values of `result`; "drop": no reply left, whatever the reason."""

DROP_REASONS: Final = (
    "malformed", "not_a_request", "bootp", "stale", "not_owner", "other_server", "no_subnet", "no_address",
    "no_binding", "conflict", "overload", "unavailable", "not_fresh", "class_drop", "unknown_client", "draining",
    "disabled", "duplicate", "rate_limit", "bad_checksum", "tagged", "outgoing", "other_host", "bad_relay", "loop",
    "too_large", "clock", "foreign", "mistimed", "not_serving", "done", "probe",
    "circuit_rate", "link_rate", "decline_rate", "release_rate", "probation_full", "lease_limit", "queue_full",
)  # fmt: skip
"""Label values of `reason`. "not_serving": the node is silent as a whole, and others answer. "done" is no loss: RELEASE
and DECLINE have no reply (RFC 2131 table 5). "probe": a node of ours that looks for rogue servers. "queue_full": the
kernel found no room for it in a socket's queue."""


class Destination(msgspec.Struct, gc=False):
    """Where and how a reply leaves. kind: TO_RELAY, TO_ADDRESS (UDP), TO_HARDWARE, TO_BROADCAST (raw frame on a link).

    address: IPv4; port: UDP; hardware: the client's MAC for TO_HARDWARE; for TO_ADDRESS if a frame reaches it, too.
    """

    kind: int
    address: int
    port: int
    hardware: bytes = b""


class Held(msgspec.Struct, gc=False):
    """An offer to keep in memory (no commit): nobody else offers addresses of this node's buckets."""

    space: str
    address: int
    client: bytes
    subnet: int
    until: float


@dataclass(slots=True)
class Reply:
    """Bytes to send now. operation, result: metric labels; hold: an offer to remember when it has been sent.

    ping: the address on offer is new to its client and must not answer an ICMP echo first (RFC 2131 section 2.2).
    """

    destination: Destination
    payload: bytes
    operation: str
    result: str
    hold: Held | None = None
    ping: PingCheck | None = None


@dataclass(slots=True)
class Moved:
    """A client's previous address that a grant gives up: its record becomes RELEASED if it still names the client."""

    address: int
    subnet: int
    revision: int
    lease: Lease


@dataclass(slots=True)
class Change:
    """One lease transition. `store.txn` turns it into compares and puts; **every key it names is compared**.

    kind: OFFER..CHECK; space, address, subnet, client: what it is about.
    expected: mod revision of the address record that the decision saw, 0 = no record.
    lease: the record to put; None for CHECK.
    indexes: (subnet id, address or 0) for the client's index entries that the decision saw, one for each member subnet
        of a shared network; compared by value, 0 = absent. Empty where they do not matter (RENEW, RELEASE, DECLINE).
    puts_index: write `address` to the client's index under `subnet`.
    moved: the client's previous address, given up. Its index entry is dropped (or overwritten by puts_index).
    displaced: (client, subnet id) of the previous holder whose index entry still names the address: deleted.
    reservation: mod revision of the API reservation on the address that the decision saw (a grant's is this client's
        own); 0 = none exists. Compared for GRANT and CHECK, and for the others where it is not 0.
    seen: (address, mod revision or 0) of the records that the client's other index entries name and that are not
        `moved`: the decision read that they do not bind this client, so that must still be so.
    """

    kind: int
    space: str
    address: int
    subnet: int
    client: bytes
    expected: int
    lease: Lease | None = None
    indexes: tuple[tuple[int, int], ...] = ()
    puts_index: bool = False
    moved: Moved | None = None
    displaced: tuple[bytes, int] | None = None
    reservation: int = 0
    seen: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Commit:
    """A change to be committed; `then` leaves when (and only when) etcd confirmed it. None: no reply exists."""

    change: Change
    then: Reply | None
    operation: str


@dataclass(slots=True)
class Drop:
    """Silence, counted. reason: one of DROP_REASONS; operation: metric label.

    declined: (space, client key) whose offer from this node is void: it took another's (RFC 2131 section 3.1.4).
    """

    reason: str
    operation: str = "other"
    declined: tuple[str, bytes] | None = None


Action = Reply | Commit | Drop
