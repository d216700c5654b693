"""Offers that wait for an echo: an address that answers is put on probation, and its client gets another one.

The law of this file: an offer that waits is held, so that nobody else is made the same; it leaves when there was no
answer, or as it is where nothing can be asked (RFC 2131 section 2.2 says SHOULD); and never after `PATIENCE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from everlease import logs
from everlease.core.actions import Change, Reply
from everlease.core.situation import Situation
from everlease.core.v4 import found_in_use
from everlease.runtime.carrier import PATIENCE
from everlease.runtime.committer import COMMITTED, LOST
from everlease.runtime.counters import IN_USE, SILENT
from everlease.runtime.exchange import Exchange
from everlease.runtime.icmp import hardware_of
from everlease.runtime.probes import CROWDED, WAITING, Probes
from everlease.runtime.rooms import Rooms
from everlease.store.records import dotted


@dataclass(frozen=True, slots=True)
class Desk:
    """What the responder does with an exchange whose offer has waited: look around, send it, decide again, drop it."""

    situation: Callable[[Exchange, float], Situation]
    send: Callable[[Exchange, Reply], None]
    again: Callable[[Exchange, float], None]
    drop: Callable[[Exchange, str, str], None]


class PingChecks:
    """Stands between the responder and the offers of addresses that are new to their clients."""

    def __init__(self, rooms: Rooms, desk: Desk, probes: Probes | None = None) -> None:
        self._rooms = rooms
        self._desk = desk
        self._boot = rooms.clock.boot
        self.probes = probes or Probes(rooms.clock.boot)

    def hold_back(self, exchange: Exchange, reply: Reply) -> bool:
        """Whether the offer has to wait; later it leaves by itself, or another one in its place, or none."""
        held, check, endpoint = reply.hold, reply.ping, exchange.endpoint
        if held is None or check is None:
            return False
        source = endpoint.address if endpoint.index else 0
        place = (endpoint.index, held.address)
        outcome = self.probes.ask(place, source, check, lambda answered: self._end(exchange, reply, answered))
        if outcome == CROWDED:
            self._desk.drop(exchange, reply.operation, "duplicate")
            return True
        if outcome != WAITING:
            self._rooms.counters.pings[outcome] += 1
            return False
        self._rooms.offers.hold(held, self._rooms.clock.now())  # nobody else is offered it meanwhile
        return True

    def _end(self, exchange: Exchange, reply: Reply, answered: bool) -> None:
        now = self._boot()
        exchange.decided(now)  # the echo was waited for to decide
        if now - exchange.started > PATIENCE:
            self._desk.drop(exchange, reply.operation, "unavailable")
        elif answered and not self._is_client(exchange, reply):
            self._conflict(exchange, reply)
        else:
            self._rooms.counters.pings[SILENT] += 1
            reply.ping = None
            self._desk.send(exchange, reply)

    @staticmethod
    def _is_client(exchange: Exchange, reply: Reply) -> bool:
        """Whether the client itself answers: some keep an address while they ask for it, after a restart or by hand."""
        held, chaddr, index = reply.hold, exchange.packet.chaddr, exchange.endpoint.index
        return held is not None and bool(chaddr and index) and hardware_of(held.address, index) == chaddr

    def _conflict(self, exchange: Exchange, reply: Reply) -> None:
        rooms, held, now = self._rooms, reply.hold, self._boot()
        assert held is not None  # or it had not been held back
        on_offer = rooms.offers.of(held.space, held.client, rooms.clock.now())
        if on_offer is not None and on_offer.address == held.address:
            rooms.offers.forget(held.space, held.client)
        change = found_in_use(exchange.packet, self._desk.situation(exchange, now), held.address)
        if change is None:
            self._desk.again(exchange, now)
            return
        committed = change

        def settled(outcome: int) -> None:
            self._settled(exchange, reply.operation, committed, outcome)

        ticket = rooms.committer.submit(change, exchange.config, now, settled)
        if ticket is not None:
            exchange.ticket = ticket
        else:
            self._desk.drop(exchange, reply.operation, "overload")

    def _settled(self, exchange: Exchange, operation: str, change: Change, outcome: int) -> None:
        now = self._boot()
        exchange.settled(now)
        if outcome == COMMITTED:
            self._rooms.counters.pings[IN_USE] += 1
            logs.get().warning(
                "address in use", address=dotted(change.address), subnet=change.subnet, space=change.space
            )
        if outcome == LOST or now - exchange.started > PATIENCE:
            self._desk.drop(exchange, operation, "unavailable")
        else:
            self._desk.again(exchange, now)

    def close(self) -> None:
        """Let go of the socket."""
        self.probes.close()
