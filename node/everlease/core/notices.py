"""What is told without asking for an address: DECLINE, RELEASE, INFORM (RFC 2131 sections 4.3.3 to 4.3.5), an echo.

The law of this file: only who matches in client key and address changes a record, and only a record that is alive; a
message that is forged, old or heard twice changes nothing.
"""

from __future__ import annotations

from typing import Final

from everlease.core import changes
from everlease.core.actions import Action, Change, Commit, Drop, Reply
from everlease.core.bodies import INFORM_ACK, PARAMETER_REQUEST_LIST, body_of
from everlease.core.lifecycle import BOUND, DECLINED, RELEASED, is_active
from everlease.core.model import DISABLED, Subnet
from everlease.core.plan import plan_of
from everlease.core.policy import policy_of
from everlease.core.query import TAKEN, Query, availability, holds, pool_at
from everlease.core.replies import Terms, destination, render, server_identifier
from everlease.core.select import subnet_in
from everlease.wire import v4

REQUESTED_ADDRESS: Final = 50


def decline(query: Query) -> Action:
    """The client found its address in use by somebody else: nobody gets it during its probation."""
    address = int.from_bytes(query.packet.options[REQUESTED_ADDRESS], "big")
    subnet, row = subnet_in(query.network, address), query.row(address)
    if subnet is None or row is None or row.client != query.client:
        return Drop("no_binding", query.operation)
    if row.state == DECLINED:
        return Drop("done", query.operation)
    if not is_active(row, query.situation.now):
        return Drop("no_binding", query.operation)
    if _is_parked(query, subnet):
        return Drop("probation_full", query.operation)
    policy = policy_of(query, subnet, pool_at(subnet, address), query.reservation(subnet)).policy
    change = changes.decline(query, subnet, address, row, policy.decline_probation)
    return Commit(change, None, query.operation)


def _is_parked(query: Query, subnet: Subnet) -> bool:
    """Whether so much of a subnet is on probation that another address would rather be an attack than bad luck."""
    config = query.situation.config
    most = max(config.limits.declined_share * plan_of(config, subnet).size, 1.0)
    return query.situation.view.declined(subnet.id) + 1 > most


def found_in_use(query: Query, address: int) -> Change | None:
    """An address that this client was to be offered answers to an echo: nobody gets it during its probation.

    None if it is somebody's by now, this client's included: then it is not for a probe to take it away.
    """
    subnet, row = subnet_in(query.network, address), query.row(address)
    if subnet is None or holds(query, row) or availability(query, address) == TAKEN:
        return None
    policy = policy_of(query, subnet, pool_at(subnet, address), query.reservation(subnet)).policy
    return changes.found_in_use(query, subnet, address, row, policy.decline_probation)


def release(query: Query) -> Action:
    """The client gives its address back."""
    address = query.packet.ciaddr
    subnet, row = subnet_in(query.network, address), query.row(address)
    if subnet is None or row is None or row.client != query.client:
        return Drop("no_binding", query.operation)
    if row.state == RELEASED:
        return Drop("done", query.operation)
    if row.state != BOUND:
        return Drop("no_binding", query.operation)
    return Commit(changes.release(query, subnet, address, row), None, query.operation)


def inform(query: Query) -> Action:
    """Parameters for a client that has its address from elsewhere (RFC 2131 section 4.3.5): no lease is looked at."""
    address = query.packet.ciaddr
    subnet = subnet_in(query.network, address)
    if subnet is None:
        return Drop("no_subnet", query.operation)
    if subnet.state == DISABLED:
        return Drop(DISABLED, query.operation)
    resolved = policy_of(query, subnet, pool_at(subnet, address), query.reservation(subnet))
    terms = Terms(v4.ACK, server_identifier(query))
    payload = render(query, body_of(resolved, INFORM_ACK, query.packet.options.get(PARAMETER_REQUEST_LIST)), terms)
    if payload is None:
        return Drop("too_large", query.operation)
    reply = Reply(destination(query, terms), payload, query.operation, "ack")
    if query.situation.fresh:
        return reply
    change = changes.check(query, subnet, address, query.row(address), client=False)
    return Commit(change, reply, query.operation)
