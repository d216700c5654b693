"""The life of a binding, as values and rules; the only place that knows when an address may change hands.

`expires_at` is what etcd holds: the end told to the client **plus grace**, rounded up to a whole second of cluster
time (UTC). Nobody else gets the address before `expires_at + clock margin`. "Expired" is computed, never written.
"""

from __future__ import annotations

from math import ceil, floor

import msgspec

OFFERED, BOUND, RELEASED, DECLINED = range(4)
STATE_NAMES = ("offered", "bound", "released", "declined")

MAX_GRACE = 600
"""Seconds: half an hour's lease is enough to sit out an outage of the store without pinning addresses for days."""

INFINITE = 0xFFFFFFFF
"""RFC 2131 section 3.3: the lifetime that never ends."""


WITHDRAWN = 0
"""`valid` of a RELEASED record that an operator took back: its client may not have heard, so it frees nothing yet."""

NOBODY = b""
"""The client key of a record that is no client's: an address that a stranger uses, a record that cannot be read."""


class Row(msgspec.Struct, gc=False):
    """What the view keeps of one address: lean, because a node holds a million of them.

    client: client key (bytes); expires_at: seconds UTC, grace included; revision: etcd's mod revision of the record;
    state: one of OFFERED, BOUND, RELEASED, DECLINED; subnet: the operator's id; valid: valid lifetime told, seconds;
    nonce: of the change that wrote it; more: what a newer version keeps with the binding, as it wrote it (JSON).
    """

    client: bytes
    expires_at: int
    revision: int
    state: int
    subnet: int
    valid: int
    nonce: int
    more: bytes = b""


class Lease(msgspec.Struct, gc=False, omit_defaults=True):
    """One address's record as a change puts it; `store.records` writes it as JSON.

    Times are whole seconds of cluster time (UTC). `nonce`, `node` and `config` are filled by the committer.
    client and hardware are bytes; relay is the raw option 82 (b"" without one), giaddr an address or 0; more: see Row.
    """

    client: bytes
    hardware: bytes
    state: int
    granted_at: int
    expires_at: int
    valid: int
    subnet: int
    hostname: str = ""
    relay: bytes = b""
    giaddr: int = 0
    nonce: int = 0
    node: str = ""
    config: int = 0
    more: bytes = b""


def grace_of(valid: int, configured: int | None) -> int:
    """Seconds that a record outlives what its client was told; `configured` None means auto."""
    return min(valid // 2, MAX_GRACE) if configured is None else configured


def stored_expiry(now: float, valid: int, grace: int) -> int:
    """The `expires_at` of a binding promised at `now` for `valid` seconds: rounded up, never early."""
    return ceil(now) + valid + grace


def is_active(row: Row, now: float) -> bool:
    """Whether the record still promises its address to its client (an offer or a binding that has not ended)."""
    return row.state in (OFFERED, BOUND) and now < row.expires_at


def is_reusable(row: Row, now: float, margin: float) -> bool:
    """Whether the address may go to another client: at once after its RELEASE, else `margin` seconds after its end."""
    return (row.state == RELEASED and row.valid != WITHDRAWN) or now >= row.expires_at + margin


def is_declined(offer: Row, bound: Row | None) -> bool:
    """Whether the client of an offer has been bound to another address since: that declined it (RFC 2131 section 3.1).

    bound: the record of the address that the client's index names, or None. A binding that is older than the offer
    says nothing: its client is about to move. What was declined is passed on by a commit only, for its record stays.
    """
    return (
        offer.state == OFFERED
        and bound is not None
        and bound.state == BOUND
        and bound.client == offer.client
        and bound.revision > offer.revision
    )


def renewed_expiry(row: Row, now: float, valid: int, grace: int) -> int:
    """The `expires_at` of a renewed binding: never before the one that is stored (I9).

    A client that does not hear this answer still believes the last one. Only a binding without an end gets one when
    the operator has set one: its client does not renew, it asks after a restart.
    """
    fresh = stored_expiry(now, valid, grace)
    return fresh if row.valid == INFINITE else max(fresh, row.expires_at)


def remaining(row: Row, now: float) -> int:
    """Whole seconds until the committed end, rounded down: what may still be told without a commit."""
    return floor(row.expires_at - now)


def lifetime(requested: bytes | None, default: int, least: int, most: int) -> int:
    """The valid lifetime to tell: what option 51 asks for, within bounds; the default without it (RFC 2131 4.3.1)."""
    if requested is None:
        return default
    return min(max(int.from_bytes(requested, "big"), least), most)


def timers(valid: int, renew: int | None, rebind: int | None) -> tuple[int, int]:
    """T1 and T2 (RFC 2131 section 4.4.5): as configured while T1 < T2 < the lifetime, else 0.5 and 0.875 of it."""
    if valid == INFINITE:
        return INFINITE, INFINITE
    t2 = rebind if rebind is not None and rebind < valid else valid * 7 // 8
    t1 = renew if renew is not None and renew < t2 else min(valid // 2, t2)
    return t1, t2
