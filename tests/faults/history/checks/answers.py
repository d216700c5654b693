"""Each answer against what was asked: I3, I5, I7, I10, I13, I21.

Law: only packets and the first document count here; a fault beside a violation is named, never an excuse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from everlease.core.lifecycle import INFINITE
from everlease.core.model import Subnet
from everlease.store.records import undotted
from faults.history.events import Packet
from faults.history.model import CLOCKS, History, Violation
from faults.history.promises import Promise, promises

STALE_AFTER = 5.0
"""D of I5: seconds after its transaction was started at which an ACK must have left (runtime.carrier.PATIENCE)."""

QUEUED = 2.0
"""Seconds that a packet may have waited in the socket before (runtime.gate.STALE)."""


def trouble_is_silence(history: History) -> Iterator[Violation]:
    """I3: no NAK to a client about an address for which it has a valid promise."""
    made: dict[tuple[str, str], list[Promise]] = defaultdict(list)
    for promise in promises(history):
        made[promise.ack.client, promise.ack.address].append(promise)
    for nak in history.packets:
        request = history.asked(nak) if nak.kind == "NAK" else None
        if request is None:
            continue
        held = [each for each in made[nak.client, request.address] if each.ack.at <= nak.at < each.until]
        if held and not _taken_away(history, request.address, nak.at):
            where = history.faults_at(nak.at)
            yield Violation("I3", nak.at, f"{nak.node} refused {request.address}, promised as {held[-1]}{where}")


def _taken_away(history: History, address: str, at: float) -> bool:
    """Whether an operator took it: a reservation for somebody else is a NAK at renewal."""
    return any(given == address and since <= at for since, given in history.marks("reserved"))


def no_stale_answer(history: History) -> Iterator[Violation]:
    """I5: an ACK leaves at most 5 s after its transaction was started."""
    for ack in history.packets:
        if ack.kind != "ACK":
            continue
        request, line = history.asked(ack), history.line_of(ack)
        where = history.faults_at(ack.at)
        if line is not None and line.committing > STALE_AFTER + CLOCKS:
            yield Violation("I5", ack.at, f"{ack.node} told {ack.address} after {line.committing:.1f} s{where}")
        elif request is not None and ack.at - request.at > STALE_AFTER + QUEUED + CLOCKS:
            waited = ack.at - request.at
            yield Violation("I5", ack.at, f"{ack.node} told {ack.address} {waited:.1f} s after it was asked{where}")


def same_request_same_answer(history: History) -> Iterator[Violation]:
    """I7: all ACKs to the copies of one request, from whichever nodes, give the same address."""
    given: dict[tuple[str, int], Packet] = {}
    for ack in history.packets:
        if ack.kind != "ACK":
            continue
        first = given.setdefault((ack.client, ack.xid), ack)
        if first.address != ack.address:
            what = f"{first.node} gave {ack.client} {first.address}, {ack.node} gave it {ack.address}"
            yield Violation("I7", ack.at, f"{what} for the same request{history.faults_at(ack.at)}")


def stickiness(history: History) -> Iterator[Violation]:
    """I10: a renewal, rebinding or reboot is confirmed for the address that it names, or not at all."""
    for ack in history.packets:
        request = history.asked(ack) if ack.kind == "ACK" else None
        if request is not None and request.address and request.address != ack.address:
            what = f"{ack.client} asked for {request.address}, {ack.node} gave it {ack.address}"
            yield Violation("I10", ack.at, what + history.faults_at(ack.at))


def right_pool_and_options(history: History) -> Iterator[Violation]:
    """I13: the address lies in a subnet of the link or relay that the client is on; and one configuration says the same
    to everybody who asks for the same options there.
    """
    said: dict[tuple[int, int, str], Packet] = {}
    for ack in history.packets:
        request = history.asked(ack) if ack.kind == "ACK" else None
        if request is None or history.config is None or ack.lifetime < 0:
            continue
        subnet = next((each for each in _subnets(history, ack) if _holds(each, undotted(ack.address))), None)
        if subnet is None:
            yield Violation(
                "I13", ack.at, f"{ack.node} gave {ack.address} to {ack.client} on {ack.place}: no pool of it"
            )
            continue
        line = history.line_of(ack)
        if line is None or _is_special(subnet, undotted(ack.address)):
            continue
        first = said.setdefault((subnet.id, line.config, request.asked_for), ack)
        if first.rest != ack.rest:
            what = f"{first.node} and {ack.node} told {first.client} and {ack.client} different options"
            yield Violation("I13", ack.at, f"{what} by configuration {line.config}")


def _subnets(history: History, ack: Packet) -> list[Subnet]:
    """The subnets of the client's network: by its relay, else by its link."""
    config = history.config
    assert config is not None
    giaddr, link = undotted(ack.giaddr), history.setup.places.get(ack.place, "")
    if giaddr:
        return [each for each in config.subnets.values() if _covers(each, giaddr) or giaddr in each.relays]
    if not link:
        return list(config.subnets.values())  # behind a relay that is not ours to see
    return [each for each in config.subnets.values() if each.link == link]


def _covers(subnet: Subnet, address: int) -> bool:
    return address >> (32 - subnet.length) == subnet.prefix >> (32 - subnet.length)


def _holds(subnet: Subnet, address: int) -> bool:
    pooled = any(first <= address <= last for pool in subnet.pools for first, last in pool.ranges)
    return pooled or address in subnet.reserved


def _is_special(subnet: Subnet, address: int) -> bool:
    """Whether a reservation may say something else than the subnet does."""
    reservation = subnet.reserved.get(address)
    return reservation is not None and bool(reservation.parameters.options or reservation.hostname)


def lifetimes_are_in_order(history: History) -> Iterator[Violation]:
    """I21, as far as DHCPv4 has it: T1 <= T2 <= lifetime, and no endless lease unless the document says so.

    What it says of DHCPv6 (preferred <= valid, status codes) is for the suite of that family.
    """
    for ack in history.packets:
        if ack.kind != "ACK" or ack.lifetime < 0:
            continue
        t1, t2 = (ack.lifetime if timer < 0 else timer for timer in (ack.t1, ack.t2))
        if not t1 <= t2 <= ack.lifetime:
            yield Violation("I21", ack.at, f"{ack.node}: T1 {ack.t1}, T2 {ack.t2}, lifetime {ack.lifetime}")
        if ack.lifetime == INFINITE and not _endless(history):
            yield Violation("I21", ack.at, f"{ack.node} gave {ack.address} for ever")


def _endless(history: History) -> bool:
    document = history.setup.document
    return "infinite" in document or str(INFINITE) in document
