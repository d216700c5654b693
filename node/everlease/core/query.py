"""One client's message, understood: who asks, from where, and what the operator's rules let it have.

The law of this file: an address is a client's by right (`entitlement`) or free to take (`availability`), and these two
questions are never mixed: the first is the configuration's, the second the view's.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import msgspec

from everlease.core import facts
from everlease.core.lifecycle import BOUND, DECLINED, Row, is_active, is_reusable
from everlease.core.model import ACTIVE, DISABLED, DRAINING, ClientClass, Network, Pool, Reservation, Subnet
from everlease.core.select import Place
from everlease.core.situation import Situation
from everlease.wire.v4 import Packet

TAKEN, REUSABLE, OWN, UNTOUCHED = range(4)
"""Availability of an address: somebody else's; somebody else's past one; this client's record; no record at all."""

DENY: Final = "deny"

_STRICTER: Final = (ACTIVE, DRAINING, DISABLED)


class Query(msgspec.Struct, gc=False):
    """A packet with everything that decisions ask about it.

    space: address space of the network; client: client key; hash: 32 bits of it, the lowest eight are its bucket;
    classes: those that match, in order.
    """

    packet: Packet
    situation: Situation
    place: Place
    operation: str
    space: str
    client: bytes
    hash: int
    classes: tuple[ClientClass, ...]
    _identifiers: tuple[tuple[str, bytes], ...] = ()
    _reservations: dict[int, Reservation | None] = {}

    @property
    def network(self) -> Network:
        """The client's network."""
        return self.place.network

    def row(self, address: int) -> Row | None:
        """The view's record of an address."""
        return self.situation.view.row(self.space, address)

    def identifiers(self) -> tuple[tuple[str, bytes], ...]:
        """What a reservation may name this client by."""
        if not self._identifiers:
            self._identifiers = facts.identifiers(self.packet, self.place.relay)
        return self._identifiers

    def reservation(self, subnet: Subnet) -> Reservation | None:
        """This client's reservation in a subnet: hw-address before client-id, circuit-id and remote-id."""
        known = self._reservations
        if subnet.id not in known:
            known[subnet.id] = self._find_reservation(subnet)
        return known[subnet.id]

    def _find_reservation(self, subnet: Subnet) -> Reservation | None:
        if not subnet.reservations and not self.situation.view.has_reservations(subnet.space):
            return None  # before anything is made to look them up by: 2 us a packet
        giaddr = self.packet.giaddr
        relays = (giaddr, 0) if giaddr else (0,)
        api = self.situation.view.reservation_of
        for kind, value in self.identifiers():
            for relay in relays:
                found = subnet.reservations.get((kind, value, relay)) if subnet.reservations else None
                found = found or api(subnet.space, subnet.id, kind, value, relay)
                if found is not None:
                    return found
        return None

    def is_named_by(self, reservation: Reservation) -> bool:
        """Whether a reservation is for this client."""
        return reservation.relay in (0, self.packet.giaddr) and (
            (reservation.kind, reservation.value) in self.identifiers()
        )

    def allows(self, pool: Pool) -> bool:
        """Whether the client's classes let it use a pool."""
        return not pool.classes or any(each.name in pool.classes for each in self.classes)


class Entitlement(msgspec.Struct, gc=False):
    """By what right a client may have an address: the pool that holds it, its reservation, or both."""

    pool: Pool | None
    reservation: Reservation | None

    def state(self, subnet: Subnet, address: int) -> str:
        """The stricter of the subnet's state and the pool's; an address that is reserved is no pool's."""
        pool, kept = self.pool, self.reservation
        if pool is None or pool.state == ACTIVE or (kept is not None and kept.address == address):
            return subnet.state
        return pool.state if subnet.state == ACTIVE else max(pool.state, subnet.state, key=_STRICTER.index)


def reservation_at(query: Query, subnet: Subnet, address: int) -> Reservation | None:
    """The reservation on an address, from the configuration or made by the API."""
    return subnet.reserved.get(address) or query.situation.view.reservation_at(subnet.space, address)


def pool_at(subnet: Subnet, address: int) -> Pool | None:
    """The pool that holds an address and does not exclude it."""
    for pool in subnet.pools:
        if pool.first <= address <= pool.last:
            index = bisect_right(pool.ranges, (address, 0xFFFFFFFF)) - 1
            if index >= 0 and address <= pool.ranges[index][1]:
                return pool
    return None


def entitlement(query: Query, subnet: Subnet, address: int) -> Entitlement | None:
    """Why the rules let this client have this address, whoever holds it now; None if they do not."""
    kept = reservation_at(query, subnet, address)
    if kept is not None:
        return Entitlement(pool_at(subnet, address), kept) if query.is_named_by(kept) else None
    own = query.reservation(subnet)
    if own is None and subnet.unknown_clients == DENY:
        return None
    pool = pool_at(subnet, address)
    return Entitlement(pool, own) if pool is not None and query.allows(pool) else None


def _took_another(situation: Situation, space: str, client: bytes, address: int) -> bool:
    """Whether a client to whom an address is on offer is bound to another one by now.

    A node that is busy may not have read the REQUEST that said so. When a whole building boots into a nearly full pool,
    two nodes offer to many, and what nobody took would be kept from those who have nothing until the offers end.
    """
    held = situation.offers.of(space, client, situation.now)
    bound = situation.view.address_of(space, held.subnet, client) if held is not None else 0
    row = situation.view.row(space, bound) if bound not in (0, address) else None
    return row is not None and row.client == client and row.state == BOUND and is_active(row, situation.now)


def availability(query: Query, address: int, *, claimed: bool = False) -> int:
    """Whether nobody else has an address, one of TAKEN..UNTOUCHED; `claimed` as in `standing`."""
    return TAKEN if is_on_offer(query, address) else standing(query, address, claimed=claimed)


def is_on_offer(query: Query, address: int) -> bool:
    """Whether this node has an address on offer to somebody else. Its memory alone says so: nothing is promised yet,
    and another node may have promised it."""
    situation = query.situation
    holder = situation.offers.holder(query.space, address, situation.now)
    return holder not in (None, query.client) and not _took_another(situation, query.space, holder, address)


def standing(query: Query, address: int, *, claimed: bool = False) -> int:
    """What is on record of an address, one of TAKEN..UNTOUCHED.

    claimed: the client asks for it by renew, rebind or INIT-REBOOT; after a rollback of the store, or the restore of a
    backup, an address without a record goes to nobody else, and the ghosts of the old view are respected. Where there
    are none, one whose record has ended goes to nobody else either: another may have followed, which is lost.
    """
    situation = query.situation
    space = query.space
    row = situation.view.row(space, address)
    margin = situation.config.cluster.clock_margin if row is not None or situation.restored is not None else 0.0
    if row is not None and row.client != query.client and not is_reusable(row, situation.reuse_now, margin):
        return TAKEN
    if situation.restored is not None:
        ghost = situation.restored.get((space, address))
        if ghost is None:
            promised = row is not None and row.client == query.client and is_active(row, situation.now)
            if not (claimed or promised) and (row is None or not situation.restored):
                return TAKEN
        elif ghost.client != query.client and not is_reusable(ghost, situation.reuse_now, margin):
            return TAKEN
    if row is None:
        return UNTOUCHED
    if row.client != query.client:
        return REUSABLE
    declined = row.state == DECLINED and not is_reusable(row, situation.reuse_now, margin)
    return TAKEN if declined else OWN


def holds(query: Query, row: Row | None) -> bool:
    """Whether a record is this client's binding and has not ended."""
    return row is not None and row.client == query.client and row.state == BOUND and is_active(row, query.situation.now)
