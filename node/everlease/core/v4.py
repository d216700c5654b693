"""DHCPv4: a packet and its circumstances go in, an Action comes out (RFC 2131 section 4.3).

The law of this file: `decide` reads and never writes; a message that it does not understand is dropped with a reason,
and storage trouble is silence, never a NAK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everlease.core import facts, notices, request
from everlease.core.actions import Action, Change, Drop
from everlease.core.answering import NOBODY, may_answer, selected_member
from everlease.core.discover import discover
from everlease.core.identity import PROBE, client_hash, client_key
from everlease.core.query import Query
from everlease.core.replies import server_identifier
from everlease.core.select import is_unicast, locate
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


def found_in_use(packet: Packet, situation: Situation, address: int) -> Change | None:
    """The change for an address that answered an echo before it was offered; None if it is not free any more."""
    query = understand(packet, situation)
    return None if isinstance(query, Drop) else notices.found_in_use(query, address)


def _is_ours(situation: Situation) -> bool:
    return situation.source == situation.local or any(situation.source == own for own, _ in situation.interface)


def understand(packet: Packet, situation: Situation) -> Query | Drop:
    """Who asks, from where, and which classes it is in; or why it gets no answer from anybody."""
    operation = operation_of(packet, situation)
    if packet.chaddr.startswith(PROBE):  # one of us looks for strangers; nothing is held or committed for it
        return Drop("probe", operation)
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


EXTENDED: Final = ("renew", "rebind")
"""What is answered without a quorum: clients in the other states keep what they have when nobody answers."""

STATES: Final[dict[str, Handler]] = {
    "request": request.selecting,
    "init_reboot": request.init_reboot,
    "renew": request.extend,
    "rebind": request.extend,
}
"""RFC 2131 section 4.3.6, table 4: the client's state decides how a REQUEST is answered."""


def _silence(query: Query, *, grants: bool, server: bytes | None = None) -> Drop | None:
    """Why this node is silent although somebody may answer; None if it speaks.

    grants: the answer would grant, renew or refuse, which a clock that is not trusted must not. server: option 54 of a
    message that names a server: that member comes first, and nobody answers for a stranger.
    """
    situation, packet = query.situation, query.packet
    selected = None
    if server is not None:
        selected = selected_member(situation, identifier := int.from_bytes(server, "big"))
        if selected is None:
            if identifier != server_identifier(query):
                return Drop("other_server", query.operation)
            selected = NOBODY  # the relay's own choice (RFC 5107): order alone decides
    if situation.extending and query.operation not in EXTENDED:
        return Drop("unavailable", query.operation)
    if grants and not situation.may_grant:
        return Drop("clock", query.operation)
    if packet.ciaddr and not packet.giaddr and is_unicast(situation):
        return None
    return None if may_answer(situation, query.hash & 255, selected) else Drop("not_owner", query.operation)


def _discover(query: Query) -> Action:
    return _silence(query, grants=True) or discover(query)


def _request(query: Query) -> Action:
    options = query.packet.options
    state = query.operation
    if state in ("request", "init_reboot") and REQUESTED_ADDRESS not in options:
        return Drop("malformed", state)
    server = options[SERVER_IDENTIFIER] if state == "request" else None
    silence = _silence(query, grants=True, server=server)
    if silence is not None and server is not None and not _is_mine(query, server):
        silence.declined = query.space, query.client
    return silence or STATES[state](query)


def _is_mine(query: Query, server: bytes) -> bool:
    situation = query.situation
    return selected_member(situation, int.from_bytes(server, "big")) in (situation.peers.me, NOBODY)


def _decline(query: Query) -> Action:
    server = query.packet.options.get(SERVER_IDENTIFIER)
    if server is None or REQUESTED_ADDRESS not in query.packet.options:
        return Drop("malformed", query.operation)
    return _silence(query, grants=True, server=server) or notices.decline(query)


def _release(query: Query) -> Action:
    server = query.packet.options.get(SERVER_IDENTIFIER)
    # RFC 2131 table 5 wants the identifier. systemd-networkd leaves it out; what it sends to us alone is meant for us.
    if not query.packet.ciaddr or (server is None and not is_unicast(query.situation)):
        return Drop("malformed", query.operation)
    return _silence(query, grants=False, server=server) or notices.release(query)


def _inform(query: Query) -> Action:
    if not query.packet.ciaddr:
        return Drop("malformed", query.operation)
    return _silence(query, grants=False) or notices.inform(query)


MESSAGES: Final[dict[int, Handler]] = {
    v4.DISCOVER: _discover,
    v4.REQUEST: _request,
    v4.DECLINE: _decline,
    v4.RELEASE: _release,
    v4.INFORM: _inform,
}
"""What clients send to a server (RFC 2131 table 2)."""
