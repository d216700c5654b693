"""What the values in etcd look like: JSON, readable with `etcdctl get --prefix`, written and read by msgspec.

Law: a reader ignores fields that it does not know, so that version N works beside N+1; a field that is at its default
is not written; nobody ever writes a record that this file cannot read back. What a newer version must not lose when an
older one renews a lease, it keeps in the lease's `more`: that is handed on as it is.
"""

from __future__ import annotations

import msgspec

from everlease.core.identity import NOWHERE, Circuit, circuit_of
from everlease.core.lifecycle import BOUND, DECLINED, NOBODY, STATE_NAMES, Lease, Row
from everlease.core.model import Reservation
from everlease.errors import StoreError
from everlease.store.parameters import ParametersRecord, unpack

UNREADABLE_UNTIL = 1 << 40
"""Expiry of an address whose record cannot be read: it may be somebody's, so nobody gets it."""


class BadRecord(StoreError):
    """A value in etcd that is not a record of ours."""

    reason = "bad_record"


class LeaseRecord(msgspec.Struct, gc=False, omit_defaults=True):
    """A lease as it is written: identifiers in hex, addresses dotted, times in whole seconds UTC."""

    client: str
    hw: str
    state: str
    granted_at: int
    expires_at: int
    valid: int
    subnet: int
    hostname: str = ""
    relay: str = ""
    giaddr: str = ""
    nonce: int = 0
    node: str = ""
    config: int = 0
    more: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Lean(msgspec.Struct, gc=False):
    client: str
    granted_at: int
    state: str
    expires_at: int
    valid: int
    subnet: int
    nonce: int = 0
    more: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Takeover(msgspec.Struct, frozen=True):
    """A node that is skipped on a link because its clients had to be taken over; `until`: cluster time, seconds."""

    node: str
    link: str
    until: float


class Presence(msgspec.Struct, omit_defaults=True):
    """A node's proof that it can commit, put every period through the path that serves clients.

    boot: id of this run; sequence: counts up; state: joining, serving... and, when it does not serve, reason: why;
    clock: its wall clock, seconds UTC;
    view, config: revisions that it has; links: labels that it serves, with the node's addresses (server identifiers);
    relays: giaddrs heard in the last ten minutes, bounded; dotted text. restored: until when, in cluster time, it lives
    a rollback of the store down (0 = it knows of none): a node that starts meanwhile learns of it here. ahead:
    digest of the document that is coming, once this node has looked at it.
    """

    boot: str
    sequence: int
    state: str
    clock: float
    view: int = 0
    config: int = 0
    links: dict[str, list[str]] = {}
    relays: list[str] = []
    takeovers: list[Takeover] = []
    restored: float = 0.0
    admin: str = ""
    version: str = ""
    period: float = 0.5
    reason: str = ""
    ahead: str = ""


class Current(msgspec.Struct, omit_defaults=True):
    """`config/current`: the revision in force, of how many chunks its document has, and who put it there.

    manager: the program that applies documents again and again and put this one there, "" = none.
    recover_until: until when (cluster time, seconds) addresses may be somebody's though no record says so, because a
    backup was restored. It stands here so that the fence refuses what was decided without knowing it.
    """

    revision: int
    chunks: int
    author: str = ""
    comment: str = ""
    applied_at: float = 0.0
    digest: str = ""
    manager: str = ""
    recover_until: float = 0.0


UNREADABLE = Current(0, 0)
"""Stands for a `config/current` that cannot be read; revisions count from 1."""


class ReservationRecord(msgspec.Struct, omit_defaults=True):
    """A reservation made by the API. value: hex (for hw-address: htype byte, address).

    parameters: as written, with the document's keys; compiled: the same as clients are told it. author, written_at: of
    the last change, seconds UTC; comment: for people.
    """

    kind: str
    value: str
    subnet: int
    relay: str = ""
    address: str = ""
    hostname: str = ""
    source: str = "api"
    comment: str = ""
    parameters: dict[str, object] = {}
    compiled: ParametersRecord | None = None
    author: str = ""
    written_at: float = 0.0


_STATES = {name: number for number, name in enumerate(STATE_NAMES)}
_encode = msgspec.json.Encoder().encode
_decode_lean = msgspec.json.Decoder(_Lean).decode
_decode_lease = msgspec.json.Decoder(LeaseRecord).decode
_decode_presence = msgspec.json.Decoder(Presence).decode
_decode_current = msgspec.json.Decoder(Current).decode
_decode_reservation = msgspec.json.Decoder(ReservationRecord).decode


def dotted(address: int) -> str:
    """An IPv4 address as text; 0 is "" (there is none)."""
    if not address:
        return ""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def undotted(text: str) -> int:
    """The reverse of `dotted`. Raises BadRecord."""
    if not text:
        return 0
    try:
        return int.from_bytes(bytes(map(int, _four(text))), "big")
    except ValueError as bad:
        raise BadRecord(f"not an IPv4 address: {text!r}") from bad


def _four(text: str) -> list[str]:
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError(text)
    return parts


def record_of(lease: Lease) -> LeaseRecord:
    """A lease as it is written."""
    return LeaseRecord(
        lease.client.hex(),
        lease.hardware.hex(":"),
        STATE_NAMES[lease.state],
        lease.granted_at,
        lease.expires_at,
        lease.valid,
        lease.subnet,
        lease.hostname,
        lease.relay.hex() if lease.relay else "",
        dotted(lease.giaddr) if lease.giaddr else "",
        lease.nonce,
        lease.node,
        lease.config,
        msgspec.Raw(lease.more) if lease.more else msgspec.UNSET,
    )


def encode_lease(lease: Lease) -> bytes:
    """The value of an address's key."""
    return _encode(record_of(lease))


def decode_record(value: bytes) -> LeaseRecord:
    """A lease as it is written, for those who show many: a sixth of `decode_lease`'s time. Raises BadRecord."""
    try:
        record = _decode_lease(value)
    except msgspec.MsgspecError as bad:
        raise BadRecord(f"not a lease record: {bad}") from bad
    if record.state not in _STATES:
        raise BadRecord(f"not a lease record: state {record.state!r}")
    return record


def decode_lease(value: bytes) -> Lease:
    """The whole record, for somebody who asks for names and relays. Raises BadRecord."""
    try:
        record = _decode_lease(value)
        return Lease(
            bytes.fromhex(record.client),
            bytes.fromhex(record.hw.replace(":", "")),
            _STATES[record.state],
            record.granted_at,
            record.expires_at,
            record.valid,
            record.subnet,
            record.hostname,
            bytes.fromhex(record.relay),
            undotted(record.giaddr),
            record.nonce,
            record.node,
            record.config,
            _more(record),
        )
    except (msgspec.MsgspecError, ValueError, KeyError) as bad:
        raise BadRecord(f"not a lease record: {bad}") from bad


def _more(record: LeaseRecord | _Lean) -> bytes:
    return b"" if record.more is msgspec.UNSET else bytes(record.more)


def decode_row(value: bytes, revision: int) -> tuple[Row, int]:
    """The lean row of a lease record, and when it was granted (seconds UTC). Raises BadRecord."""
    try:
        lean = _decode_lean(value)
        row = Row(
            bytes.fromhex(lean.client),
            lean.expires_at,
            revision,
            _STATES[lean.state],
            lean.subnet,
            lean.valid,
            lean.nonce,
            _more(lean),
        )
        return row, lean.granted_at
    except (msgspec.MsgspecError, ValueError, KeyError) as bad:
        raise BadRecord(f"not a lease record: {bad}") from bad


def decode_circuit(value: bytes) -> tuple[Circuit, int]:
    """Where a binding's client is plugged in, and its end (seconds UTC); NOWHERE for a record that is no binding."""
    try:
        return circuit_of_lease(decode_lease(value))
    except BadRecord:
        return NOWHERE, 0


def circuit_of_lease(lease: Lease) -> tuple[Circuit, int]:
    """The same of a lease."""
    return (circuit_of(lease.giaddr, lease.relay) if lease.state == BOUND else NOWHERE), lease.expires_at


def row_of(lease: Lease, revision: int) -> Row:
    """The row that a committed record makes, without a way through JSON."""
    return Row(
        lease.client, lease.expires_at, revision, lease.state, lease.subnet, lease.valid, lease.nonce, lease.more
    )


def unreadable_row(revision: int) -> Row:
    """Stands for a record that cannot be read: the address is out of use until somebody mends it."""
    return Row(NOBODY, UNREADABLE_UNTIL, revision, DECLINED, 0, 0, 0)


def encode(record: Presence | Current | ReservationRecord) -> bytes:
    """The value of a presence, configuration or reservation key."""
    return _encode(record)


def decode_presence(value: bytes) -> Presence:
    """Raises BadRecord."""
    try:
        return _decode_presence(value)
    except msgspec.MsgspecError as bad:
        raise BadRecord(f"not a presence record: {bad}") from bad


def decode_current(value: bytes) -> Current:
    """Raises BadRecord."""
    try:
        return _decode_current(value)
    except msgspec.MsgspecError as bad:
        raise BadRecord(f"not a configuration revision: {bad}") from bad


def read_current(value: bytes) -> Current:
    """What `config/current` says; UNREADABLE if it is no record of ours: what was in force is not in force any more."""
    try:
        return decode_current(value)
    except BadRecord:
        return UNREADABLE


def decode_reservation_record(value: bytes) -> ReservationRecord:
    """The whole record, for somebody who asks what was written, and by whom. Raises BadRecord."""
    try:
        return _decode_reservation(value)
    except msgspec.MsgspecError as bad:
        raise BadRecord(f"not a reservation: {bad}") from bad


def decode_reservation(value: bytes, revision: int) -> Reservation:
    """An API reservation as `core` reads it. Raises BadRecord."""
    record = decode_reservation_record(value)
    try:
        identifier, parameters = bytes.fromhex(record.value), unpack(record.compiled)
    except ValueError as bad:
        raise BadRecord(f"not a reservation: {bad}") from bad
    address = undotted(record.address)
    relay = undotted(record.relay)
    return Reservation(
        record.kind, identifier, relay, address, record.subnet, record.hostname, parameters, record.source, revision
    )
