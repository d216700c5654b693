"""One node's rooms by hand: real values on the in-memory store, no sockets, no tasks."""

from __future__ import annotations

from collections.abc import Sequence

from everlease.config.load import load
from everlease.core.lifecycle import BOUND, Lease, grace_of
from everlease.runtime.carrier import Carrier
from everlease.runtime.clock import ClusterClock
from everlease.runtime.committer import Committer
from everlease.runtime.configuration import Configuration
from everlease.runtime.counters import Counters
from everlease.runtime.exchange import Options
from everlease.runtime.gate import Gate
from everlease.runtime.lifeline import Lifeline
from everlease.runtime.membership import Membership
from everlease.runtime.offers import OfferTable
from everlease.runtime.responder import Responder
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import Keys
from everlease.store.memory import MemoryStore
from everlease.store.records import Presence, encode_lease
from everlease.store.txn import Leaf, single
from everlease.store.view import Peer, View

NOW = 1_800_000_000.0
"""Cluster time of every test, seconds UTC."""

OFFICE = """\
schema: 1
valid-lifetime: 1h
client-classes:
  - {name: phones, match: {vendor-class-identifier: {prefix: Phone}}}
  - {name: blocked, match: {hw-address: {prefix: "02:ba:d0:"}}, action: drop}
subnets:
  - id: 1
    name: office
    description: second floor
    labels: {site: bern}
    prefix: 10.77.0.0/16
    link: office
    pools: [{range: 10.77.16.0-10.77.16.99}]
    option-data: {routers: [10.77.0.1]}
    reservations:
      - {hw-address: "02:00:00:00:00:01", address: 10.77.0.10, hostname: printer}
  - id: 2
    prefix: 10.78.0.0/24
    relays: [192.0.2.1]
    state: draining
    pools: [{range: 10.78.0.10-10.78.0.19}]
"""


def furnish(name: str = "n1", store: MemoryStore | None = None) -> Rooms:
    """The rooms of a node without a configuration."""
    keys, store, counters = Keys(), store or MemoryStore(), Counters()
    clock = ClusterClock(boot=lambda: 1000.0, wall=lambda: NOW)
    view = View(keys, clock.reuse_now())
    lifeline = Lifeline(clock.boot)
    membership = Membership(name, "boot-1", clock, lifeline)
    responder = Responder(Options(), Gate(lifeline))
    committer = Committer(name, keys, Carrier(store, counters, clock.boot), view, counters, clock.boot)
    rooms = Rooms(
        name=name,
        keys=keys,
        store=store,
        view=view,
        clock=clock,
        counters=counters,
        configuration=Configuration(store, keys, counters),
        membership=membership,
        offers=OfferTable(),
        committer=committer,
        responder=responder,
        lifeline=lifeline,
    )
    responder.enter(rooms)
    return rooms


async def office(rooms: Rooms, text: str = OFFICE) -> None:
    """Put a document in force, as a node that has loaded it."""
    current = await rooms.configuration.documents.publish(text, 0, "anna", "first", NOW)
    _, mod_revision = await rooms.configuration.documents.current()
    rooms.configuration.current = load(text, revision=current.revision, mod_revision=mod_revision)
    rooms.committer.switch(mod_revision, mod_revision)


def serve_link(rooms: Rooms, link: str = "office", address: int = 0x0A4D0001) -> None:
    """The node serves a link, has loaded its view, and its commits are confirmed."""
    rooms.view.passed(1)
    rooms.membership.serve({link: (address,)}, {link: link})
    lifeline, now = rooms.lifeline, rooms.clock.boot()
    lifeline.waiting_for = ""
    lifeline.committed(now)
    lifeline.echoed(now, now)
    rooms.membership.judge(now)


def neighbour(rooms: Rooms, name: str = "n2", state: str = "serving", link: str = "office", reason: str = "") -> None:
    """Another node of the cluster."""
    presence = Presence("boot-2", 1, state, NOW + 1, 7, 1, {link: ["10.77.0.2"]}, ["192.0.2.1"], reason=reason)
    rooms.membership.observe(name, Peer(name, presence, 1, 1), rooms.clock.boot())
    rooms.membership.judge(rooms.clock.boot())


def lease(client: int = 1, ends: float = 1800, state: int = BOUND, subnet: int = 1, hostname: str = "") -> Lease:
    """A lease of client number `client`, which was told that it ends `ends` seconds from now."""
    hardware = b"\x02\x00" + client.to_bytes(4, "big")
    expires = int(NOW + ends) + grace_of(3600, None)
    granted = int(NOW + ends) - 3600
    return Lease(b"\x02\x01" + hardware, hardware, state, granted, expires, 3600, subnet, hostname, b"", 0, 9, "n1", 1)


async def put_leases(rooms: Rooms, leases: Sequence[tuple[int, Lease]], space: str = "default") -> None:
    """Records in the store, and in the view as the watch would bring them."""
    for start in range(0, len(leases), 100):
        puts = [(rooms.keys.lease(space, address), encode_lease(each)) for address, each in leases[start : start + 100]]
        revision = (await rooms.store.batch(single(Leaf({}, puts)), 1.0)).revision
        for key, value in puts:
            rooms.view.apply(KeyValue(key, value, revision))
        rooms.view.passed(revision)
