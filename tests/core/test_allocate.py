"""Allocation by masks equals a dumb reference that walks every address; and its work is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.world import (
    NOW,
    Node,
    Sight,
    bind,
    ip,
    key,
    lease,
    message,
    pool,
    record,
    replace,
    reservation,
    subnet,
    world,
)
from everlease.core.actions import Held
from everlease.core.allocate import LOOKS, LOOKS_BACK, Spot, allocate
from everlease.core.lifecycle import BOUND, DECLINED, OFFERED, RELEASED, Row
from everlease.core.model import ClientClass, Parameters, Pool, Subnet
from everlease.core.query import Query
from everlease.core.situation import ALL_BUCKETS
from everlease.core.v4 import understand
from everlease.wire import v4

BASE = ip("10.77.0.0")


def query(node: Node, number: int, **more: Any) -> Query:
    found = understand(message(v4.DISCOVER, number), node.situation(**more))
    assert isinstance(found, Query)
    return found


def picked(node: Node, number: int) -> Spot | None:
    asked = query(node, number)
    return allocate(asked, asked.network.subnets)


# --- the reference ---------------------------------------------------------------------------------------------------


def dumb(node: Node, number: int, subnets: tuple[Subnet, ...]) -> int:
    """The same answer, address by address; 0 = nothing is free."""
    number_hash = query(node, number).hash
    owned = node.peers.owned
    alone = owned == ALL_BUCKETS
    for home in subnets:
        for each in home.pools:
            everything = in_order(node, home, each, number_hash)
            if home.allocator == "ordered":
                found = next((a for a in sorted(everything) if free(node, number, a)), 0)
            else:
                mine = [a for a in everything if owned >> (a & 255) & 1 and (alone or not is_common(a))]
                first = [a for a in mine if a & 255 == number_hash & 255]
                found = best(node, number, first + mine)
            if found:
                return found
    for last in () if alone else (False, True):
        for home in subnets:
            for each in home.pools:
                everything = in_order(node, home, each, number_hash)
                found = best(node, number, [a for a in everything if last or is_common(a)])
                if found:
                    return found
    return 0


def is_common(address: int) -> bool:
    """Whether no node offers an address without a commit: a diagonal of each eight blocks."""
    return address % 8 == (address >> 8) % 8


def in_order(node: Node, home: Subnet, each: Pool, number_hash: int) -> list[int]:
    """Addresses of the pool that nothing in the configuration or the records keeps, as the client walks them."""
    blocks = (each.last >> 8) - (each.first >> 8) + 1
    start, turn = (number_hash >> 8) % blocks, number_hash >> 16 & 255
    addresses = [a for low, high in each.ranges for a in range(low, high + 1)]
    kept = {a for a in addresses if a in home.reserved or node.sight.reservation_at("default", a)}
    ended = [a for a in addresses if a not in kept and reusable(node, a)]
    return sorted(ended, key=lambda a: (((a >> 8) - (each.first >> 8) - start) % blocks, ((a & 255) - turn) % 256))


def reusable(node: Node, address: int) -> bool:
    row = node.sight.row("default", address)
    return row is None or row.state == RELEASED or node.now >= row.expires_at + 5


def free(node: Node, number: int, address: int) -> bool:
    return node.offers.holder("default", address, node.now) in (None, key(number))


def best(node: Node, number: int, candidates: list[int]) -> int:
    """The first without a record among LOOKS; else the first that is free."""
    past = 0
    for count, address in enumerate(candidates, 1):
        if free(node, number, address):
            if node.sight.row("default", address) is None:
                return address
            past = past or address
        if past and count >= LOOKS:
            break
    return past


# --- properties ------------------------------------------------------------------------------------------------------

STATES = st.sampled_from([OFFERED, BOUND, RELEASED, DECLINED])
RECORDS = st.dictionaries(st.integers(0, 1023), st.tuples(STATES, st.sampled_from([-100, -3, 100])), max_size=300)
SPANS = st.tuples(st.integers(0, 1023), st.integers(0, 400))


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    """A node among one to three, with a crowded table in four blocks."""
    low, length = draw(SPANS)
    high = min(low + length, 1023)
    hole = draw(st.integers(low, high))
    ranges = [(low, hole - 1), (hole + 1, high)] if draw(st.booleans()) else [(low, high)]
    made = tuple((BASE + a, BASE + b) for a, b in ranges if a <= b) or ((BASE + low, BASE + high),)
    dynamic = Pool(BASE + low, BASE + high, made, frozenset(), Parameters())
    kept = reservation(999, "10.77.0.5")
    home = subnet(pools=(dynamic,), reservations=(kept,), allocator=draw(st.sampled_from(["hashed", "ordered"])))
    node = world(home, names=draw(st.sampled_from(["a", "ab", "abc"])))
    for offset, (state, ends) in draw(RECORDS).items():
        record(node, f"10.77.{offset >> 8}.{offset & 255}", lease(offset + 5000, state=state, ends=ends))
    for client in draw(st.lists(st.integers(0, 1023), max_size=20, unique=True)):
        node.offers.hold(Held("default", BASE + client, key(client + 9000), 1, NOW + 30))
    if draw(st.booleans()):  # a crowded pool: everything else is bound
        gaps = draw(st.sets(st.integers(low, high), max_size=4))
        for offset in range(low, high + 1):
            if offset not in gaps:
                given = lease(offset + 20_000)
                node.truth.leases["default", BASE + offset] = (given, 7)
        node.sight.refresh()
    return node


@settings(max_examples=150, deadline=None)
@given(nodes(), st.integers(0, 500))
def test_masks_and_the_dumb_walk_pick_the_same_address(node: Node, number: int) -> None:
    home = node.config.subnets[1]
    spot = picked(node, number)
    assert (spot.address if spot else 0) == dumb(node, number, (home,))


@settings(max_examples=50, deadline=None)
@given(nodes(), st.integers(0, 500))
def test_what_is_picked_is_free_and_in_a_pool(node: Node, number: int) -> None:
    spot = picked(node, number)
    if spot is not None:
        assert any(low <= spot.address <= high for low, high in spot.pool.ranges)
        assert spot.address not in node.config.subnets[1].reserved
        assert reusable(node, spot.address)
        assert free(node, number, spot.address)


# --- examples --------------------------------------------------------------------------------------------------------


def test_a_node_prefers_addresses_of_its_own_buckets() -> None:
    nodes = [world(name=name, names="abc") for name in "abc"]
    for number in range(60):
        spots = [picked(node, number) for node in nodes]
        assert all(spot and spot.alone for spot in spots)
        assert len({spot.address for spot in spots if spot}) == 3


def test_the_owner_of_a_clients_bucket_gives_it_an_address_of_that_bucket() -> None:
    node = world()
    for number in range(100):
        spot = picked(node, number)
        assert spot
        assert spot.address & 255 == query(node, number).hash & 255


@pytest.mark.parametrize(("bound_to", "picks"), [("", False), ("10.77.16.9", False), ("10.77.16.8", True)])
def test_an_address_is_free_again_when_the_client_to_whom_it_is_on_offer_took_another(
    bound_to: str, picks: bool
) -> None:
    node = world(subnet(pools=(pool("10.77.16.9", "10.77.16.9"), pool("10.77.17.1", "10.77.17.1"))))
    bind(node, 1, "10.77.17.1")
    node.offers.hold(Held("default", ip("10.77.16.9"), key(2), 1, NOW + 30))
    if bound_to:
        bind(node, 2, bound_to)
    assert (picked(node, 3) is not None) is picks


def test_two_nodes_that_lost_their_peers_meet_at_the_same_address() -> None:
    assert [picked(world(), number) for number in range(50)] == [picked(world(), number) for number in range(50)]


def test_a_node_that_has_used_up_its_own_buckets_takes_what_nobody_offers_from_memory() -> None:
    node = world(subnet(pools=(pool("10.77.16.0", "10.77.16.255"),)), names="ab")
    for bit in range(256):
        if node.peers.owned >> bit & 1 and not is_common(bit | 16 << 8):
            bind(node, 1000 + bit, f"10.77.16.{bit}")
    spots = [picked(node, number) for number in range(20)]
    assert all(spot and is_common(spot.address) and not spot.alone for spot in spots)


def test_while_it_is_unknown_who_hears_a_relay_nothing_is_taken_that_another_may_have_on_offer() -> None:
    node = world(subnet(pools=(pool("10.77.16.0", "10.77.16.255"),)), names="ab")
    for bit in range(256):
        if node.peers.owned >> bit & 1 or is_common(bit | 16 << 8):
            bind(node, 1000 + bit, f"10.77.16.{bit}")
    assert picked(node, 1)
    node.peers.settled = False
    assert picked(node, 1) is None


def test_other_nodes_buckets_are_taken_when_the_own_ones_are_used_up() -> None:
    node = world(subnet(pools=(pool("10.77.16.0", "10.77.16.255"),)), names="ab")
    for bit in range(256):
        if node.peers.owned >> bit & 1:
            bind(node, 1000 + bit, f"10.77.16.{bit}")
    spot = picked(node, 1)
    assert spot
    assert not node.peers.owned >> (spot.address & 255) & 1
    assert not spot.alone


def test_a_nearly_full_share_is_not_offered_from_memory() -> None:
    node = world(subnet(pools=(pool("10.77.16.0", "10.77.16.255"),)))
    for bit in range(250):
        bind(node, 1000 + bit, f"10.77.16.{bit}")
    spot = picked(node, 1)
    assert spot
    assert not spot.alone


def test_an_ordered_subnet_gives_the_lowest_free_address_and_commits_every_offer() -> None:
    node = world(subnet(allocator="ordered", pools=(pool("10.77.16.10", "10.77.17.255"),)))
    bind(node, 1, "10.77.16.10")
    spot = picked(node, 2)
    assert spot
    assert (spot.address, spot.alone) == (ip("10.77.16.11"), False)


def test_pools_for_classes_serve_their_members_only() -> None:
    phones = pool("10.77.2.0", "10.77.2.255", frozenset({"phone"}))
    kind = ClientClass("phone", lambda facts: "user-class" in facts, "", Parameters())
    node = world(subnet(pools=(phones,)), classes=(kind,))
    assert picked(node, 1) is None
    offer = node.answer(message(v4.DISCOVER, options={77: b"phone"}))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr >> 8 == ip("10.77.2.0") >> 8


def test_subnets_of_a_shared_network_are_filled_in_order() -> None:
    first = subnet(pools=(pool("10.77.16.1", "10.77.16.2"),))
    second = subnet("10.88.0.0/16", id=2, link=None, pools=(pool("10.88.1.0", "10.88.1.255"),))
    node = world((first, second))
    used = []
    for number in range(4):
        offer = node.answer(message(v4.DISCOVER, number))
        assert isinstance(offer, v4.Packet)
        bind(node, number, f"10.{offer.yiaddr >> 16 & 255}.{offer.yiaddr >> 8 & 255}.{offer.yiaddr & 255}")
        used.append(offer.yiaddr >> 16)
    assert used == [ip("10.77.0.0") >> 16] * 2 + [ip("10.88.0.0") >> 16] * 2


def test_a_draining_member_of_a_shared_network_is_passed_over() -> None:
    first = subnet(state="draining")
    second = subnet("10.88.0.0/16", id=2, link=None, pools=(pool("10.88.1.0", "10.88.1.255"),))
    spot = world((first, second)).answer(message(v4.DISCOVER))
    assert isinstance(spot, v4.Packet)
    assert spot.yiaddr >> 16 == ip("10.88.0.0") >> 16


class Crowd(Sight):
    """A view in which every address is taken, block by block or region by region; it counts how often it is asked."""

    looked = 0

    def taken(self, space: str, block: int) -> int:
        self.looked += 1
        return ALL_BUCKETS

    def full(self, space: str, region: int) -> int:
        self.looked += 1
        return ALL_BUCKETS


class Lagging(Crowd):
    """The same, but its summary has not noticed."""

    def full(self, space: str, region: int) -> int:
        self.looked += 1
        return 0


def test_a_full_slash_8_is_given_up_after_a_few_hundred_looks() -> None:
    home = replace(subnet("10.0.0.0/8", pools=(pool("10.0.0.1", "10.255.255.254"),)))
    for kind, most in ((Crowd, 2000), (Lagging, 4000)):
        node = world(home, names="ab")
        crowd = kind(node.truth, node.config)
        node.sight = crowd
        assert picked(node, 1) is None
        assert crowd.looked <= most


class Watched(dict[tuple[str, int], Row]):
    """Ghosts that count how often they are asked for."""

    asked = 0

    def get(self, *key: Any) -> Any:
        self.asked += 1
        return super().get(*key)


def test_while_a_rollback_is_lived_down_an_empty_pool_is_given_up_after_few_looks() -> None:
    node = world(subnet(), names="ab")
    for number in range(20):
        ghosts = Watched({("default", BASE): Row(b"x", 2**33, 1, BOUND, 1, 60, 0)})
        asked = query(node, number, restored=ghosts)
        assert allocate(asked, asked.network.subnets) is None
        assert 0 < ghosts.asked <= 3 * LOOKS_BACK


def test_a_past_address_goes_to_a_stranger_only_when_nothing_untouched_is_near() -> None:
    node = world(subnet(pools=(pool("10.77.16.0", "10.77.16.15"),)))
    for last in range(15):
        bind(node, 1000 + last, f"10.77.16.{last}", state=RELEASED)
    spot = picked(node, 1)
    assert spot
    assert spot.address == ip("10.77.16.15")
