"""What an outsider may do to a node, and to a pool: rates by client, circuit and link, and a share on probation."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from itertools import count

import pytest

from everlease.core.model import Limits
from everlease.runtime.buckets import Buckets
from everlease.runtime.gate import Gate
from everlease.runtime.lifeline import Lifeline
from everlease.runtime.sockets import Datagram
from everlease.wire import v4
from runtime.house import House, Weather, settle

DOCUMENT = """\
limits: {packets-per-client: off, declines-per-client: off, declines-per-circuit: off}
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, pools: [{range: 10.77.20.0-10.77.20.39}]}
"""
RELAY = 0x0A4DFFFE


@pytest.fixture
async def house() -> AsyncIterator[House]:
    alone = await House("one", Weather()).join(DOCUMENT)
    yield alone
    await alone.leave()


def gate(**limits: float) -> Gate:
    found = Gate(Lifeline(lambda: 0.0))
    found.limit(Limits(**limits))
    return found


def packet(kind: int = v4.DISCOVER, circuit: bytes = b"", giaddr: int = RELAY, client: int = 1) -> v4.Packet:
    options = {53: bytes([kind])} | ({82: bytes([1, len(circuit)]) + circuit} if circuit else {})
    return v4.Packet(xid=client, chaddr=client.to_bytes(6, "big"), giaddr=giaddr, options=options)


def passed(found: Gate, packets: list[v4.Packet], link: str = "", now: float = 0.0) -> int:
    return sum(not found.refuses_message(each, link, now) for each in packets)


def test_by_default_circuits_and_links_may_send_as_they_like() -> None:
    assert passed(gate(), [packet(client=n) for n in range(500)]) == 500


def test_a_circuit_has_its_rate_whoever_the_clients_say_they_are_and_its_neighbour_another() -> None:
    found = gate(packets_per_circuit=20)
    assert passed(found, [packet(circuit=b"port 1", client=n) for n in range(500)]) == 20
    assert found.refuses_message(packet(circuit=b"port 1"), "", 0.0) == "circuit_rate"
    assert passed(found, [packet(circuit=b"port 2", client=n) for n in range(15)]) == 15
    assert passed(found, [packet(circuit=b"port 1", client=n) for n in range(500)], now=0.5) == 10


def test_a_relay_without_circuits_is_one_and_so_is_one_whose_words_cannot_be_read() -> None:
    found = gate(packets_per_circuit=20)
    bad = packet()
    bad.options[82] = b"\x01\xff"
    assert passed(found, [packet(client=n) for n in range(15)]) == 15
    assert passed(found, [bad] * 10) == 5


def test_what_a_client_says_of_its_circuit_counts_for_nothing() -> None:
    found = gate(declines_per_client=0.0, declines_per_circuit=10 / 60)
    forged = [packet(v4.DECLINE, circuit=b"%d" % n, giaddr=0, client=n) for n in range(100)]
    assert passed(found, forged, "office") == 10
    assert found.refuses_message(forged[0], "office", 0.0) == "decline_rate"


def test_a_link_has_its_rate() -> None:
    found = gate(packets_per_link=50)
    assert passed(found, [packet(giaddr=0, client=n) for n in range(200)], "office") == 50
    assert found.refuses_message(packet(giaddr=0), "office", 0.0) == "link_rate"
    assert passed(found, [packet(giaddr=0)], "lab") == 1


def test_a_client_declines_some_and_then_one_now_and_then_and_nobody_else_is_held_back() -> None:
    found = gate()
    assert passed(found, [packet(v4.DECLINE)] * 20, "office") == 6
    assert passed(found, [packet(v4.DECLINE)] * 20, "office", now=30.0) == 3
    assert passed(found, [packet(v4.DECLINE, client=2), packet(v4.RELEASE)], "office") == 2


def test_releases_are_limited_where_the_operator_says_so() -> None:
    assert passed(gate(), [packet(v4.RELEASE, client=n) for n in range(300)], "office") == 300
    found = gate(releases_per_circuit=2.0)
    assert passed(found, [packet(v4.RELEASE, client=n) for n in range(300)], "office") == 120
    assert found.refuses_message(packet(v4.RELEASE), "office", 0.0) == "release_rate"


def test_however_many_keys_come_the_table_is_bounded_and_a_known_client_keeps_its_count() -> None:
    buckets, chance = Buckets(2.0, most=100), random.Random(1)
    for number in count():
        buckets.allows(chance.randbytes(6), 0.0)
        if number % 50 == 0 and not buckets.allows(b"known", 0.0) and number > 1000:
            break
    assert len(buckets._young) + len(buckets._old) <= 201


def test_a_rate_below_one_a_second_lets_one_through_at_once() -> None:
    buckets = Buckets(0.1)
    assert [buckets.allows("a", at) for at in (0.0, 1.0, 10.0, 10.1)] == [True, False, True, False]


async def test_a_pool_that_is_declined_is_parked_to_a_quarter_and_the_others_are_served(house: House) -> None:
    counters = house.rooms.counters
    for number in range(1, 21):
        await take_and_decline(house, number)
    assert house.rooms.view.declined(1) == 10
    assert counters.dropped["probation_full"] == 10
    (offer,) = await hear(house, packet(giaddr=0, client=99))
    assert offer.message_type == v4.OFFER


CROWDED = """\
limits: {packets-per-client: off, leases-per-circuit: 2}
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, pools: [{range: 10.77.20.0-10.77.20.39}],
     reservations: [{hw-address: "00:00:00:00:00:09", address: 10.77.0.9}]}
"""


async def test_a_circuit_has_as_many_leases_as_it_may_whatever_it_invents_and_its_neighbour_another() -> None:
    house = await House("one", Weather()).join(CROWDED)
    counters = house.rooms.counters
    granted = [await take(house, number, b"port 1") for number in range(1, 6)]
    assert [bool(address) for address in granted] == [True, True, False, False, False]
    assert counters.dropped["lease_limit"] == 3
    assert await take(house, 1, b"port 1") == granted[0]  # its own
    assert await take(house, 9, b"port 1") == 0x0A4D0009  # reserved for it
    assert await take(house, 6, b"port 2")
    release = packet(v4.RELEASE, b"port 1", client=1)
    release.ciaddr = granted[0]
    release.options[54] = house.wire.address.to_bytes(4, "big")
    await hear(house, release)
    assert not await take(house, 7, b"port 1")  # the reserved one counts as well
    await house.leave()


async def test_leases_that_were_there_before_the_node_are_counted_with_the_others() -> None:
    weather = Weather()
    first = await House("one", weather).join(CROWDED)
    assert [bool(await take(first, number, b"port 1")) for number in (1, 2)] == [True, True]
    second = await House("two", weather, host=3).join(CROWDED)
    assert second.rooms.view.circuit_leases("default", (RELAY, b"port 1"), second.rooms.clock.now()) == 2
    assert second.rooms.view.circuit_leases("default", (RELAY, b"port 1"), second.rooms.clock.now() + 10**6) == 0
    for house in (first, second):
        await house.leave()


async def take(house: House, number: int, circuit: bytes) -> int:
    """DISCOVER and REQUEST; the address, 0 = there was silence."""
    for offer in await hear(house, packet(circuit=circuit, client=number)):
        request = packet(v4.REQUEST, circuit, client=number)
        request.options |= {54: offer.options[54], 50: offer.yiaddr.to_bytes(4, "big")}
        for ack in await hear(house, request):
            return ack.yiaddr if ack.message_type == v4.ACK else 0
    return 0


async def take_and_decline(house: House, number: int) -> None:
    (offer,) = await hear(house, packet(giaddr=0, client=number))
    named = {54: offer.options[54], 50: offer.yiaddr.to_bytes(4, "big")}
    request, decline = packet(v4.REQUEST, giaddr=0, client=number), packet(v4.DECLINE, giaddr=0, client=number)
    for message in (request, decline):
        message.options |= named
        await hear(house, message)


async def hear(house: House, message: v4.Packet) -> list[v4.Packet]:
    before = len(house.wire.sent)
    house.wire.waiting.append(
        Datagram(v4.build(message), message.giaddr, 68, 0xFFFFFFFF, message.chaddr, house.time.boot())
    )
    house.rooms.responder.drain(house.wire)
    await settle()
    return [v4.parse(reply) for reply in house.wire.sent[before:]]
