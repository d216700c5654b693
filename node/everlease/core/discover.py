"""DISCOVER: which address a client is offered, and whether the offer must be committed first (RFC 2131 section 4.3.1).

Reservation > current binding > previous binding > what is on offer already > requested address > the pools.
The law of this file: an offer stays in memory only where nobody else would offer the same address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from everlease.core import changes
from everlease.core.actions import Action, Commit, Drop, Held, Reply
from everlease.core.allocate import ORDERED, allocate, is_scarce, own_mask
from everlease.core.bodies import PARAMETER_REQUEST_LIST, body_of
from everlease.core.crowding import is_crowded
from everlease.core.lifecycle import OFFERED, Row, lifetime, timers
from everlease.core.model import ACTIVE, DISABLED, DRAINING, Policy, Pool, Reservation, Subnet
from everlease.core.plan import plan_of
from everlease.core.policy import policy_of
from everlease.core.query import DENY, TAKEN, Query, availability, entitlement, holds
from everlease.core.replies import Terms, destination, render, server_identifier
from everlease.core.select import subnet_in
from everlease.wire import v4

RESERVATION: Final = "reservation"
CURRENT: Final = "current binding"
PREVIOUS: Final = "previous binding"
ON_OFFER: Final = "on offer"
REQUESTED: Final = "requested address"
POOL: Final = "pool"

_ENTITLED: Final = (RESERVATION, CURRENT)
"""Whose address is no more than they have, or were promised."""

RAPID_COMMIT: Final = 80
REQUESTED_ADDRESS: Final = 50
LIFETIME: Final = 51


class Choice(msgspec.Struct, gc=False):
    """The address for a client. source: one of RESERVATION..POOL; row: its record; alone: nobody else offers it."""

    subnet: Subnet
    address: int
    pool: Pool | None
    reservation: Reservation | None
    source: str
    row: Row | None
    alone: bool = True


def discover(query: Query) -> Action:
    """Answer a DISCOVER: an OFFER, by way of a commit where it needs one; an ACK for a rapid one (RFC 4039)."""
    choice = choose(query)
    if isinstance(choice, str):
        return Drop(choice, query.operation)
    if choice.source not in _ENTITLED and is_crowded(query):
        return Drop("lease_limit", query.operation)
    resolved = policy_of(query, choice.subnet, choice.pool, choice.reservation)
    policy = resolved.policy
    options = query.packet.options
    valid = lifetime_for(query, policy)
    rapid = policy.rapid_commit and RAPID_COMMIT in options
    t1, t2 = timers(valid, policy.renew_time, policy.rebind_time)
    kind = v4.ACK if rapid else v4.OFFER
    terms = Terms(kind, server_identifier(query), choice.address, valid, t1, t2, rapid=rapid)
    payload = render(query, body_of(resolved, kind, options.get(PARAMETER_REQUEST_LIST)), terms)
    if payload is None:
        return Drop("too_large", query.operation)
    reply = Reply(destination(query, terms), payload, query.operation, "ack" if rapid else "offer")
    if rapid:
        change = changes.bind(query, choice.subnet, choice.address, choice.row, valid)
        return Commit(change, reply, query.operation)
    return _offer(query, choice, policy, valid, reply)


def _offer(query: Query, choice: Choice, policy: Policy, valid: int, reply: Reply) -> Action:
    subnet, address, row = choice.subnet, choice.address, choice.row
    if choice.source != CURRENT:
        until = query.situation.now + policy.offer_lifetime
        reply.hold = Held(subnet.space, address, query.client, subnet.id, until)
        if policy.ping_check.enabled:
            reply.ping = policy.ping_check
        if not choice.alone and not _is_on_record(query, row, policy):
            lifetimes = (valid, policy.offer_lifetime)
            return Commit(changes.offer(query, subnet, address, row, lifetimes), reply, query.operation)
    if query.situation.fresh:
        return reply
    return Commit(changes.check(query, subnet, address, row), reply, query.operation)


def _is_on_record(query: Query, row: Row | None, policy: Policy) -> bool:
    """Whether an earlier copy of this DISCOVER has had the offer committed, with most of its time left."""
    return (
        row is not None
        and row.state == OFFERED
        and row.client == query.client
        and row.expires_at - query.situation.now > policy.offer_lifetime / 2
    )


def lifetime_for(query: Query, policy: Policy) -> int:
    """The valid lifetime to tell this client."""
    return lifetime(
        query.packet.options.get(LIFETIME),
        policy.valid_lifetime,
        policy.min_valid_lifetime,
        policy.max_valid_lifetime,
    )


def choose(query: Query) -> Choice | str:
    """The address for a client that asks for any, or the reason for silence."""
    active = [subnet for subnet in query.network.subnets if subnet.state == ACTIVE]
    if not active:
        return DRAINING if any(each.state == DRAINING for each in query.network.subnets) else DISABLED
    for choice in _wishes(query, active):
        if choice is not None:
            return choice
    open_ = [each for each in active if each.unknown_clients != DENY or query.reservation(each) is not None]
    if not open_:
        return "unknown_client"
    spot = allocate(query, open_)
    if spot is None:
        return _why_none(query, open_)
    row = query.row(spot.address)
    return Choice(spot.subnet, spot.address, spot.pool, query.reservation(spot.subnet), POOL, row, spot.alone)


def _why_none(query: Query, subnets: list[Subnet]) -> str:
    """Used up, or shut: the pools that the client may use all drain, or are disabled."""
    states = {pool.state for subnet in subnets for pool in subnet.pools if query.allows(pool)}
    if ACTIVE in states or not states:
        return "no_address"
    return DRAINING if DRAINING in states else DISABLED


def _wishes(query: Query, active: list[Subnet]) -> Iterator[Choice | None]:
    """What the client has a claim to, best first; nothing is looked up before it is needed."""
    for subnet in active:
        reservation = query.reservation(subnet)
        if reservation is not None and reservation.address:
            yield _if_free(query, subnet, reservation.address, RESERVATION)
    view, client = query.situation.view, query.client
    past = []
    for subnet in active:
        address = view.address_of(subnet.space, subnet.id, client)
        if address:
            if holds(query, query.row(address)):
                yield _if_free(query, subnet, address, CURRENT)
            past.append((subnet, address))
    for subnet, address in past:
        yield _previous(query, subnet, address)
    held = query.situation.offers.of(query.space, client, query.situation.now)
    if held is not None:
        yield _elsewhere(query, held.address, ON_OFFER)
    wanted = query.packet.options.get(REQUESTED_ADDRESS)
    if wanted is not None:
        yield _elsewhere(query, int.from_bytes(wanted, "big"), REQUESTED)


def _previous(query: Query, subnet: Subnet, address: int) -> Choice | None:
    row = query.row(address)
    if row is None or row.client != query.client:
        return None
    return _if_free(query, subnet, address, PREVIOUS)


def _elsewhere(query: Query, address: int, source: str) -> Choice | None:
    subnet = subnet_in(query.network, address)
    if subnet is None or subnet.state != ACTIVE:
        return None
    return _if_free(query, subnet, address, source)


def _if_free(query: Query, subnet: Subnet, address: int, source: str) -> Choice | None:
    """The choice of an address that the client may have and nobody else has."""
    if not subnet.holds(address) or availability(query, address) == TAKEN:
        return None
    right = entitlement(query, subnet, address)
    if right is None or right.state(subnet, address) != ACTIVE:
        return None
    row = query.row(address)
    if source != CURRENT and holds(query, row):
        source = CURRENT
    choice = Choice(subnet, address, right.pool, right.reservation, source, row)
    if source not in (RESERVATION, CURRENT):
        choice.alone = _is_alone(query, choice)
    return choice


def _is_alone(query: Query, choice: Choice) -> bool:
    """Whether an offer may stay in memory: this node owns the bucket, and has plenty to offer."""
    if choice.reservation is not None and choice.reservation.address == choice.address:
        return True
    subnet, pool, address = choice.subnet, choice.pool, choice.address
    if pool is None or subnet.allocator == ORDERED or not own_mask(query, address >> 8) >> (address & 255) & 1:
        return False
    for plan in plan_of(query.situation.config, subnet).pools:
        if plan.pool is pool:
            return not is_scarce(query, subnet, plan, address)
    return False
