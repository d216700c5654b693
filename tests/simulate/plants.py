"""Bugs that somebody could put into the service, each of which the simulation must find: its negative controls.

Law: a plant changes the service as one careless edit would, and nothing of the simulation. `finds` are the invariants
that may tell of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from everlease.core.actions import GRANT, TO_BROADCAST, Commit, Destination, Reply
from everlease.runtime import carrier, gate, lifeline, responder
from everlease.runtime.clock import ClusterClock
from everlease.runtime.committer import LOST
from everlease.runtime.exchange import Exchange
from everlease.runtime.responder import Responder
from everlease.store import txn, wire
from everlease.store.view import View
from everlease.wire import v4


@dataclass(frozen=True, slots=True)
class Plant:
    """sow: puts the bug in, for the rest of the process; finds: invariants that tell of it; faults: that bring it out.

    first: where to begin, so that it takes few seeds as long as nothing else changes.
    """

    sow: Callable[[], None]
    finds: str
    faults: str
    first: int = 1


def no_fence() -> None:
    """Batches are valid for ever, and under any configuration."""
    txn._outer = lambda _fences: b""
    txn._reads = lambda _fences: b""


def no_compare() -> None:
    """What the view shows is believed: the record of an address is not compared."""
    compare = wire.compare
    wire.compare = lambda key, expected: () if b"/leases/" in key else compare(key, expected)


def ack_before_commit() -> None:
    """The reply leaves with the commit, not after it."""
    commit = Responder._commit

    def early(self: Responder, exchange: Exchange, wanted: Commit) -> None:
        if wanted.then is not None:
            self._send(exchange, wanted.then)
        commit(self, exchange, Commit(wanted.change, None, wanted.operation))

    Responder._commit = early


def another_address_on_timeout() -> None:
    """A commit whose outcome is unknown is taken for failed: the client gets the next address."""
    carrier.PATIENCE = 0.0
    settled = Responder._settled

    def impatient(self: Responder, exchange: Exchange, commit: Commit, outcome: int) -> None:
        if outcome == LOST and commit.change.kind == GRANT and 50 in exchange.packet.options:
            wanted = int.from_bytes(exchange.packet.options[50], "big") + 1
            exchange.packet.options[50] = wanted.to_bytes(4, "big")
            self._decide_again(exchange, self._boot())
        else:
            settled(self, exchange, commit, outcome)

    Responder._settled = impatient


def nak_on_error() -> None:
    """Storage trouble is told to the client."""
    settled = Responder._settled

    def rude(self: Responder, exchange: Exchange, commit: Commit, outcome: int) -> None:
        if outcome == LOST and exchange.packet.message_type == v4.REQUEST:
            asked = exchange.packet
            options = {53: bytes((v4.NAK,)), 54: exchange.local.to_bytes(4, "big")}
            nak = v4.Packet(op=v4.BOOTREPLY, xid=asked.xid, chaddr=asked.chaddr, giaddr=asked.giaddr, options=options)
            to = Destination(TO_BROADCAST, 0xFFFFFFFF, 68)
            self._send(exchange, Reply(to, v4.build(nak), "request", "nak"))
        settled(self, exchange, commit, outcome)

    Responder._settled = rude


def local_clock() -> None:
    """Whether a binding has ended is read off the own wall clock."""

    def alone(self: ClusterClock, *_: Any) -> None:
        self.later = self.earlier = self.wall() - self.boot()

    ClusterClock.follow = alone
    ClusterClock.doubt = lambda _self, _margin: ""


def no_patience() -> None:
    """However old an answer is, it leaves."""
    responder.PATIENCE = carrier.PATIENCE = gate.STALE = lifeline.GAP = 1e9


def lost_event() -> None:
    """Who watches again begins one revision too late."""
    passed = View.passed

    def ahead(self: View, revision: int) -> None:
        passed(self, revision)
        self.revision = max(self.revision, revision + 1)

    View.passed = ahead


def late_release() -> None:
    """A RELEASE or REQUEST that was refused is decided again, on whatever its client has by now."""
    Responder._is_overtaken = lambda _self, _change: False


PLANTS: Final[dict[str, Plant]] = {
    "no-fence": Plant(no_fence, "I14", "F31"),
    "no-compare": Plant(no_compare, "I1 I8 I9 I12", "F5,F15,F21"),
    "ack-before-commit": Plant(ack_before_commit, "I2", "F1"),
    "another-address-on-timeout": Plant(another_address_on_timeout, "I6 I12", "F2,F5,F9"),
    "nak-on-error": Plant(nak_on_error, "I3", "F2,F5,F24", 176),
    "local-clock": Plant(local_clock, "I1 I4 I12 I15", "F22"),
    "no-patience": Plant(no_patience, "I5 I12", "F21", 51),
    "lost-event": Plant(lost_event, "I22", "F1,F2"),
    "late-release": Plant(late_release, "I12", "F5,F21", 301),
}
"""By name, for `--plant NAME`."""
