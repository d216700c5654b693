"""The hot path: a reply leaves after its commit, or not at all; silence is counted."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest
from msgspec import structs

from everlease.core.actions import Change
from everlease.core.identity import client_bucket
from everlease.core.model import Config
from everlease.runtime.committer import COMMITTED, FENCED, LOST, NEW, REFUSED, Ticket
from everlease.runtime.exchange import Exchange
from everlease.runtime.sockets import Datagram
from everlease.store.records import row_of
from everlease.store.txn import Leaf
from everlease.wire import v4
from runtime.house import House, Weather, settle

EVERYBODY = 0xFFFFFFFF
MAC = b"\x02\x00\x00\x00\x00\x07"
ORDERED = """\
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, allocator: ordered, pools: [{range: 10.77.20.0-10.77.20.99}]}
"""


@pytest.fixture
async def house() -> AsyncIterator[House]:
    alone = await House("one", Weather()).join()
    yield alone
    await alone.leave()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[House, House]]:
    weather = Weather()
    one, two = await House("one", weather, host=2).join(), await House("two", weather, host=3).join()
    for house in (one, two, one, two):
        await house.beat()
    yield one, two
    await one.leave()
    await two.leave()


def message(kind: int, mac: bytes = MAC, options: dict[int, bytes] | None = None, ciaddr: int = 0) -> v4.Packet:
    return v4.Packet(xid=7, chaddr=mac, flags=0x8000, ciaddr=ciaddr, options={53: bytes([kind]), **(options or {})})


def selecting(offer: v4.Packet, mac: bytes = MAC) -> v4.Packet:
    return message(v4.REQUEST, mac, {54: offer.options[54], 50: offer.yiaddr.to_bytes(4, "big")})


async def hear(house: House, *packets: v4.Packet | bytes, age: float = 0.0, to: int = EVERYBODY) -> list[v4.Packet]:
    """Let a node hear packets, and return what it sends."""
    before = len(house.wire.sent)
    for packet in packets:
        data = packet if isinstance(packet, bytes) else v4.build(packet)
        source = 0 if isinstance(packet, bytes) else packet.ciaddr
        house.wire.waiting.append(Datagram(data, source, 68, to, MAC, house.time.boot() - age))
    house.rooms.responder.drain(house.wire)
    await settle()
    return [v4.parse(payload) for payload in house.wire.sent[before:]]


def dropped(house: House) -> dict[str, int]:
    return {reason: count for reason, count in house.rooms.counters.dropped.items() if count}


async def bind(house: House, mac: bytes = MAC) -> v4.Packet:
    """DISCOVER and REQUEST; the ACK."""
    (offer,) = await hear(house, message(v4.DISCOVER, mac))
    (ack,) = await hear(house, selecting(offer, mac))
    assert ack.message_type == v4.ACK
    return ack


@dataclass
class Held:
    """A committer that answers when the test says so."""

    asked: list[tuple[Change, Callable[[int], None]]] = field(default_factory=list)
    length: int = 0

    def submit(self, change: Change, config: Config, started: float, done: Callable[[int], None]) -> Ticket:
        self.asked.append((change, done))
        return Ticket(Leaf({}, []), NEW, config.mod_revision, started, done, change)


@pytest.fixture
def held(house: House) -> Held:
    held = Held()
    house.rooms.committer = held  # type: ignore[assignment]
    return held


async def test_a_client_is_offered_and_gets_an_address_that_the_store_knows(house: House) -> None:
    ack = await bind(house)
    row = house.rooms.view.row("default", ack.yiaddr)
    assert row is not None
    assert row.client[-6:] == MAC
    counters = house.rooms.counters
    assert counters.received["discover"] == counters.received["request"] == 1
    assert counters.durations["request", "ack"].count == 1
    assert len(house.rooms.offers) == 0


async def test_an_ack_leaves_after_the_commit_and_not_before(house: House, held: Held) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    assert await hear(house, selecting(offer)) == []
    ((_, done),) = held.asked
    done(COMMITTED)
    assert v4.parse(house.wire.sent[-1]).message_type == v4.ACK


async def test_a_reply_older_than_five_seconds_never_leaves(house: House, held: Held) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    await hear(house, selecting(offer))
    house.time.boot_now += 5.1
    held.asked[0][1](COMMITTED)
    assert len(house.wire.sent) == 1  # the OFFER
    assert dropped(house) == {"unavailable": 1}


async def test_a_refused_change_is_decided_again_twice_and_then_dropped(house: House, held: Held) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    await hear(house, selecting(offer))
    for number in range(3):
        assert len(held.asked) == number + 1
        held.asked[number][1](REFUSED)
    assert len(held.asked) == 3
    assert dropped(house) == {"conflict": 1}
    assert house.rooms.counters.received["request"] == 1


@pytest.mark.parametrize("outcome", [REFUSED, FENCED])
async def test_a_release_that_comes_late_does_not_free_what_its_client_got_since(house: House, outcome: int) -> None:
    ack = await bind(house)
    held = Held()
    house.rooms.committer = held  # type: ignore[assignment]
    release = message(v4.RELEASE, options={54: house.wire.address.to_bytes(4, "big")}, ciaddr=ack.yiaddr)
    await hear(house, release, to=house.wire.address)
    row = house.rooms.view.row("default", ack.yiaddr)
    assert row is not None
    house.rooms.view.table("default").put(ack.yiaddr, structs.replace(row, revision=row.revision + 9))
    ((_, done),) = held.asked
    done(outcome)
    assert len(held.asked) == 1
    assert dropped(house) == {"conflict": 1}
    house.rooms.committer = house.committer


@pytest.mark.parametrize("outcome", [REFUSED, FENCED])
async def test_a_request_that_comes_late_does_not_move_its_client_from_what_it_got_since(
    house: House, outcome: int
) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    held = Held()
    house.rooms.committer = held  # type: ignore[assignment]
    await hear(house, selecting(offer))
    ((asked, done),) = held.asked
    assert asked.lease is not None
    elsewhere = row_of(asked.lease, house.rooms.view.revision + 9)
    house.rooms.view.table("default").put(offer.yiaddr + 1, elsewhere)  # by another node
    done(outcome)
    assert len(held.asked) == 1
    assert dropped(house) == {"conflict": 1}
    house.rooms.committer = house.committer


async def test_two_clients_of_one_wake_up_are_not_offered_the_same_address(house: House) -> None:
    other, wanted = b"\x02\x00\x00\x00\x00\x08", {50: b"\x0a\x4d\x14\x07"}
    for _ in range(3):  # the view is not proved to be fresh: each offer is checked before it leaves
        house.time.boot_now += 0.5
        house.rooms.lifeline.beat(house.time.boot())
    offers = await hear(house, message(v4.DISCOVER, MAC, wanted), message(v4.DISCOVER, other, wanted))
    assert len(offers) == 2
    assert len({offer.yiaddr for offer in offers}) == 2


async def test_clients_of_one_wake_up_get_the_lowest_addresses_each_at_the_first_try() -> None:
    house = await House("one", Weather()).join(ORDERED)
    offers = await hear(house, *(message(v4.DISCOVER, MAC[:-1] + bytes((number,))) for number in range(8)))
    assert [offer.yiaddr & 255 for offer in offers] == list(range(8))
    assert (house.rooms.counters.conflicts, dropped(house)) == (0, {})
    await house.leave()


@pytest.mark.parametrize("outcomes", [[LOST], [REFUSED] * 3, [FENCED, LOST]])
async def test_an_offer_that_was_not_committed_is_not_held(outcomes: list[int]) -> None:
    house, held = await House("one", Weather()).join(ORDERED), Held()
    house.rooms.committer = held  # type: ignore[assignment]
    assert await hear(house, message(v4.DISCOVER)) == []
    for number, outcome in enumerate(outcomes):
        assert len(house.rooms.offers) == 1
        held.asked[number][1](outcome)
    assert len(house.rooms.offers) == 0
    house.rooms.committer = house.committer
    await house.leave()


async def test_a_duplicate_of_what_is_in_flight_is_dropped(house: House, held: Held) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    await hear(house, selecting(offer), selecting(offer))
    assert len(held.asked) == 1
    assert dropped(house) == {"duplicate": 1}


async def test_who_asks_anew_while_its_change_is_on_its_way_is_answered_as_it_asked_last(house: House) -> None:
    (offer,) = await hear(house, message(v4.DISCOVER))
    (ack,) = await hear(house, selecting(offer))
    held = Held()
    house.rooms.committer = held  # type: ignore[assignment]
    asked = [replace(message(v4.REQUEST, ciaddr=ack.yiaddr), xid=xid) for xid in (21, 22, 22, 23)]
    assert await hear(house, *asked) == []  # by unicast, and then, with a new xid each, by broadcast
    assert len(held.asked) == 1
    assert dropped(house) == {"duplicate": 2}
    before = len(house.wire.sent)
    held.asked[0][1](COMMITTED)
    held.asked[1][1](COMMITTED)
    assert [v4.parse(payload).xid for payload in house.wire.sent[before:]] == [21, 23]
    assert len(held.asked) == 2
    house.rooms.committer = house.committer
    await house.leave()


async def test_a_packet_that_waited_two_seconds_is_dropped(house: House) -> None:
    assert await hear(house, message(v4.DISCOVER), age=2.1) == []
    assert dropped(house) == {"stale": 1}


async def test_garbage_is_counted_and_the_next_client_is_served(house: House) -> None:
    await hear(house, b"", b"\x01" * 239, bytes(240), v4.build(message(v4.DISCOVER))[:242])
    assert dropped(house) == {"malformed": 4}
    await bind(house)


async def test_behind_its_work_a_node_sheds_discovers_before_requests_before_renewals(house: House) -> None:
    ack = await bind(house)
    (offer,) = await hear(house, message(v4.DISCOVER, b"\x02\0\0\0\0\x08"))
    renewal = message(v4.REQUEST, ciaddr=ack.yiaddr)
    assert await hear(house, message(v4.DISCOVER, b"\x02\0\0\0\0\x09"), age=0.5) == []
    assert await hear(house, selecting(offer, b"\x02\0\0\0\0\x08"), age=0.9) == []
    assert dropped(house) == {"overload": 2}
    assert len(await hear(house, renewal, age=1.5, to=house.wire.address)) == 1


async def test_a_client_is_heard_ten_times_a_second(house: House) -> None:
    await hear(house, *[message(v4.DISCOVER)] * 30)
    assert dropped(house)["rate_limit"] == 20


async def test_a_node_that_joins_is_silent(house: House) -> None:
    house.time.boot_now += 10  # stopped
    assert await hear(house, message(v4.DISCOVER)) == []
    assert await hear(house, message(v4.DISCOVER), age=9.0) == []  # heard meanwhile: others answered it
    assert dropped(house) == {"not_serving": 2}
    await house.beat(0.0)
    assert len(await hear(house, message(v4.DISCOVER))) == 1


async def test_a_store_without_a_leader_lets_renewals_be_answered_and_nothing_else(house: House) -> None:
    ack = await bind(house)
    house.weather.decide = lambda _request, _member: "lose"
    for _ in range(40):
        house.time.boot_now += 0.1
        house.rooms.lifeline.beat(house.time.boot())
    house.rooms.lifeline.leaderless = True
    house.rooms.lifeline.evaluate(house.time.boot())
    assert house.rooms.lifeline.state == "extending"
    replies = await hear(house, message(v4.REQUEST, ciaddr=ack.yiaddr), to=house.wire.address)
    assert [reply.message_type for reply in replies] == [v4.ACK]
    assert await hear(house, message(v4.DISCOVER, b"\x02\0\0\0\0\x08")) == []
    reboot = message(v4.REQUEST, options={50: ack.yiaddr.to_bytes(4, "big")})
    assert await hear(house, reboot) == []


def owner_first(pair: tuple[House, House], mac: bytes = MAC) -> tuple[House, House]:
    one, two = pair
    bucket = client_bucket(b"\x02\x01" + mac)
    return (one, two) if one.rooms.membership.peers("office", 0).order[bucket][0] == "one" else (two, one)


async def test_one_of_two_nodes_answers_and_the_other_at_the_second_copy(pair: tuple[House, House]) -> None:
    owner, other = owner_first(pair)
    assert await hear(other, message(v4.DISCOVER)) == []
    assert len(await hear(owner, message(v4.DISCOVER))) == 1
    other.time.boot_now += 0.9
    await other.beat(0.0)
    assert len(await hear(other, message(v4.DISCOVER))) == 1


async def test_an_offer_of_a_node_that_died_is_completed_by_the_other(pair: tuple[House, House]) -> None:
    owner, other = owner_first(pair)
    (offer,) = await hear(owner, message(v4.DISCOVER))
    assert await hear(other, selecting(offer)) == []
    for _ in range(4):  # the owner's presence grows old
        await other.beat()
    (ack,) = await hear(other, selecting(offer))
    assert (ack.message_type, ack.yiaddr) == (v4.ACK, offer.yiaddr)


async def test_clients_of_a_mute_node_are_taken_over_and_it_is_skipped(pair: tuple[House, House]) -> None:
    owner, other = owner_first(pair)
    taken = 0
    for number in range(60):
        mac = bytes((2, 0, 0, 0, 1, number))
        if owner_first(pair, mac)[0] is not owner or taken == 3:
            continue
        taken += 1
        await hear(other, message(v4.DISCOVER, mac))
        other.time.boot_now += 0.9
        owner.time.boot_now += 0.9
        await owner.beat(0.0)
        await other.beat(0.0)
        (offer,) = await hear(other, message(v4.DISCOVER, mac))
        (ack,) = await hear(other, selecting(offer, mac))
        assert ack.message_type == v4.ACK
    assert other.rooms.counters.takeovers == {("office", owner.rooms.name): 3}
    await other.beat()
    order = other.rooms.membership.peers("office", 0).order
    assert {names[0] for names in order} == {other.rooms.name}


async def test_a_node_whose_view_is_old_learns_from_the_refusal_and_answers(pair: tuple[House, House]) -> None:
    owner, other = owner_first(pair)
    ack = await bind(owner)
    await settle()
    other.tasks[0].cancel()  # its watch is frozen
    renewal = message(v4.REQUEST, ciaddr=ack.yiaddr)
    assert len(await hear(owner, renewal, to=owner.wire.address)) == 1
    (reply,) = await hear(other, renewal, to=other.wire.address)
    assert reply.message_type == v4.ACK
    assert other.rooms.counters.conflicts == 1


async def test_an_exchange_that_has_ended_leaves_nothing_to_the_garbage_collector(house: House) -> None:
    gc.disable()
    try:
        await bind(house)
        assert not [each for each in gc.get_objects() if isinstance(each, Exchange | Ticket)]
    finally:
        gc.enable()
