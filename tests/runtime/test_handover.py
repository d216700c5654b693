"""While clients pass from one node to another, each first copy has an answer: who had them goes on for a moment."""

from __future__ import annotations

from everlease.runtime.candidates import OVERLAP
from everlease.runtime.takeovers import FIRST
from everlease.wire import v4
from runtime.house import House
from runtime.test_responder import hear, message, selecting
from runtime.trio import Trio


async def leave(trio: Trio, house: House) -> None:
    """It has no link, and the others know."""
    house.rooms.membership.serve({}, {"office": "office"})
    await trio.beat()
    await trio.beat()


async def come_back(trio: Trio, house: House) -> None:
    house.rooms.membership.serve({"office": [house.wire.address]}, {"office": "office"})
    await trio.beat(seconds=0.0)


def answering(found: list[tuple[House, v4.Packet]]) -> list[str]:
    return [house.rooms.name for house, _ in found]


async def test_while_a_node_comes_back_no_first_copy_is_nobodys(trio: Trio) -> None:
    """It drops a copy because it does not serve yet; when the others look at theirs, they know that it does."""
    back, *others = trio.houses
    macs = trio.clients(back)[:9]
    await leave(trio, back)
    assert await trio.ask(*macs, of=[back]) == []
    await come_back(trio, back)
    assert {name for house in others for name in house.rooms.membership.eligible} == {"one", "two", "three"}
    for mac in macs:
        assert len(await trio.ask(mac, of=others)) == 1


async def test_a_moment_later_they_are_its_own(trio: Trio) -> None:
    back, *others = trio.houses
    macs = trio.clients(back)[:9]
    await leave(trio, back)
    await trio.ask(macs[0], of=others)
    await come_back(trio, back)
    await trio.beat(seconds=OVERLAP + 0.1)
    found = await trio.ask(*macs[1:], of=trio.houses)
    assert answering(found) == [back.rooms.name] * 8


async def test_others_clients_are_never_answered_twice(trio: Trio) -> None:
    back, owner, third = trio.houses
    macs = trio.clients(owner)[:9]
    await leave(trio, back)
    await come_back(trio, back)
    assert answering(await trio.ask(*macs, of=[owner, third])) == [owner.rooms.name] * 9


async def test_of_two_offers_the_client_takes_one_and_the_other_is_forgotten(trio: Trio) -> None:
    back, *others = trio.houses
    (mac, *_) = trio.clients(back)
    await leave(trio, back)
    await come_back(trio, back)
    (one, first), (other, _) = await trio.ask(mac, of=trio.houses)
    replies = [reply for house in (back, *others) for reply in await hear(house, selecting(first, mac))]
    assert [(reply.message_type, reply.yiaddr) for reply in replies] == [(v4.ACK, first.yiaddr)]
    assert one is not other
    assert other.rooms.offers.of("default", b"\x02\x01" + mac, other.rooms.clock.now()) is None


async def test_when_a_skip_is_over_nobody_waits_for_who_does_not_know_yet(trio: Trio) -> None:
    skipped, *others = trio.houses
    macs = trio.clients(skipped)[:9]
    for _ in range(3):
        others[0].rooms.membership.take_over("office", 0, skipped.rooms.name)
    await trio.beat()
    await trio.beat(seconds=OVERLAP)
    assert skipped.rooms.name not in answering(await trio.ask(macs[0], of=trio.houses))
    for seconds in (FIRST - 2 * OVERLAP - 0.6, 0.0, OVERLAP):
        await trio.beat(seconds=seconds)
    for house in trio.houses:
        house.time.boot_now += 0.2
    for house in others:
        house.rooms.membership.judge(house.time.boot())
        assert house.rooms.membership.peers("office", 0).order != skipped.rooms.membership.peers("office", 0).order
    for mac in macs[1:]:
        assert len(await trio.ask(mac, of=trio.houses)) >= 1


async def test_a_message_that_names_the_node_that_came_back_is_left_to_it(trio: Trio) -> None:
    back, *others = trio.houses
    (mac, *_) = trio.clients(back)
    await leave(trio, back)
    await come_back(trio, back)
    (offer,) = await hear(back, message(v4.DISCOVER, mac))
    assert [reply for house in others for reply in await hear(house, selecting(offer, mac))] == []
    (ack,) = await hear(back, selecting(offer, mac))
    assert ack.message_type == v4.ACK
