"""Bindings that an operator makes, by the rules and with the compares of those that clients ask for.

The law of this file: an operator may give a client any address that the configuration lets it have, and none that
somebody else was promised. Classes are not asked: only a client's own messages tell which it is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from everlease.core import changes
from everlease.core.actions import Change
from everlease.core.identity import client_hash, client_key
from everlease.core.lifecycle import BOUND, Row, is_reusable
from everlease.core.model import Subnet
from everlease.core.policy import policy_of
from everlease.core.query import DENY, TAKEN, Query, availability, pool_at, reservation_at
from everlease.core.select import NO_RELAY, Place
from everlease.core.situation import Situation
from everlease.wire.v4 import Packet

NO_PLACE, RESERVED, HELD, ELSEWHERE, UNKNOWN = range(5)
"""Why not: in no pool; kept for somebody else; somebody else's, or on probation; the client has another address; its
subnet serves reserved clients only."""

OPERATOR: Final = "operator"


@dataclass(slots=True)
class Denied:
    """Why an address is not to be had. address, row: the one in the way and its record, if there is one."""

    why: int
    address: int
    row: Row | None = None


def asked_for(packet: Packet, situation: Situation, subnet: Subnet) -> Query:
    """The client that a packet names, as if it were heard in the network of a subnet."""
    network = situation.config.network_of[subnet.id]
    first = network.subnets[0]
    client = client_key(packet, first.client_identity)
    place = Place(network, OPERATOR, NO_RELAY)
    return Query(packet, situation, place, "request", first.space, client, client_hash(client), ())


def bind(query: Query, subnet: Subnet, address: int, valid: int | None) -> Change | Denied:
    """The binding of an address to the client; valid: lifetime in seconds, None = the subnet's."""
    kept, pool = reservation_at(query, subnet, address), pool_at(subnet, address)
    if kept is not None and not query.is_named_by(kept):
        return Denied(RESERVED, address)
    if kept is None and pool is None:
        return Denied(NO_PLACE, address)
    if subnet.unknown_clients == DENY and query.reservation(subnet) is None:
        return Denied(UNKNOWN, address)
    row = query.row(address)
    if availability(query, address) == TAKEN:
        return Denied(HELD, address, row)
    other = _bound_elsewhere(query, address)
    if other is not None:
        return other
    if valid is None:
        valid = policy_of(query, subnet, pool, kept or query.reservation(subnet)).policy.valid_lifetime
    return changes.bind(query, subnet, address, row, valid)


def _bound_elsewhere(query: Query, address: int) -> Denied | None:
    """Another binding of this client in its network: who moves by itself gives it up, this client may not know."""
    margin = query.situation.config.cluster.clock_margin
    for _, held in changes.indexes(query):
        row = query.row(held) if held and held != address else None
        if row is None or row.client != query.client or row.state != BOUND:
            continue
        if not is_reusable(row, query.situation.reuse_now, margin):
            return Denied(ELSEWHERE, held, row)
    return None
