"""What clients were promised against what etcd holds: I1, I2, I4, I11.

Law: the client's side counts: what reached it, from when it asked. Zero tolerance for I1: there is one clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from everlease.core.lifecycle import BOUND, INFINITE
from everlease.store.records import BadRecord, decode_reservation, dotted
from faults.history.events import Commit
from faults.history.model import CLOCKS, History, Violation
from faults.history.promises import Promise, promises
from faults.history.replay import Change, changes

AUDITED = 15.0
"""Seconds in which a client that asks for its address again must have been answered (three copies)."""


def no_double_binding(history: History) -> Iterator[Violation]:
    """I1: no two clients' validity intervals for one address overlap, over all nodes and faults."""
    by_address: dict[str, list[Promise]] = defaultdict(list)
    for promise in promises(history):
        by_address[promise.ack.address].append(promise)
    for made in by_address.values():
        for earlier, later in overlaps([(each.ack.at, each.until, each.ack.client) for each in made]):
            one, other = made[earlier], made[later]
            where = history.faults_at(other.ack.at)
            yield Violation("I1", other.ack.at, f"{other}, while it was promised as {one}{where}")


def overlaps(intervals: list[tuple[float, float, str]]) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of indices of intervals [start, end) of different owners that overlap: for each later one
    that overlaps anything, the one that ends last. intervals: (start, end, owner), sorted by start.
    """
    nobody = (float("-inf"), -1, "")
    latest = other = nobody  # (end, index, owner) of the one that ends last so far, and of the last of another owner
    for number, (start, end, owner) in enumerate(intervals):
        rival = latest if latest[2] != owner else other
        if rival[0] > start and end > start:
            yield rival[1], number
        if end > latest[0]:
            other = latest if latest[2] != owner else other
            latest = (end, number, owner)
        elif owner != latest[2] and end > other[0]:
            other = (end, number, owner)


@dataclass(slots=True)
class _Backing:
    """The records that may stand behind a promise. line: the revision that the node named, None = its line is lost."""

    line: int | None
    versions: list[Change]
    in_time: list[Change]

    def expiry(self) -> int:
        """The latest end that was committed when the ACK left, seconds UTC."""
        return max((change.after.expires_at for change in self.in_time if change.after), default=0)


def _backings(history: History) -> Iterator[tuple[Promise, _Backing]]:
    bound: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes(history):
        if change.after is not None and change.after.state == BOUND:
            bound[change.address, change.after.client.hex()].append(change)
    for promise in promises(history):
        ack = promise.ack
        line = history.line_of(ack)
        versions = bound.get((ack.address, ack.client), [])
        if line is not None and line.revision:
            versions = [change for change in versions if change.commit.revision == line.revision]
        in_time = [change for change in versions if history.not_before(change.commit) <= ack.at]
        yield promise, _Backing(line.revision if line is not None else None, versions, in_time)


def every_ack_is_durable(history: History) -> Iterator[Violation]:
    """I2: a commit stands behind each ACK, older than the ACK; and clients that ask at the end still have it."""
    for promise, backing in _backings(history):
        where = history.faults_at(promise.ack.at)
        if not backing.versions or backing.line == 0:
            named = "" if backing.line is None else f", the node names revision {backing.line}"
            yield Violation("I2", promise.ack.at, f"{promise}: nothing of it was ever committed{named}{where}")
        elif not backing.in_time:
            revision = backing.versions[0].commit.revision
            yield Violation("I2", promise.ack.at, f"{promise}: was committed later, as revision {revision}{where}")
    yield from _audit(history)


def _audit(history: History) -> Iterator[Violation]:
    """After a mark "audit" who has an address asks for it again: each must have been told that it still is its own.

    Who has gone before, or goes meanwhile, does not ask.
    """
    for at, _ in history.marks("audit"):
        asked = {
            (each.client, each.address)
            for each in history.packets
            if each.kind == "REQUEST" and at <= each.at <= at + AUDITED
        }
        answered = {(p.ack.client, p.ack.address) for p in promises(history) if at <= p.ack.at <= at + AUDITED}
        for promise in promises(history):
            ack, held = promise.ack, (promise.ack.client, promise.ack.address)
            if ack.at < at and promise.until > at + AUDITED and held in asked and held not in answered:
                yield Violation("I2", at, f"{promise}: asked for it again at the end, and it was not confirmed")


def promised_is_committed(history: History) -> Iterator[Violation]:
    """I4: the end that a client works out is never later than the committed one."""
    for promise, backing in _backings(history):
        committed = backing.expiry()
        if backing.in_time and promise.ack.lifetime != INFINITE and promise.end > committed + CLOCKS:
            late = promise.end - committed
            yield Violation("I4", promise.ack.at, f"{promise}: ends {late:.1f} s after what is committed")


def reservations_are_exclusive(history: History) -> Iterator[Violation]:
    """I11: a reserved address goes to nobody else; who had it before keeps it to its end."""
    reserved = list(_reserved(history))
    held: dict[tuple[str, str], float] = {}
    for promise in promises(history):
        ack = promise.ack
        before = held.get((ack.client, ack.address), 0.0)
        for since, until, address, owners in reserved:
            mine = owners & {ack.mac.replace(":", ""), ack.client}
            kept = before and before >= since
            if address == ack.address and since + CLOCKS < ack.at < until and not mine and not kept:
                yield Violation("I11", ack.at, f"{promise}: it is reserved for {' or '.join(sorted(owners))}")
        held[ack.client, ack.address] = max(before, promise.until)


Reserved = tuple[float, float, str, set[str]]
"""(since, until, address, the owner as MAC or client key in hex)."""


def _reserved(history: History) -> Iterator[Reserved]:
    """By the first document, and by commits of the API; those for a relay's ports are left to the relay's own tests."""
    if history.config is not None and not _documents_changed(history):
        for subnet in history.config.subnets.values():
            for number, reservation in subnet.reserved.items():
                if owners := _owners(reservation.kind, reservation.value):
                    yield 0.0, float("inf"), dotted(number), owners
    begun: dict[str, tuple[float, str, set[str]]] = {}
    for commit in history.commits:
        if b"reservations" not in history.keys.parse(commit.key.encode())[:1]:
            continue
        if (open_ := begun.pop(commit.key, None)) is not None:
            yield open_[0], commit.at, open_[1], open_[2]
        if commit.value is not None and (made := _made(commit)) is not None:
            begun[commit.key] = (commit.at, *made)
    for since, address, owners in begun.values():
        yield since, float("inf"), address, owners


def _made(commit: Commit) -> tuple[str, set[str]] | None:
    try:
        record = decode_reservation((commit.value or "").encode(), commit.revision)
    except BadRecord:
        return None
    owners = _owners(record.kind, record.value)
    return (dotted(record.address), owners) if owners and record.address else None


def _documents_changed(history: History) -> bool:
    current = history.keys.config_current.decode()
    return sum(commit.key == current for commit in history.commits) > 1


def _owners(kind: str, value: bytes) -> set[str]:
    if kind == "hw-address":
        return {value[1:].hex()}
    return {(b"\x01" + value).hex()} if kind == "client-id" else set()
