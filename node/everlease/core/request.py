"""REQUEST in the client's four states: an ACK, a NAK or silence for each (RFC 2131 section 4.3.2, table 4).

The law of this file: an ACK follows a commit; a NAK a check, carries the server identifier that the client selected,
and writes nothing; and where nothing is known for certain there is silence.
"""

from __future__ import annotations

from typing import Final

from everlease.core import changes
from everlease.core.actions import GRANT, Action, Commit, Drop, Reply
from everlease.core.bodies import PARAMETER_REQUEST_LIST, body_of
from everlease.core.crowding import is_crowded
from everlease.core.discover import lifetime_for
from everlease.core.lifecycle import INFINITE, Row, is_reusable, remaining, timers
from everlease.core.model import ACTIVE, DISABLED, DRAINING, Subnet
from everlease.core.policy import Resolved, policy_of
from everlease.core.query import (
    OWN,
    TAKEN,
    Entitlement,
    Query,
    availability,
    entitlement,
    holds,
    is_on_offer,
    reservation_at,
    standing,
)
from everlease.core.replies import NAK_BODY, Terms, destination, render, server_identifier
from everlease.core.select import subnet_in
from everlease.wire import v4

SHORTEST_EXTENSION: Final = 60
"""Seconds: clients misuse tiny remainders (some renew in a loop)."""

REQUESTED_ADDRESS: Final = 50
SERVER_IDENTIFIER: Final = 54

WRONG_NETWORK: Final = b"wrong network"
NOT_YOURS: Final = b"address not available"
UNKNOWN: Final = b"no such lease"


def selecting(query: Query) -> Action:
    """The client took an offer, of this node or of another member: the address that it names, or none."""
    address = int.from_bytes(query.packet.options[REQUESTED_ADDRESS], "big")
    subnet = subnet_in(query.network, address)
    if subnet is None:
        return _nak(query, address, None, WRONG_NETWORK)
    row = query.row(address)
    if not _is_open(query, subnet.state, row):
        return Drop(subnet.state, query.operation)
    right = entitlement(query, subnet, address)
    if right is None or standing(query, address) == TAKEN:
        return _nak(query, address, subnet, NOT_YOURS)
    if is_on_offer(query, address):
        return Drop("conflict", query.operation)  # what this node alone remembers refutes nobody
    state = right.state(subnet, address)
    return _ack(query, subnet, address, row, right) if _is_open(query, state, row) else Drop(state, query.operation)


def init_reboot(query: Query) -> Action:
    """The client remembers an address and asks whether it still holds."""
    address = int.from_bytes(query.packet.options[REQUESTED_ADDRESS], "big")
    return _confirm(query, address)


def extend(query: Query) -> Action:
    """RENEWING and REBINDING: the client uses the address in ciaddr and wants it for longer."""
    return _confirm(query, query.packet.ciaddr)


def _confirm(query: Query, address: int) -> Action:
    subnet = subnet_in(query.network, address)
    if subnet is None:
        # A unicast REQUEST comes from where its address works: whatever chose this network is wrong, not the client.
        is_known_wrong = query.operation != "renew" and not query.situation.extending
        return _nak(query, address, None, WRONG_NETWORK) if is_known_wrong else Drop("no_subnet", query.operation)
    row = query.row(address)
    if subnet.state == DISABLED:
        return Drop(DISABLED, query.operation)
    if query.situation.extending:
        return _extend_known(query, subnet, address, row)
    right = entitlement(query, subnet, address)
    if right is not None and _has_claim(query, address, row, right):
        state = right.state(subnet, address)
        return _ack(query, subnet, address, row, right) if _is_open(query, state, row) else Drop(state, query.operation)
    if _is_refuted(query, subnet, address, row, right):
        return _nak(query, address, subnet, NOT_YOURS)
    policy = policy_of(query, subnet, None, query.reservation(subnet)).policy
    if policy.authoritative and query.situation.restored is None:
        return _nak(query, address, subnet, UNKNOWN)
    return Drop("no_binding", query.operation)


def _is_open(query: Query, state: str, row: Row | None) -> bool:
    """Whether the state lets this client bind the address: what drains serves the bindings it has."""
    return state == ACTIVE or (state == DRAINING and holds(query, row))


def _has_claim(query: Query, address: int, row: Row | None, right: Entitlement) -> bool:
    """Whether a client that says "this is mine" is believed: by its record, by its reservation, or after a rollback of
    the store, when records are known to be missing or old, by its word. Else never while it has another binding (a
    replayed message); after a rollback it gives that one up, and nobody gets it who does not ask for it."""
    situation = query.situation
    if holds(query, row) and situation.restored is None:
        return True
    state = availability(query, address, claimed=True)
    if state == TAKEN or situation.restored is not None:
        return state != TAKEN
    if _is_bound_elsewhere(query, address):
        return False
    return state == OWN or (right.reservation is not None and right.reservation.address == address)


def _is_bound_elsewhere(query: Query, address: int) -> bool:
    entries = changes.indexes(query)
    return any(held and held != address and holds(query, query.row(held)) for _, held in entries)


def _is_refuted(query: Query, subnet: Subnet, address: int, row: Row | None, right: Entitlement | None) -> bool:
    """Whether the cluster knows that the client's notion is wrong: the address is another's, or its own is another."""
    if reservation_at(query, subnet, address) is not None and right is None:
        return True
    restored = query.situation.restored
    if restored is not None:
        ghost = restored.get((query.space, address))
        if ghost is None or ghost.client == query.client:
            return False  # what is on record may be older than what the client was told
    if row is not None:
        if row.client == query.client:
            return True
        situation = query.situation
        if not is_reusable(row, situation.reuse_now, situation.config.cluster.clock_margin):
            return True
    return _is_bound_elsewhere(query, address)


def _extend_known(query: Query, subnet: Subnet, address: int, row: Row | None) -> Action:
    """No quorum: what is known is extended within what is committed, and told as the time that is really left."""
    if row is None or not holds(query, row) or availability(query, address, claimed=True) == TAKEN:
        return Drop("unavailable", query.operation)
    right = entitlement(query, subnet, address)
    left = INFINITE if row.valid == INFINITE else remaining(row, query.situation.now)
    if right is None or left < SHORTEST_EXTENSION:
        return Drop("unavailable", query.operation)
    if right.state(subnet, address) == DISABLED:
        return Drop(DISABLED, query.operation)
    resolved = policy_of(query, subnet, right.pool, right.reservation)
    valid = min(lifetime_for(query, resolved.policy), left)
    return _reply(query, resolved, address, valid) or Drop("too_large", query.operation)


def _ack(query: Query, subnet: Subnet, address: int, row: Row | None, right: Entitlement) -> Action:
    resolved = policy_of(query, subnet, right.pool, right.reservation)
    valid = lifetime_for(query, resolved.policy)
    reply = _reply(query, resolved, address, valid)
    if reply is None:
        return Drop("too_large", query.operation)
    change = changes.bind(query, subnet, address, row, valid)
    if change.kind == GRANT and not (right.reservation or change.moved) and is_crowded(query):
        return Drop("lease_limit", query.operation)
    return Commit(change, reply, query.operation)


def _reply(query: Query, resolved: Resolved, address: int, valid: int) -> Reply | None:
    policy = resolved.policy
    t1, t2 = timers(valid, policy.renew_time, policy.rebind_time)
    terms = Terms(v4.ACK, server_identifier(query), address, valid, t1, t2)
    payload = render(query, body_of(resolved, v4.ACK, query.packet.options.get(PARAMETER_REQUEST_LIST)), terms)
    if payload is None:
        return None
    return Reply(destination(query, terms), payload, query.operation, "ack")


def _nak(query: Query, address: int, subnet: Subnet | None, why: bytes) -> Action:
    """A NAK, after a check that what it rests on is still so."""
    selected = query.packet.options.get(SERVER_IDENTIFIER)
    identifier = server_identifier(query) if selected is None else int.from_bytes(selected, "big")
    terms = Terms(v4.NAK, identifier, message=why)
    payload = render(query, NAK_BODY, terms)
    if payload is None:
        return Drop("too_large", query.operation)
    reply = Reply(destination(query, terms), payload, query.operation, "nak")
    known = subnet is not None
    place = subnet or query.network.subnets[0]
    change = changes.check(query, place, address, query.row(address), client=known)
    return Commit(change, reply, query.operation)
