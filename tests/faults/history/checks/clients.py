"""What clients may do to each other: I12.

Law: a binding that ends before its time has a reason that its own client sent, or an operator gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from everlease.core.lifecycle import BOUND, DECLINED, RELEASED
from faults.history.events import Packet
from faults.history.model import History, Violation
from faults.history.replay import Change, changes, states

SECOND = 1.0


def foreign_messages_free_nothing(history: History) -> Iterator[Violation]:
    """I12: only the client's own message ends its binding; a declined address is out for its probation on all nodes."""
    yield from _ended_by_others(history)
    yield from _used_in_probation(history)


def _ended_by_others(history: History) -> Iterator[Violation]:
    own: dict[tuple[str, str], list[Packet]] = defaultdict(list)
    for packet in history.packets:
        if packet.kind in ("RELEASE", "DECLINE"):
            own[packet.client, packet.address].append(packet)
    released = {address for _, address in history.marks("released")}
    for state in states(history):
        moved = {change.after.client for change in state.changes if change.after and change.after.state == BOUND}
        for change in state.changes:
            before, after = change.before, change.after
            if before is None or before.state != BOUND or after is None or after.state not in (RELEASED, DECLINED):
                continue
            sent = own.get((before.client.hex(), change.address), ())
            asked = any(packet.at <= change.commit.at for packet in sent)
            if not asked and before.client not in moved and change.address not in released:
                yield _violation(
                    history, change, f"{before.client.hex()} did not give {change.address} up, and lost it"
                )


def _used_in_probation(history: History) -> Iterator[Violation]:
    for change in changes(history):
        before, after = change.before, change.after
        if before is None or before.state != DECLINED or after is None or after.state != BOUND:
            continue
        if change.commit.at < before.expires_at - SECOND:
            yield _violation(history, change, f"{change.address} was declined, and is given to {after.client.hex()}")


def _violation(history: History, change: Change, what: str) -> Violation:
    at = change.commit.at
    return Violation("I12", at, f"{what}, at {change.commit.revision}{history.faults_at(at)}")
