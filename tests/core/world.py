"""A world small enough to hold in the hand: one configuration, one table of records, and nodes that decide on it.

`World` plays etcd (records, indexes, compares) and, through `Sight`, a node's view. A `Sight` that is not refreshed is
a stale view.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from everlease.core.actions import CHECK, GRANT, Action, Change, Commit, Drop, Held, Reply
from everlease.core.answering import owned_mask, rendezvous
from everlease.core.identity import Circuit
from everlease.core.lifecycle import BOUND, DECLINED, OFFERED, RELEASED, Lease, Row, is_declined, is_reusable
from everlease.core.model import (
    ClientClass,
    ClusterSettings,
    Config,
    Limits,
    Network,
    OptionValue,
    Parameters,
    Pool,
    Reservation,
    Subnet,
)
from everlease.core.situation import ALL_BUCKETS, Peers, Situation
from everlease.core.v4 import decide
from everlease.store.records import circuit_of_lease
from everlease.wire import v4
from everlease.wire.v4 import Packet

NOW = 1_700_000_000.25
BROADCAST = 0xFFFFFFFF


def ip(text: str) -> int:
    return int(IPv4Address(text))


def dotted(address: int) -> str:
    return str(IPv4Address(address))


def mac(number: int) -> bytes:
    return b"\x02\x00" + number.to_bytes(4, "big")


def key(number: int) -> bytes:
    """The client key of `mac(number)` without option 61."""
    return b"\x02\x01" + mac(number)


def pool(first: str, last: str, classes: frozenset[str] = frozenset(), **parameters: Any) -> Pool:
    low, high = ip(first), ip(last)
    return Pool(low, high, ((low, high),), classes, Parameters(**parameters))


def option(data: bytes | str, send: int = 0) -> OptionValue:
    return OptionValue(IPv4Address(data).packed if isinstance(data, str) else data, send)


def reservation(number: int, address: str = "0.0.0.0", subnet: int = 1, **more: Any) -> Reservation:
    values: dict[str, Any] = {
        "kind": "hw-address",
        "value": b"\x01" + mac(number),
        "relay": 0,
        "address": ip(address),
        "subnet": subnet,
        "hostname": "",
        "parameters": Parameters(),
    }
    return Reservation(**(values | more))


def subnet(prefix: str = "10.77.0.0/16", **more: Any) -> Subnet:
    network = IPv4Network(prefix)
    reservations = more.pop("reservations", ())
    values: dict[str, Any] = {
        "id": 1,
        "name": "office",
        "space": "default",
        "prefix": int(network.network_address),
        "length": network.prefixlen,
        "link": "office",
        "relays": frozenset(),
        "strict_relays": False,
        "trust_option_82": False,
        "state": "active",
        "unknown_clients": "allow",
        "allocator": "hashed",
        "client_identity": "client-id",
        "pools": (pool("10.77.16.0", "10.77.31.255"),),
        "exclude": (),
        "parameters": Parameters(options={3: option("10.77.0.1")}),
        "reservations": {(each.kind, each.value, each.relay): each for each in reservations},
        "reserved": {each.address: each for each in reservations if each.address},
    }
    return Subnet(**(values | more))


GLOBAL = Parameters(options={6: option("10.77.0.53"), 15: option(b"example.org")})


def configuration(
    *networks: tuple[Subnet, ...] | Subnet,
    classes: tuple[ClientClass, ...] = (),
    parameters: Parameters = GLOBAL,
    cluster: ClusterSettings | None = None,
) -> Config:
    made = [
        Network("", (each,), Parameters()) if isinstance(each, Subnet) else Network("shared", each, Parameters())
        for each in networks or (subnet(),)
    ]
    subnets = [each for network in made for each in network.subnets]
    home = {each.id: network for network in made for each in network.subnets}
    by_prefix: dict[int, dict[int, Subnet]] = {}
    for each in subnets:
        by_prefix.setdefault(each.length, {})[each.prefix >> (32 - each.length)] = each
    return Config(
        revision=1,
        mod_revision=10,
        parameters=parameters,
        cluster=cluster or ClusterSettings(),
        limits=Limits(),
        classes=classes,
        networks=tuple(made),
        subnets={each.id: each for each in subnets},
        network_of=home,
        by_relay={relay: home[each.id] for each in subnets for relay in each.relays},
        by_link={each.link: home[each.id] for each in subnets if each.link is not None},
        by_prefix=by_prefix,
    )


@dataclass
class Truth:
    """What etcd holds: records with their revisions, index entries, reservations made by the API."""

    leases: dict[tuple[str, int], tuple[Lease, int]] = field(default_factory=dict)
    index: dict[tuple[str, int, bytes], int] = field(default_factory=dict)
    reservations: dict[tuple[str, int], Reservation] = field(default_factory=dict)
    revision: int = 100

    def apply(self, change: Change) -> bool:
        """Compare every key that the change names; put and delete only if all are as expected."""
        if not self._agrees(change):
            return False
        self.revision += 1
        space = change.space
        if change.moved is not None:
            self.leases[space, change.moved.address] = (change.moved.lease, self.revision)
            if self.index.get((space, change.moved.subnet, change.client)) == change.moved.address:
                del self.index[space, change.moved.subnet, change.client]
        if change.displaced is not None:
            client, subnet_id = change.displaced
            del self.index[space, subnet_id, client]
        if change.lease is not None:
            self.leases[space, change.address] = (change.lease, self.revision)
        if change.puts_index:
            self.index[space, change.subnet, change.client] = change.address
        return True

    def _agrees(self, change: Change) -> bool:
        space = change.space
        checks = [self._revision(space, change.address) == change.expected]
        if change.kind in (GRANT, CHECK) or change.reservation:
            made = self.reservations.get((space, change.address))
            checks.append((made.revision if made else 0) == change.reservation)
        for subnet_id, address in change.indexes:
            checks.append(self.index.get((space, subnet_id, change.client), 0) == address)
        if change.moved is not None:
            checks.append(self._revision(space, change.moved.address) == change.moved.revision)
        checks += [self._revision(space, address) == revision for address, revision in change.seen]
        if change.displaced is not None:
            client, subnet_id = change.displaced
            checks.append(self.index.get((space, subnet_id, client)) == change.address)
        return all(checks)

    def _revision(self, space: str, address: int) -> int:
        return self.leases.get((space, address), (None, 0))[1]


class Sight:
    """A node's view: a copy of the truth taken by `refresh`. Dumb on purpose: masks are worked out bit by bit."""

    def __init__(self, truth: Truth, config: Config, now: float = NOW) -> None:
        self.truth, self.config, self.now = truth, config, now
        self.refresh()

    def refresh(self) -> None:
        self.rows = {
            place: Row(lease.client, lease.expires_at, revision, lease.state, lease.subnet, lease.valid, lease.nonce)
            for place, (lease, revision) in self.truth.leases.items()
        }
        self.index = dict(self.truth.index)
        self.made = dict(self.truth.reservations)

    def row(self, space: str, address: int) -> Row | None:
        return self.rows.get((space, address))

    def address_of(self, space: str, subnet: int, client: bytes) -> int:
        return self.index.get((space, subnet, client), 0)

    def taken(self, space: str, block: int) -> int:
        margin = self.config.cluster.clock_margin
        mask = 0
        for bit in range(256):
            row = self.rows.get((space, block << 8 | bit))
            if row is not None and not is_reusable(row, self.now, margin) and not self._is_declined(space, row):
                mask |= 1 << bit
        return mask

    def _is_declined(self, space: str, offer: Row) -> bool:
        return is_declined(offer, self.row(space, self.address_of(space, offer.subnet, offer.client)))

    def full(self, space: str, region: int) -> int:
        blocks = {address >> 8 for home, address in self.rows if home == space and address >> 16 == region}
        return sum(1 << (block & 255) for block in blocks if self.taken(space, block) == ALL_BUCKETS)

    def reservation_at(self, space: str, address: int) -> Reservation | None:
        return self.made.get((space, address))

    def has_reservations(self, space: str) -> bool:
        return any(home == space for home, _ in self.made)

    def reservation_of(self, space: str, subnet: int, kind: str, value: bytes, relay: int) -> Reservation | None:
        for (home, _), each in self.made.items():
            if home == space and (each.subnet, each.kind, each.value, each.relay) == (subnet, kind, value, relay):
                return each
        return None

    def reserved(self, space: str, block: int) -> int:
        return sum(1 << (a & 255) for home, a in self.made if home == space and a >> 8 == block)

    def declined(self, subnet: int) -> int:
        return sum(row.subnet == subnet and row.state == DECLINED for row in self.rows.values())

    def circuit_leases(self, space: str, circuit: Circuit, now: float) -> int:
        ends = [circuit_of_lease(lease) for (home, _), (lease, _) in self.truth.leases.items() if home == space]
        return sum(plugged == circuit and end > now for plugged, end in ends)

    def used(self, subnet: int) -> int:
        margin = self.config.cluster.clock_margin
        return sum(row.subnet == subnet and not is_reusable(row, self.now, margin) for row in self.rows.values())


class Table:
    """Offers in memory."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, bytes], Held] = {}

    def hold(self, held: Held) -> None:
        self.held[held.space, held.client] = held

    def of(self, space: str, client: bytes, now: float) -> Held | None:
        held = self.held.get((space, client))
        return held if held is not None and held.until > now else None

    def holder(self, space: str, address: int, now: float) -> bytes | None:
        for held in self.held.values():
            if (held.space, held.address) == (space, address) and held.until > now:
                return held.client
        return None


IDENTIFIERS = {name: f"10.77.0.{number}" for number, name in enumerate("abcde", 2)}


class Node:
    """One node: its name, its candidates, its view of a common truth, its offers."""

    def __init__(self, truth: Truth, config: Config, name: str = "a", names: str = "a") -> None:
        self.name, self.truth, self.config = name, truth, config
        self.sight = Sight(truth, config)
        self.offers = Table()
        order = rendezvous(frozenset(names))
        identifiers = {ip(address): each for each, address in IDENTIFIERS.items()}
        self.peers = Peers(name, frozenset(names), order, owned_mask(order, name), identifiers)
        self.local = ip(IDENTIFIERS[name])
        self.now = NOW
        self.defaults: dict[str, Any] = {}

    def situation(self, **more: Any) -> Situation:
        values: dict[str, Any] = {
            "now": self.now,
            "reuse_now": self.now,
            "config": self.config,
            "view": self.sight,
            "offers": self.offers,
            "peers": self.peers,
            "link": "office",
            "interface": ((self.local, 16),),
            "local": self.local,
            "source": 0,
            "source_port": 68,
            "destination": BROADCAST,
        }
        values |= self.defaults | more
        self.sight.now = values["reuse_now"]
        return Situation(**values)

    def decide(self, packet: Packet, **more: Any) -> Action:
        return decide(packet, self.situation(**more))

    def answer(self, packet: Packet, **more: Any) -> Packet | str:
        """What the client receives: the reply, read back; or the reason for silence.

        Changes are applied to the truth, and what was refused is decided again on a fresh view, at most twice.
        """
        for _ in range(3):
            action = self.decide(packet, **more)
            if isinstance(action, Drop):
                return action.reason
            if isinstance(action, Reply):
                return self._send(action)
            committed = self.truth.apply(action.change)
            self.sight.refresh()
            if committed:
                return self._send(action.then) if action.then is not None else "done"
        return "conflict"

    def _send(self, reply: Reply) -> Packet:
        if reply.hold is not None:
            self.offers.hold(reply.hold)
        return v4.parse(reply.payload)


def world(*networks: Any, name: str = "a", names: str = "a", **more: Any) -> Node:
    """One node (alone unless `names` says otherwise) with an empty table."""
    return Node(Truth(), configuration(*networks, **more), name, names)


def message(kind: int, number: int = 1, **more: Any) -> Packet:
    """A client's message. Options by number in `options`; addresses as text in requested, server, ciaddr, giaddr."""
    options = {53: bytes((kind,))}
    for name, code in (("requested", 50), ("server", 54)):
        if name in more:
            options[code] = IPv4Address(more.pop(name)).packed
    options |= more.pop("options", {})
    for name in ("ciaddr", "giaddr"):
        if isinstance(more.get(name), str):
            more[name] = ip(more[name])
    return Packet(**({"xid": 0x1234, "chaddr": mac(number), "options": options} | more))


def lease(number: int, *, state: int = BOUND, ends: float = 3600, subnet_id: int = 1, valid: int = 3600) -> Lease:
    """A record of client `number`, ending `ends` seconds from NOW."""
    return Lease(key(number), mac(number), state, int(NOW) - 10, int(NOW + ends), valid, subnet_id)


def record(node: Node, address: str, given: Lease) -> None:
    """Put a record, and the index entry that a grant would have put, into the truth; the view sees it."""
    truth = node.truth
    truth.revision += 1
    truth.leases["default", ip(address)] = (given, truth.revision)
    if given.state != OFFERED:
        truth.index["default", given.subnet, given.client] = ip(address)
    node.sight.refresh()


def bind(node: Node, number: int, address: str, **more: Any) -> None:
    record(node, address, lease(number, **more))


__all__ = [
    "BOUND", "BROADCAST", "NOW", "RELEASED", "Commit", "Drop", "Node", "Reply", "Truth", "bind", "configuration",
    "dotted", "ip", "key", "lease", "mac", "message", "option", "pool", "record", "replace", "reservation", "subnet",
    "world",
]  # fmt: skip
