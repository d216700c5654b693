"""What counts as asking again, with two nodes on one link: nobody is answered twice for asking something else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from everlease.core.identity import client_bucket
from everlease.wire import v4
from runtime.house import House, Weather, settle
from runtime.test_responder import MAC, hear, message, selecting


@pytest.fixture
async def pair() -> AsyncIterator[tuple[House, House]]:
    """(owner of the client's bucket, the other one)."""
    weather = Weather()
    one, two = await House("one", weather, host=2).join(), await House("two", weather, host=3).join()
    for house in (one, two, one, two):
        await house.beat()
    first = one.rooms.membership.peers("office", 0).order[client_bucket(b"\x02\x01" + MAC)][0]
    yield (one, two) if first == "one" else (two, one)
    await one.leave()
    await two.leave()


async def told(pair: tuple[House, House], packet: v4.Packet) -> list[list[v4.Packet]]:
    """What each of them answers to a broadcast."""
    answers = [await hear(house, packet) for house in pair]
    for house in pair:
        await house.beat()
        await settle()
    return answers


async def bound(pair: tuple[House, House]) -> v4.Packet:
    (offer,), nothing = await told(pair, message(v4.DISCOVER))
    (ack,), silence = await told(pair, selecting(offer))
    assert (nothing, silence) == ([], [])
    return ack


@pytest.mark.parametrize("state", ["init-reboot", "rebinding"])
async def test_a_client_that_asks_something_else_right_after_it_was_bound_is_answered_once(
    pair: tuple[House, House], state: str
) -> None:
    ack = await bound(pair)
    for house in pair:
        house.time.boot_now += 5
        await house.beat()
    reboot = message(v4.REQUEST, options={50: ack.yiaddr.to_bytes(4, "big")})
    packet = reboot if state == "init-reboot" else message(v4.REQUEST, ciaddr=ack.yiaddr)
    answers = await told(pair, packet)
    assert [len(each) for each in answers] == [1, 0]


async def test_a_renewal_that_one_node_answered_is_no_reason_to_answer_a_later_broadcast(
    pair: tuple[House, House],
) -> None:
    owner, other = pair
    ack = await bound(pair)
    renewal = message(v4.REQUEST, ciaddr=ack.yiaddr)
    assert len(await hear(other, renewal, to=other.wire.address)) == 1
    for house in pair:
        house.time.boot_now += 5
        await house.beat()
    answers = await told(pair, renewal)
    assert [len(each) for each in answers] == [1, 0]
    for house in (owner, other):
        house.time.boot_now += 5
        await house.beat()
    assert [len(each) for each in await told(pair, renewal)] == [1, 1]  # but a second broadcast is
