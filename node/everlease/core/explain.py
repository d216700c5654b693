"""The operator's daily question: what would this client get, from whom, and why? Nothing is written.

The law of this file: every line comes from the functions that answer real packets; nothing is decided here a second
time.
"""

from __future__ import annotations

from dataclasses import dataclass

from everlease.core.actions import CHANGE_NAMES, Action, Commit, Drop, Reply
from everlease.core.answering import rank
from everlease.core.bodies import PARAMETER_REQUEST_LIST, parameters
from everlease.core.discover import Choice, choose, lifetime_for
from everlease.core.lifecycle import timers
from everlease.core.policy import policy_of
from everlease.core.query import TAKEN, Query, availability
from everlease.core.situation import Situation
from everlease.core.v4 import decide, understand
from everlease.wire.v4 import Packet


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address that was considered. source: by what claim; free: nobody else has it."""

    address: int
    source: str
    free: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision in the open. Addresses are ints, 0 = none; lifetimes in seconds.

    found_by: how the network was found (link-selection, subnet-selection, relay, giaddr, ciaddr, link, interface).
    source: by what claim the address is the client's (reservation, current binding, ..., pool). options: (code, value)
    in the order sent. answers: the members in the order in which they answer. action: what this node would do now:
    "reply", "commit grant", "drop not_owner"... reason: why nothing is given, "" if something is.
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


def explain(packet: Packet, situation: Situation) -> Explanation:
    """What a DISCOVER (or another message) of this client would come to."""
    action = decide(packet, situation)
    query = understand(packet, situation)
    if isinstance(query, Drop):
        return Explanation(query.operation, describe(action), reason=query.reason)
    choice = choose(query)
    known = {
        "network": query.network.name,
        "subnets": tuple(each.id for each in query.network.subnets),
        "found_by": query.place.how,
        "client": query.client,
        "bucket": query.hash & 255,
        "classes": tuple(each.name for each in query.classes),
        "candidates": tuple(_candidates(query)),
        "answers": rank(situation.peers, query.hash & 255),
    }
    given = {"reason": choice} if isinstance(choice, str) else _given(query, choice)
    return Explanation(query.operation, describe(action), **(known | given))  # type: ignore[arg-type]


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


def _candidates(query: Query) -> list[Candidate]:
    """The addresses that the client has a claim to, best claim first, free or not."""
    found: list[tuple[int, str]] = []
    view, situation = query.situation.view, query.situation
    for subnet in query.network.subnets:
        reservation = query.reservation(subnet)
        if reservation is not None and reservation.address:
            found.append((reservation.address, "reservation"))
    for subnet in query.network.subnets:
        address = view.address_of(subnet.space, subnet.id, query.client)
        if address:
            found.append((address, "binding"))
    held = situation.offers.of(query.space, query.client, situation.now)
    if held is not None:
        found.append((held.address, "on offer"))
    wanted = query.packet.options.get(50)
    if wanted is not None:
        found.append((int.from_bytes(wanted, "big"), "requested address"))
    return [Candidate(address, source, availability(query, address) != TAKEN) for address, source in found]
