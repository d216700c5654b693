"""One packet on its way to its answer: what is remembered of it, and how its reply leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from everlease.core.actions import DROP, TO_ADDRESS, TO_BROADCAST, TO_RELAY, Commit, Destination, Reply
from everlease.core.model import Config
from everlease.core.situation import Peers
from everlease.runtime.committer import Ticket
from everlease.runtime.counters import Counters
from everlease.runtime.sockets import Datagram, Endpoint
from everlease.wire.v4 import Packet

BROADCAST_HARDWARE: Final = b"\xff" * 6


@dataclass(frozen=True, slots=True)
class Options:
    """The flags of `everlease node` that decisions read. server_identifier: 0 = the link's own address."""

    server_identifier: int = 0
    answer_all: bool = False
    reply_to_source: bool = False


class Exchange(msgspec.Struct, eq=False):
    """One packet on its way to its answer.

    local: own address that it came to, which the reply leaves from; copies: see core.heard; refused: how often its
    change was; started: CLOCK_BOOTTIME of the decision that is being committed; config, peers: what it was decided on;
    asked_at: CLOCK_BOOTTIME of the first copy, where this is another one.
    marked: CLOCK_BOOTTIME until which its time is accounted for; deciding, queued, committing: seconds spent so far, by
    phase; ticket: its change in the committer, also after it was settled; follower: what the same client asked anew
    for the same change while this one was on its way.
    """

    endpoint: Endpoint
    datagram: Datagram
    packet: Packet
    local: int
    copies: int
    config: Config
    peers: Peers
    started: float
    refused: int = 0
    commit: Commit | None = None
    asked_at: float = 0.0
    marked: float = 0.0
    deciding: float = 0.0
    queued: float = 0.0
    committing: float = 0.0
    ticket: Ticket | None = None
    follower: Exchange | None = None

    def decided(self, now: float) -> None:
        """The time since the last mark went into a decision."""
        self.deciding += now - self.marked
        self.marked = now

    def settled(self, now: float) -> None:
        """The time since the last mark went by in the committer: until its batch left, and in etcd."""
        left = self.ticket.left if self.ticket else 0.0
        left = left or now  # it never left
        self.queued += left - self.marked
        self.committing += now - left
        self.marked = now


def account(counters: Counters, exchange: Exchange, operation: str, result: str, now: float) -> None:
    """Count how long an exchange took, and its parts, which add up to the whole. now: CLOCK_BOOTTIME at its end.

    What was not committed has no `queue` and no `commit`, what got no reply no `send`.
    """
    phases, received_at = counters.phases, exchange.datagram.received_at
    phases["socket"].observe(exchange.started - received_at)
    phases["decide"].observe(exchange.deciding)
    if exchange.ticket is not None:
        phases["queue"].observe(exchange.queued)
        phases["commit"].observe(exchange.committing)
    if result != DROP:
        phases["send"].observe(now - exchange.marked)
    counters.durations[operation, result].observe(now - received_at)


def leave(endpoint: Endpoint, reply: Reply, own: int) -> bool:
    """Send a reply the way it asks for, from the own address `own`; False if the kernel refused it."""
    to = reply.destination
    if to.kind == TO_RELAY or (to.kind == TO_ADDRESS and not _is_neighbour(endpoint, to)):
        return endpoint.send_udp(reply.payload, to.address, to.port, own)
    hardware = BROADCAST_HARDWARE if to.kind == TO_BROADCAST else to.hardware
    return endpoint.send_frame(reply.payload, hardware, to.address, own, to.port)


def _is_neighbour(endpoint: Endpoint, to: Destination) -> bool:
    """Whether a client with an address is on this very link: a frame reaches it without the kernel's ARP.

    The kernel keeps 1,024 neighbours by default (gc_thresh3); a link with more clients that renew would lose replies.
    """
    address = to.address
    return bool(to.hardware) and any((address ^ own) >> (32 - length) == 0 for own, length in endpoint.interface)


def local_address(endpoint: Endpoint, datagram: Datagram) -> int:
    """The own address that a packet was sent to, one on `lo` too; the link's first one for a broadcast; 0 = none."""
    # UDP delivers only to own addresses, and does not tell the sender's hardware address as raw sockets do.
    if not datagram.hardware or datagram.destination in endpoint.addresses:
        return datagram.destination
    return endpoint.address
