"""Everything beside the packet that a decision may look at: where it came in, what is known, what time it is.

The runtime fills one `Situation` per packet from its own rooms; tests fill it by hand. Nothing here is written by
`decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from everlease.core.actions import Held
from everlease.core.identity import Circuit
from everlease.core.lifecycle import Row
from everlease.core.model import Config, Reservation

BUCKETS = 256
"""Clients and addresses hash to this many buckets; a bucket's owner answers first."""

ALL_BUCKETS = (1 << BUCKETS) - 1


class View(Protocol):
    """What `core` reads of the node's copy of all leases (`store.view`)."""

    def row(self, space: str, address: int) -> Row | None:
        """The record of an address, or None."""

    def address_of(self, space: str, subnet: int, client: bytes) -> int:
        """The address that the client's index under this subnet names; 0 = none."""

    def taken(self, space: str, block: int) -> int:
        """Bit mask (bit n = address block * 256 + n) of addresses in a /24 that may not be granted afresh."""

    def full(self, space: str, region: int) -> int:
        """Bit mask (bit n = /24 block region * 256 + n) of the blocks of a /16 in which every address is taken."""

    def has_reservations(self, space: str) -> bool:
        """Whether there is any API reservation in a space."""

    def reservation_at(self, space: str, address: int) -> Reservation | None:
        """The API reservation on an address, or None."""

    def reservation_of(self, space: str, subnet: int, kind: str, value: bytes, relay: int) -> Reservation | None:
        """The API reservation for an identifier in a subnet, or None."""

    def reserved(self, space: str, block: int) -> int:
        """Bit mask of addresses in a /24 that API reservations keep."""

    def used(self, subnet: int) -> int:
        """How many addresses of a subnet are not free, kept up to date row by row."""

    def declined(self, subnet: int) -> int:
        """How many addresses of a subnet are on probation, in the same way."""

    def circuit_leases(self, space: str, circuit: Circuit, now: float) -> int:
        """How many addresses are bound where a circuit ends; 0 where no limit asks for it."""


class Offers(Protocol):
    """Offers held in memory by this node (`runtime.offers`), bounded; the time is the caller's."""

    def of(self, space: str, client: bytes, now: float) -> Held | None:
        """The address on offer to a client, or None."""

    def holder(self, space: str, address: int, now: float) -> bytes | None:
        """The client to whom an address is on offer, or None."""


@dataclass(slots=True)
class Peers:
    """The candidates for one link or relay: eligible nodes that serve or hear it, this one included.

    order: for each bucket 0..255 the candidates' names, owner first (rendezvous order).
    owned: bit mask of the address buckets that this node owns among them.
    identifiers: server identifier (IPv4) -> node name, dead members' remembered for the longest lifetime; "" for one
        that several members use (a service-wide address): then rendezvous order alone decides.
    settled: every node knows by now who else hears this link or relay; before, several may be making offers.
    since: when this became the order, on the clock of this node that packets are stamped with (CLOCK_BOOTTIME).
    lately: bit mask of the client buckets that were this node's until a moment ago; it still answers them as well.
    """

    me: str
    names: frozenset[str]
    order: tuple[tuple[str, ...], ...]
    owned: int
    identifiers: Mapping[int, str]
    settled: bool = True
    since: float = 0.0
    lately: int = 0


class Situation(msgspec.Struct, gc=False):
    """One packet's circumstances.

    now: cluster time, seconds UTC (later clock); reuse_now: the earlier clock, which permits reuse.
    link: label of the link it came in on, None for `--listen`; interface: the link's own addresses as
    (address, prefix length); local: the address to put in the server identifier.
    source, source_port, destination: of the IP packet. hardware: source MAC of the frame, b"" unknown.
    mtu: of the way back. copies: 1 for the first time heard, 2 for the first retransmission...
    fresh: the view is proved fresh, a write-free answer is allowed. extending: the store has no leader; only
    bindings in the view may be extended, within what is committed. answer_all: behind a shared load balancer.
    may_grant: the own clock is trusted (else neither grant, renew, extend nor reuse).
    reply_to_source: answer a relay, and without a link a renewal, at the packet's source address and port.
    restored: ghosts, while a rollback is being lived down: address -> row of the old view; None in normal times.
    """

    now: float
    reuse_now: float
    config: Config
    view: View
    offers: Offers
    peers: Peers
    link: str | None
    interface: tuple[tuple[int, int], ...]
    local: int
    source: int
    source_port: int
    destination: int
    hardware: bytes = b""
    mtu: int = 1500
    copies: int = 1
    fresh: bool = True
    extending: bool = False
    may_grant: bool = True
    answer_all: bool = False
    reply_to_source: bool = False
    restored: Mapping[tuple[str, int], Row] | None = None
