"""Who is blamed when a client had to ask twice: the node that was first when it asked first, and nobody else (F29)."""

from __future__ import annotations

from everlease.runtime.sockets import Datagram
from everlease.wire import v4
from runtime.test_responder import hear, message, selecting
from runtime.trio import Trio


async def test_who_skips_a_node_does_so_at_once_and_says_so_soon(trio: Trio) -> None:
    mute, taker, _ = trio.houses
    told: list[bool] = []
    membership = taker.rooms.membership
    membership.news = lambda: told.append(True)
    for _ in range(3):
        assert not told
        membership.take_over("office", 0, mute.rooms.name)
    assert told
    assert mute.rooms.name not in {names[0] for names in membership.peers("office", 0).order}


async def test_a_takeover_that_is_published_while_the_own_echo_is_late_counts(trio: Trio) -> None:
    mute, taker, observer = trio.houses
    observer.time.boot_now += 3
    for _ in range(3):
        taker.rooms.membership.take_over("office", 0, mute.rooms.name)
    observer.rooms.membership.judge(observer.time.boot())
    await taker.beat()
    assert observer.rooms.membership.frozen
    assert mute.rooms.name not in {names[0] for names in observer.rooms.membership.peers("office", 0).order}


async def test_a_node_that_comes_first_between_two_copies_is_not_blamed_for_the_first(trio: Trio) -> None:
    """Both that are left answer the second copy, and the client takes whose offer it likes."""
    mute, second, third = trio.houses
    macs = trio.clients(mute, second)[:4]
    assert len(macs) == 4
    heard = [house for house in trio.houses if house is not mute]
    assert await trio.ask(*macs, of=heard) == []
    for _ in range(3):
        second.rooms.membership.take_over("office", 0, mute.rooms.name)
    for _ in range(2):
        await trio.beat()
    offers = await trio.ask(*macs, of=heard)
    assert {house for house, _ in offers} == {second, third}
    for house, offer in offers:
        if house is third:
            await trio.take(offer)
    assert trio.blamed() == set()


async def test_the_heirs_of_a_node_that_died_between_two_copies_do_not_blame_each_other(trio: Trio) -> None:
    dead, second, third = trio.houses
    macs = trio.clients(dead, second)[:4]
    assert await trio.ask(*macs, of=[second, third]) == []
    for _ in range(4):
        await trio.beat(dead)
    offers = await trio.ask(*macs, of=[second, third])
    assert {house for house, _ in offers} == {second, third}
    for house, offer in offers:
        if house is third:
            await hear(third, selecting(offer, offer.chaddr))
    assert trio.blamed() == set()


async def test_who_was_first_all_the_time_is_blamed_also_after_presences_changed(trio: Trio) -> None:
    mute, second, third = trio.houses
    (mac, *_) = trio.clients(mute, second)
    assert await trio.ask(mac, of=[second, third]) == []
    third.rooms.membership.serve({"office": [third.wire.address], "lab": []}, {"office": "office", "lab": "lab"})
    for _ in range(2):
        await trio.beat()
    ((answering, offer),) = await trio.ask(mac, of=[second, third])
    await trio.take(offer)
    assert answering is second
    assert trio.blamed() == {mute.rooms.name}


async def test_a_server_that_a_client_selects_in_vain_is_blamed_rather_than_the_buckets_owner(trio: Trio) -> None:
    owner, second, selected = trio.houses
    (mac, *_) = trio.clients(owner, second)
    (offer,) = await hear(owner, message(v4.DISCOVER, mac))
    offer.options[54] = selected.wire.address.to_bytes(4, "big")
    assert await hear(owner, selecting(offer, mac)) == []
    await trio.beat()
    await trio.beat()
    assert len(await hear(owner, selecting(offer, mac))) == 1
    assert trio.blamed() == {selected.rooms.name}


async def test_a_client_that_reboots_and_has_to_ask_twice_counts_as_well(trio: Trio) -> None:
    mute, second, _ = trio.houses
    (mac, *_) = trio.clients(mute, second)
    (offer,) = await hear(mute, message(v4.DISCOVER, mac))
    await hear(mute, selecting(offer, mac))
    rebooting = message(v4.REQUEST, mac, {50: offer.yiaddr.to_bytes(4, "big")})
    assert await hear(second, rebooting) == []
    await trio.beat()
    await trio.beat()
    assert len(await hear(second, rebooting)) == 1
    assert trio.blamed() == {mute.rooms.name}


async def test_in_a_flood_a_third_copy_is_not_everybodys_to_answer(trio: Trio) -> None:
    first, second, third = trio.houses
    (mac, *_) = trio.clients(first, second)
    for house in trio.houses:
        house.rooms.responder.gate.refuses(Datagram(b"", 0, 68, 0, b"", house.time.boot() - 1.0), house.time.boot())
    heard = []
    for _ in range(3):
        heard.append({house.rooms.name for house, _ in await trio.ask(mac, of=trio.houses)})
        await trio.beat(seconds=0.5)
        await trio.beat(seconds=0.5)
    assert heard == [{"one"}, {"one", "two"}, {"one", "two"}]
    await trio.beat(seconds=10)
    await trio.beat()
    assert {house for house, _ in await trio.ask(mac, of=trio.houses)} == {first, second, third}
