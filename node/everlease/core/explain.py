"""The operator's daily question: what would this client get, from whom, and why? Nothing is written.

The law of this file: every line comes from the functions that answer real packets; nothing is decided here a second
time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import structs

from everlease.core.actions import CHANGE_NAMES, Action, Commit, Drop, Reply
from everlease.core.answering import owned_mask, rank
from everlease.core.bodies import PARAMETER_REQUEST_LIST, parameters
from everlease.core.discover import Choice, choose, lifetime_for
from everlease.core.lifecycle import timers
from everlease.core.model import Reservation
from everlease.core.policy import policy_of
from everlease.core.query import TAKEN, Query, availability
from everlease.core.situation import ALL_BUCKETS, Peers, Situation
from everlease.core.v4 import decide, understand
from everlease.wire.v4 import Packet, parse


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address that was considered. source: by what claim, in which subnet (0 = in any); free: nobody else has it."""

    address: int
    source: str
    free: bool
    subnet: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision in the open. Addresses are ints, 0 = none; lifetimes in seconds.

    found_by: how the network was found (link-selection, subnet-selection, relay, giaddr, ciaddr, link, interface).
    reservations: (subnet id, the client's reservation there). source: by what claim the address is the client's
    (reservation, current binding, ..., pool). options: (code, value) of the parameters in the order sent. answers: the
    members in the order in which they answer. action: what this node would do now: "reply", "commit grant", "drop
    not_owner"... reason: why nothing is given, "" if something is. silence: why this node says nothing, "" if it
    speaks. answer: the message that it would send, None = nothing.
    """

    operation: str
    action: str
    reason: str = ""
    network: str = ""
    subnets: tuple[int, ...] = ()
    found_by: str = ""
    client: bytes = b""
    bucket: int = 0
    classes: tuple[str, ...] = ()
    reservations: tuple[tuple[int, Reservation], ...] = ()
    candidates: tuple[Candidate, ...] = ()
    subnet: int = 0
    address: int = 0
    source: str = ""
    reservation: str = ""
    valid: int = 0
    t1: int = 0
    t2: int = 0
    options: tuple[tuple[int, bytes], ...] = ()
    answers: tuple[str, ...] = ()
    silence: str = ""
    answer: Packet | None = None


def explain_first(packet: Packet, situation: Situation) -> Explanation:
    """`explain`, as the candidate that answers this client first would."""
    query = understand(packet, situation)
    if isinstance(query, Drop):
        return _unheard(query)
    first = rank(situation.peers, query.hash & 255)[0]
    return explain(packet, structs.replace(situation, peers=seen_by(first, situation.peers)))


def seen_by(name: str, peers: Peers) -> Peers:
    """The same candidates from another one's point of view."""
    owned = owned_mask(peers.order, name) if len(peers.names) > 1 else ALL_BUCKETS
    return replace(peers, me=name, owned=owned)


def explain(packet: Packet, situation: Situation) -> Explanation:
    """What a DISCOVER (or another message) of this client would come to."""
    query = understand(packet, situation)
    if isinstance(query, Drop):
        return _unheard(query)
    action = decide(packet, situation)
    choice = choose(query)
    known = {
        "network": query.network.name,
        "subnets": tuple(each.id for each in query.network.subnets),
        "found_by": query.place.how,
        "client": query.client,
        "bucket": query.hash & 255,
        "classes": tuple(each.name for each in query.classes),
        "reservations": tuple(_reservations(query)),
        "candidates": tuple(_candidates(query)),
        "answers": rank(situation.peers, query.hash & 255),
        "silence": action.reason if isinstance(action, Drop) else "",
        "answer": _message(action),
    }
    given = {"reason": choice} if isinstance(choice, str) else _given(query, choice)
    return Explanation(query.operation, describe(action), **(known | given))  # type: ignore[arg-type]


def _unheard(drop: Drop) -> Explanation:
    return Explanation(drop.operation, describe(drop), reason=drop.reason, silence=drop.reason)


def _message(action: Action) -> Packet | None:
    reply = action.then if isinstance(action, Commit) else action
    return parse(reply.payload) if isinstance(reply, Reply) else None


def describe(action: Action) -> str:
    """An action in words: "reply offer", "commit grant, then ack", "drop not_owner"."""
    if isinstance(action, Drop):
        return f"drop {action.reason}"
    if isinstance(action, Reply):
        return f"reply {action.result}"
    then = f", then {action.then.result}" if action.then is not None else ""
    assert isinstance(action, Commit)
    return f"commit {CHANGE_NAMES[action.change.kind]}{then}"


def _given(query: Query, choice: Choice) -> dict[str, object]:
    policy = policy_of(query, choice.subnet, choice.pool, choice.reservation).policy
    valid = lifetime_for(query, policy)
    t1, t2 = timers(valid, policy.renew_time, policy.rebind_time)
    kept = choice.reservation
    return {
        "subnet": choice.subnet.id,
        "address": choice.address,
        "source": choice.source,
        "reservation": f"{kept.kind} {kept.value.hex(':')} ({kept.source})" if kept is not None else "",
        "valid": valid,
        "t1": t1,
        "t2": t2,
        "options": tuple(parameters(policy, query.packet.options.get(PARAMETER_REQUEST_LIST))),
    }


def _reservations(query: Query) -> list[tuple[int, Reservation]]:
    return [(each.id, kept) for each in query.network.subnets if (kept := query.reservation(each)) is not None]


def _candidates(query: Query) -> list[Candidate]:
    """The addresses that the client has a claim to, best claim first, free or not."""
    view, situation = query.situation.view, query.situation
    found = [(kept.address, "reservation", subnet) for subnet, kept in _reservations(query) if kept.address]
    for subnet in query.network.subnets:
        address = view.address_of(subnet.space, subnet.id, query.client)
        if address:
            found.append((address, "binding", subnet.id))
    held = situation.offers.of(query.space, query.client, situation.now)
    if held is not None:
        found.append((held.address, "on offer", held.subnet))
    wanted = query.packet.options.get(50)
    if wanted is not None:
        found.append((int.from_bytes(wanted, "big"), "requested address", 0))
    return [Candidate(address, source, availability(query, address) != TAKEN, at) for address, source, at in found]
