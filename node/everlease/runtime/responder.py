"""The hot path: a packet comes in, is parsed, decided and answered; or its change is committed first.

The law of this file: **a reply that depends on a change leaves after the commit is confirmed**, never before, and never
later than 5 s after the change was started. Nothing here waits, logs or raises because of a packet; silence is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everlease.core.actions import DECLINE, DROP, GRANT, RELEASE, RENEW, UNREAD, Action, Change, Commit, Reply
from everlease.core.heard import Heard, kind_of
from everlease.core.identity import heard_key
from everlease.core.model import Config
from everlease.core.select import accepts_relay
from everlease.core.situation import Situation
from everlease.core.v4 import decide
from everlease.errors import WireError
from everlease.runtime.carrier import PATIENCE
from everlease.runtime.committer import COMMITTED, FENCED, LOST
from everlease.runtime.drops import Drops
from everlease.runtime.exchange import Exchange, Options, account, leave, local_address
from everlease.runtime.gate import Gate
from everlease.runtime.ledger import Ledger
from everlease.runtime.lifeline import EXTENDING
from everlease.runtime.ping import Desk, PingChecks
from everlease.runtime.rescues import Rescues
from everlease.runtime.rooms import Rooms
from everlease.runtime.sockets import Datagram, Endpoint
from everlease.wire.v4 import parse

DRAIN: Final = 32
"""Packets per wake-up of a socket: 30 us for a DISCOVER, 50 us for a REQUEST; then the others have their turn."""

PROMISES: Final = (GRANT, RENEW, RELEASE, DECLINE)
"""Kinds of change that make or end what a client was promised."""

DECISIONS: Final = 3
"""A refused change is decided again at most twice: by then somebody else is being served from the same address."""


class Responder:
    """Answers packets. `enter` the rooms first, then give each endpoint's `reader` to the loop.

    ledger: told of each ACK that left, None = nobody is (runtime.ledger).
    """

    def __init__(self, options: Options, gate: Gate) -> None:
        self._options = options
        self.gate = gate
        self._heard = Heard()
        self._in_flight: dict[tuple[str, bytes, int, int], Exchange] = {}
        self._relay = 0
        self.ledger: Ledger | None = None

    def enter(self, rooms: Rooms) -> None:
        """Take the rooms that decisions read and actions write."""
        self._rooms = rooms
        self._boot = rooms.clock.boot
        self._view, self._offers, self._lifeline = rooms.view, rooms.offers, rooms.lifeline
        self._clock, self._configuration = rooms.clock, rooms.configuration
        self._counters = rooms.counters
        self.drops = Drops(rooms.counters)
        self._membership = rooms.membership
        self._rescues = Rescues(rooms.membership, rooms.counters, lambda: self.gate.was_behind(self._boot()))
        desk = Desk(self._situation, self._send, self._decide_again, self._drop)
        self.ping_checks = PingChecks(rooms, desk)

    @property
    def answers_all(self) -> bool:
        """`--answer all`: what comes here comes to no other node."""
        return self._options.answer_all

    def reader(self, endpoint: Endpoint) -> Callable[[], None]:
        """The callback for `loop.add_reader(endpoint.fileno(), ...)`."""
        return lambda: self.drain(endpoint)

    def drain(self, endpoint: Endpoint) -> None:
        """Answer what is waiting in one socket, at most `DRAIN` packets."""
        now = self._boot()
        self._lifeline.beat(now)
        self.gate.queue = self._rooms.committer.length
        self._relay = 0
        for datagram in endpoint.receive(DRAIN):
            refusal = self.gate.refuses(datagram, now) or self._receive(endpoint, datagram)
            if refusal:
                self._counters.received[UNREAD] += 1
                self._counters.dropped[refusal] += 1

    def _receive(self, endpoint: Endpoint, datagram: Datagram) -> str:
        """Parse and decide; returns why not, or ""."""
        now = self._boot()
        local = local_address(endpoint, datagram)
        config = self._configuration.current
        if config is None or not (local or self._options.server_identifier):
            return "unavailable"
        try:
            packet = parse(datagram.data)
        except WireError as error:
            return error.reason
        relay, link = packet.giaddr, endpoint.label or ""
        if refusal := self.gate.refuses_message(packet, link, now):
            return refusal
        if relay != self._relay:  # once a wake-up, for most of its packets come by one relay
            self._hear(relay, config, now)
        # What came to this node alone (a renewal) says nothing of what the others heard.
        alone = packet.ciaddr and not relay and datagram.destination == local
        copies = 1 if alone else self._heard.note(heard_key(packet), relay or link, kind_of(packet), now)
        if copies > 2 and self.gate.was_behind(now):
            copies = 2  # everybody's answer to everybody is no help against a flood
        peers = self._membership.peers(link, relay)
        exchange = Exchange(endpoint, datagram, packet, local, copies, config, peers, now)
        exchange.marked = now
        if copies > 1:
            exchange.asked_at = self._heard.first_at(heard_key(packet), relay or link, kind_of(packet))
        operation = self._decide(exchange, now)
        self._counters.received[operation] += 1
        return ""

    def _hear(self, relay: int, config: Config, now: float) -> None:
        self._relay = relay
        if relay and accepts_relay(config, relay):  # a stranger's giaddr must not push a true one out of presence
            self._membership.hear_relay(relay, now)

    def _decide(self, exchange: Exchange, now: float) -> str:
        action = decide(exchange.packet, self._situation(exchange, now))
        exchange.decided(self._boot())
        self._perform(exchange, action)
        return action.operation

    def _situation(self, exchange: Exchange, now: float) -> Situation:
        endpoint, datagram, options = exchange.endpoint, exchange.datagram, self._options
        view, lifeline, clock = self._view, self._lifeline, self._clock
        return Situation(
            now + clock.later, now + clock.earlier, exchange.config, view, self._offers, exchange.peers,
            endpoint.label, endpoint.interface, options.server_identifier or exchange.local,
            datagram.source, datagram.source_port, datagram.destination, datagram.hardware, endpoint.mtu,
            exchange.copies, lifeline.fresh(now), lifeline.state == EXTENDING, lifeline.clock_ok,
            options.answer_all, options.reply_to_source, view.ghosts,
        )  # fmt: skip

    def _perform(self, exchange: Exchange, action: Action) -> None:
        if isinstance(action, Commit):
            self._commit(exchange, action)
        elif isinstance(action, Reply):
            self._send(exchange, action)
        else:
            if action.declined is not None:
                self._rooms.offers.forget(*action.declined)
            self._drop(exchange, action.operation, action.reason)

    def _commit(self, exchange: Exchange, commit: Commit) -> None:
        change = commit.change
        mark = (change.space, change.client, change.kind, change.address)
        first = self._in_flight.get(mark)
        if first is not None:
            self._follow(first, exchange, commit.operation)
            return
        exchange.commit = commit

        def settled(outcome: int) -> None:
            del self._in_flight[mark]
            if outcome != COMMITTED:
                self._let_go(commit.then)
            self._settled(exchange, commit, outcome)
            if exchange.follower is not None:
                self._answer_follower(exchange, commit.operation)

        ticket = self._rooms.committer.submit(change, exchange.config, exchange.started, settled)
        if ticket is not None:
            exchange.ticket = ticket
            self._in_flight[mark] = exchange
            self._hold(commit.then)  # already now: the next packet of this wake-up must not be offered it as well
        else:
            self._drop(exchange, commit.operation, "overload")

    def _follow(self, first: Exchange, exchange: Exchange, operation: str) -> None:
        """A mere copy is dropped. Who begins anew, as by broadcast at T2, wants no answer to what it asked before."""
        before = first.follower or first
        if exchange.packet.xid == before.packet.xid:
            self._drop(exchange, operation, "duplicate")
            return
        if first.follower is not None:
            self._drop(first.follower, operation, "duplicate")
        first.follower = exchange

    def _answer_follower(self, first: Exchange, operation: str) -> None:
        follower, first.follower = first.follower, None
        assert follower is not None
        now = self._boot()
        if now - follower.started > PATIENCE:
            self._drop(follower, operation, "unavailable")
        else:
            self._decide_again(follower, now)

    def _settled(self, exchange: Exchange, commit: Commit, outcome: int) -> None:
        now = self._boot()
        exchange.settled(now)
        if outcome == LOST or now - exchange.started > PATIENCE:
            self._drop(exchange, commit.operation, "unavailable")
        elif outcome == COMMITTED:
            self._committed(exchange, commit)
        elif self._is_overtaken(commit.change):
            self._drop(exchange, commit.operation, "conflict")
        elif outcome == FENCED or exchange.refused < DECISIONS - 1:
            exchange.refused += outcome != FENCED
            self._decide_again(exchange, now)
        else:
            self._drop(exchange, commit.operation, "conflict")

    def _is_overtaken(self, change: Change) -> bool:
        """Whether its client has been served by another node since: what it asked for then it does not want any more.

        A RELEASE would free, and a grant would move it away from, what it uses now. If it does want that it asks again.
        """
        view = self._rooms.view
        if change.kind in (RELEASE, DECLINE):
            row = view.row(change.space, change.address)
            return row is None or row.revision != change.expected
        known = ((held, view.address_of(change.space, subnet, change.client)) for subnet, held in change.indexes)
        return change.kind == GRANT and any(now not in (0, held, change.address) for held, now in known)

    def _committed(self, exchange: Exchange, commit: Commit) -> None:
        change = commit.change
        self._rescues.committed(change, exchange)
        if change.kind in PROMISES:
            self._counters.changed(change.subnet, change.kind, relayed=exchange.packet.giaddr != 0)
        if change.kind == GRANT:
            self._rooms.offers.forget(change.space, change.client)
        if commit.then is None:
            if self.ledger is not None:
                self.ledger.ended(exchange, change)
            self._drop(exchange, commit.operation, "done")
        else:
            self._send(exchange, commit.then)

    def _decide_again(self, exchange: Exchange, now: float) -> None:
        """On what is true now. A fenced change keeps its start: a lasting fence must not keep it alive for ever."""
        config = self._rooms.configuration.current
        assert config is not None  # a configuration is replaced, never taken away
        exchange.config = config
        exchange.peers = self._membership.peers(exchange.endpoint.label or "", exchange.packet.giaddr)
        self._decide(exchange, now)

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        if reply.ping is not None and self.ping_checks.hold_back(exchange, reply):
            return
        if leave(exchange.endpoint, reply, exchange.local):
            after = self._boot()
            self._counters.sent[reply.operation] += 1
            account(self._counters, exchange, reply.operation, reply.result, after)
            if self.ledger is not None and reply.result == "ack":
                self.ledger.acknowledged(exchange, reply.payload, reply.operation, after)
        else:
            account(self._counters, exchange, reply.operation, DROP, exchange.marked)
        self._hold(reply)
        if reply.hold is not None:
            self._rescues.offered(reply.hold.client, exchange)

    def _hold(self, reply: Reply | None) -> None:
        if reply is not None and reply.hold is not None:
            self._rooms.offers.hold(reply.hold, self._rooms.clock.now())

    def _let_go(self, reply: Reply | None) -> None:
        """The offer was not committed: its address is anybody's again, unless the client has another one by now."""
        if reply is not None and (held := reply.hold) is not None:
            offers = self._rooms.offers
            if offers.of(held.space, held.client, self._rooms.clock.now()) is held:
                offers.forget(held.space, held.client)

    def _drop(self, exchange: Exchange, operation: str, reason: str) -> None:
        self._counters.dropped[reason] += 1
        if reason in self.drops.wanted:
            self.drops.keep(reason, exchange)
        account(self._counters, exchange, operation, DROP, exchange.marked)
