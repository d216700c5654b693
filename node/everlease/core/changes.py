"""Changes of leases, with every key that they name: what etcd must show for the decision to hold.

The law of this file: a change says what the decision saw, down to what was absent. A grant names the address, the
client's index under every member subnet, the client's previous address, and the previous holder's index; an offer puts
the address alone; a check puts nothing.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Final

from everlease.core.actions import CHECK, DECLINE, GRANT, OFFER, RELEASE, RENEW, Change, Moved
from everlease.core.lifecycle import (
    BOUND,
    DECLINED,
    NOBODY,
    OFFERED,
    RELEASED,
    Lease,
    Row,
    grace_of,
    renewed_expiry,
    stored_expiry,
)
from everlease.core.model import Subnet
from everlease.core.query import Query
from everlease.core.situation import View
from everlease.errors import WireError
from everlease.wire.hostname import clean_hostname, parse_fqdn

_PLAIN_NAME: Final = re.compile(rb"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HOST_NAME, _FQDN, _RELAY_INFORMATION = 12, 81, 82


def offer(query: Query, subnet: Subnet, address: int, row: Row | None, lifetimes: tuple[int, int]) -> Change:
    """An offer that is committed; lifetimes: (told, held), seconds. It puts the address alone.

    The client's index is compared, so that nothing is kept for who was bound by another node meanwhile; and whoever is
    bound later is known to have declined (`lifecycle.is_declined`).
    """
    told, held = lifetimes
    lease = _lease(query, row, subnet.id, OFFERED, told, ceil(query.situation.now) + held)
    change = _change(query, OFFER, subnet, address, row)
    change.lease = lease
    change.indexes = indexes(query)
    return change


def bind(query: Query, subnet: Subnet, address: int, row: Row | None, valid: int) -> Change:
    """A binding: RENEW if the record is this client's binding in this subnet, else GRANT."""
    now = query.situation.now
    grace = grace_of(valid, query.situation.config.cluster.grace)
    if row is not None and row.client == query.client and row.state == BOUND and row.subnet == subnet.id:
        change = _change(query, RENEW, subnet, address, row)
        change.lease = _lease(query, row, subnet.id, BOUND, valid, renewed_expiry(row, now, valid, grace))
        return change
    change = _change(query, GRANT, subnet, address, row)
    change.lease = _lease(query, row, subnet.id, BOUND, valid, stored_expiry(now, valid, grace))
    change.indexes = indexes(query)
    change.puts_index = True
    if [held for _, held in change.indexes if held]:  # a new client has left nothing behind
        change.moved = _moved(query, address, change.indexes)
        change.seen = _seen(query, change)
    change.displaced = displaced(query.situation.view, subnet.space, address, row, query.client, subnet.id)
    return change


def release(query: Query, subnet: Subnet, address: int, row: Row) -> Change:
    """The client gives its address back: it is free at once, and the record remembers who had it."""
    change = _change(query, RELEASE, subnet, address, row)
    ended = min(row.expires_at, ceil(query.situation.now))
    change.lease = _lease(query, row, row.subnet, RELEASED, row.valid, ended)
    return change


def decline(query: Query, subnet: Subnet, address: int, row: Row, probation: int) -> Change:
    """Somebody else uses the address: nobody gets it for `probation` seconds (RFC 2131 section 4.3.3)."""
    change = _change(query, DECLINE, subnet, address, row)
    until = max(row.expires_at, ceil(query.situation.now) + probation)
    change.lease = _lease(query, row, row.subnet, DECLINED, row.valid, until)
    return change


def found_in_use(query: Query, subnet: Subnet, address: int, row: Row | None, probation: int) -> Change:
    """A stranger answers at an address that is on offer: a record in nobody's name, as if it had been declined.

    NOBODY has no index entry; the entry of who had the address before, this client too, goes with its record.
    """
    now = ceil(query.situation.now)
    until = max(row.expires_at if row is not None else 0, now + probation)
    change = _change(query, DECLINE, subnet, address, row)
    change.client = NOBODY
    change.lease = Lease(NOBODY, b"", DECLINED, int(query.situation.now), until, 0, subnet.id)
    if row is not None and query.situation.view.address_of(subnet.space, row.subnet, row.client) == address:
        change.displaced = (row.client, row.subnet)
    return change


def check(query: Query, subnet: Subnet, address: int, row: Row | None, *, client: bool = True) -> Change:
    """Nothing is put; `client`: what the view shows of the client's index must be so as well."""
    change = _change(query, CHECK, subnet, address, row)
    if client:
        change.indexes = indexes(query)
    return change


def indexes(query: Query) -> tuple[tuple[int, int], ...]:
    """The client's index entries as the view shows them: (subnet id, address or 0) for each member subnet."""
    view, client = query.situation.view, query.client
    return tuple([(each.id, view.address_of(each.space, each.id, client)) for each in query.network.subnets])


def _change(query: Query, kind: int, subnet: Subnet, address: int, row: Row | None) -> Change:
    made = query.situation.view.reservation_at(subnet.space, address)
    return Change(
        kind,
        subnet.space,
        address,
        subnet.id,
        query.client,
        row.revision if row is not None else 0,
        reservation=made.revision if made is not None else 0,
    )


def _moved(query: Query, address: int, entries: tuple[tuple[int, int], ...]) -> Moved | None:
    """The binding that the client leaves behind; one that has passed to somebody else is not touched."""
    for subnet, previous in entries:
        if previous and previous != address:
            row = query.row(previous)
            if row is not None and row.client == query.client and row.state == BOUND:
                ended = min(row.expires_at, ceil(query.situation.now))
                left = _lease(query, row, row.subnet, RELEASED, row.valid, ended)
                return Moved(previous, subnet, row.revision, left)
    return None


def _seen(query: Query, change: Change) -> tuple[tuple[int, int], ...]:
    """What the view shows under the client's other index entries: nothing that binds it, or it would have moved.

    A view that lags may know the entry (a refused change told it) and not the record: then this refuses once more.
    """
    known = (0, change.address, change.moved.address if change.moved is not None else 0)
    rows = [(previous, query.row(previous)) for _, previous in change.indexes if previous not in known]
    return tuple([(previous, row.revision if row is not None else 0) for previous, row in rows])


def displaced(
    view: View, space: str, address: int, row: Row | None, client: bytes, subnet: int
) -> tuple[bytes, int] | None:
    """The index entry of the record's holder, if it names the address and a grant to `client` does not overwrite it."""
    if row is None or (row.client == client and row.subnet == subnet):
        return None
    named = view.address_of(space, row.subnet, row.client)
    return (row.client, row.subnet) if named == address else None


def _lease(query: Query, row: Row | None, subnet: int, state: int, valid: int, expires_at: int) -> Lease:
    packet = query.packet
    return Lease(
        client=query.client,
        hardware=packet.chaddr,
        state=state,
        granted_at=int(query.situation.now),
        expires_at=expires_at,
        valid=valid,
        subnet=subnet,
        hostname=hostname(packet.options),
        relay=_relay(query),
        giaddr=packet.giaddr,
        more=row.more if row is not None and row.client == query.client else b"",
    )


def _relay(query: Query) -> bytes:
    """Option 82, if somebody vouches for it; one longer than RFC 3046's 255 octets tells an operator nothing."""
    raw = query.packet.options.get(_RELAY_INFORMATION, b"") if query.place.relay else b""
    return raw if len(raw) <= 255 else b""


def hostname(options: dict[int, bytes]) -> str:
    """What the client calls itself (option 12, else 81), cleaned; "" for nothing usable."""
    name = options.get(_HOST_NAME)
    if name:
        return name.decode() if _PLAIN_NAME.fullmatch(name) else clean_hostname(name)
    if _FQDN in options:
        try:
            return parse_fqdn(options[_FQDN]).hostname
        except WireError:
            return ""
    return ""
