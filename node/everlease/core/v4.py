"""DHCPv4: a packet and its circumstances go in, an Action comes out (RFC 2131 section 4.3).

The law of this file: `decide` reads and never writes; a message that it does not understand is dropped with a reason,
and storage trouble is silence, never a NAK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everlease.core import changes, facts, request
from everlease.core.actions import Action, Commit, Drop, Reply
from everlease.core.answering import NOBODY, may_answer, selected_member
from everlease.core.bodies import INFORM_ACK, PARAMETER_REQUEST_LIST, body_of
from everlease.core.discover import discover
from everlease.core.identity import client_hash, client_key
from everlease.core.lifecycle import BOUND, DECLINED, RELEASED, is_active
from everlease.core.model import DISABLED
from everlease.core.policy import policy_of
from everlease.core.query import Query, pool_at
from everlease.core.replies import Terms, destination, render, server_identifier
from everlease.core.select import is_unicast, locate, subnet_in
from everlease.core.situation import Situation
from everlease.errors import WireError
from everlease.wire import relay4, v4
from everlease.wire.v4 import Packet

REQUESTED_ADDRESS: Final = 50
SERVER_IDENTIFIER: Final = 54

Handler = Callable[[Query], Action]


def decide(packet: Packet, situation: Situation) -> Action:
    """What to do about one message."""
    if packet.op != v4.BOOTREQUEST:
        return Drop("loop" if _is_ours(situation) else "not_a_request")
    handler = MESSAGES.get(packet.message_type)
    if handler is None:
        return Drop("bootp", "bootp") if packet.bootp else Drop("not_a_request")
    query = understand(packet, situation)
    return query if isinstance(query, Drop) else handler(query)


def _is_ours(situation: Situation) -> bool:
    return situation.source == situation.local or any(situation.source == own for own, _ in situation.interface)


def understand(packet: Packet, situation: Situation) -> Query | Drop:
    """Who asks, from where, and which classes it is in; or why it gets no answer from anybody."""
    operation = operation_of(packet, situation)
    place = locate(packet, situation)
    if isinstance(place, str):
        return Drop(place, operation)
    # One rule for a network: a client keeps its key wherever in a shared network its address lies.
    first = place.network.subnets[0]
    client = client_key(packet, first.client_identity)
    if not client:
        return Drop("malformed", operation)
    classes = situation.config.classes
    if classes:
        known = facts.facts(packet, place.relay, situation.link)
        classes = facts.classes_of(classes, known)
        if any(each.action == "drop" for each in classes):
            return Drop("class_drop", operation)
    return Query(packet, situation, place, operation, first.space, client, client_hash(client), classes)


OPERATION_NAMES: Final = {
    v4.DISCOVER: "discover",
    v4.DECLINE: "decline",
    v4.RELEASE: "release",
    v4.INFORM: "inform",
}


def operation_of(packet: Packet, situation: Situation) -> str:
    """The metric label of a message; for a REQUEST the client's state by RFC 2131 table 4."""
    kind = packet.message_type
    if kind != v4.REQUEST:
        return OPERATION_NAMES.get(kind, "other")
    options = packet.options
    if SERVER_IDENTIFIER in options and REQUESTED_ADDRESS in options:
        return "request"
    if not packet.ciaddr:
        return "init_reboot" if SERVER_IDENTIFIER not in options else "request"
    return "renew" if _came_by_unicast(packet, situation) else "rebind"


def _came_by_unicast(packet: Packet, situation: Situation) -> bool:
    if not packet.giaddr:
        return is_unicast(situation)
    try:
        # RFC 5010: the relay says how it heard the client; without that, a relayed message was broadcast.
        return relay4.received_by_unicast(relay4.parse(packet.options.get(82, b""))) is True
    except WireError:
        return False


STATES: Final[dict[str, Handler]] = {
    "request": request.selecting,
    "init_reboot": request.init_reboot,
    "renew": request.extend,
    "rebind": request.extend,
}
"""RFC 2131 section 4.3.6, table 4: the client's state decides how a REQUEST is answered."""


def _silence(query: Query, *, grants: bool) -> Drop | None:
    """Why this node is silent although somebody may answer; None if it speaks.

    grants: the answer would grant, renew or refuse, which a clock that is not trusted must not.
    """
    situation, packet = query.situation, query.packet
    if situation.extending and query.operation not in ("renew", "rebind"):
        return Drop("unavailable", query.operation)
    if grants and not situation.may_grant:
        return Drop("clock", query.operation)
    if packet.ciaddr and not packet.giaddr and is_unicast(situation):
        return None
    return None if may_answer(situation, query.hash & 255) else Drop("not_owner", query.operation)


def _silence_if_selected(query: Query, *, grants: bool) -> Drop | None:
    """The same for a message that names a server: that member comes first, and nobody answers for a stranger."""
    situation, packet = query.situation, query.packet
    identifier = int.from_bytes(packet.options[SERVER_IDENTIFIER], "big")
    member = selected_member(situation, identifier)
    if member is None:
        if identifier != server_identifier(query):
            return Drop("other_server", query.operation)
        member = NOBODY  # the relay's own choice (RFC 5107): order alone decides
    if situation.extending:
        return Drop("unavailable", query.operation)
    if grants and not situation.may_grant:
        return Drop("clock", query.operation)
    if packet.ciaddr and not packet.giaddr and is_unicast(situation):
        return None
    if may_answer(situation, query.hash & 255, member):
        return None
    return Drop("not_owner", query.operation)


def _discover(query: Query) -> Action:
    return _silence(query, grants=True) or discover(query)


def _request(query: Query) -> Action:
    options = query.packet.options
    if query.operation in ("request", "init_reboot") and REQUESTED_ADDRESS not in options:
        return Drop("malformed", query.operation)
    selecting = query.operation == "request"
    silence = _silence_if_selected(query, grants=True) if selecting else _silence(query, grants=True)
    return silence or STATES[query.operation](query)


def _decline(query: Query) -> Action:
    wanted = query.packet.options.get(REQUESTED_ADDRESS)
    if wanted is None or SERVER_IDENTIFIER not in query.packet.options:
        return Drop("malformed", query.operation)
    silence = _silence_if_selected(query, grants=True)
    if silence is not None:
        return silence
    address = int.from_bytes(wanted, "big")
    subnet, row = subnet_in(query.network, address), query.row(address)
    if subnet is None or row is None or row.client != query.client:
        return Drop("no_binding", query.operation)
    if row.state == DECLINED:
        return Drop("done", query.operation)
    if not is_active(row, query.situation.now):  # an old message, heard again
        return Drop("no_binding", query.operation)
    policy = policy_of(query, subnet, pool_at(subnet, address), query.reservation(subnet)).policy
    change = changes.decline(query, subnet, address, row, policy.decline_probation)
    return Commit(change, None, query.operation)


def _release(query: Query) -> Action:
    address = query.packet.ciaddr
    if not address or SERVER_IDENTIFIER not in query.packet.options:
        return Drop("malformed", query.operation)
    silence = _silence_if_selected(query, grants=False)
    if silence is not None:
        return silence
    subnet, row = subnet_in(query.network, address), query.row(address)
    if subnet is None or row is None or row.client != query.client:
        return Drop("no_binding", query.operation)
    if row.state == RELEASED:
        return Drop("done", query.operation)
    if row.state != BOUND:
        return Drop("no_binding", query.operation)
    return Commit(changes.release(query, subnet, address, row), None, query.operation)


def _inform(query: Query) -> Action:
    """Parameters for a client that has its address from elsewhere (RFC 2131 section 4.3.5): no lease is looked at."""
    address = query.packet.ciaddr
    if not address:
        return Drop("malformed", query.operation)
    silence = _silence(query, grants=False)
    if silence is not None:
        return silence
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


MESSAGES: Final[dict[int, Handler]] = {
    v4.DISCOVER: _discover,
    v4.REQUEST: _request,
    v4.DECLINE: _decline,
    v4.RELEASE: _release,
    v4.INFORM: _inform,
}
"""What clients send to a server (RFC 2131 table 2)."""
