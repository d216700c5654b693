"""etcd restored from a snapshot (F27): what was promised since is remembered, and written back."""

from __future__ import annotations

import asyncio

import pytest

from everlease.core.lifecycle import OFFERED, Lease
from everlease.runtime.committer import LOST
from everlease.store import records
from everlease.store.memory import MemoryStore
from everlease.store.txn import Leaf, single
from everlease.wire import v4
from runtime.house import DOCUMENT, EPOCH, House, Time, Weather, grant, publish, settle
from runtime.test_responder import MAC, bind, hear, message


async def restored(offered_to: bytes = b"") -> tuple[House, int]:
    """A node with one lease whose store was replaced by an older one, without that lease; and the address.

    offered_to: the client to whom the address is on offer in the older store, b"" = nobody.
    """
    house = await House("one", Weather()).join()
    for _ in range(3):
        await house.beat()
    ack = await bind(house)
    older = MemoryStore()
    older.freshness = house.weather.store.freshness
    if offered_to:
        offer = Lease(offered_to, b"", OFFERED, int(EPOCH), int(EPOCH) + 3000, 3600, 1)
        key = house.rooms.keys.lease("default", ack.yiaddr)
        await older.batch(single(Leaf({}, [(key, records.encode_lease(offer))])), 1.0)
    house.weather.store = older
    await publish(house.weather, DOCUMENT)
    await house.beat()
    await settle(100)
    return house, ack.yiaddr


async def test_a_node_whose_store_went_back_in_time_joins_again() -> None:
    house, address = await restored()
    states = [state for state, _ in house.states]
    assert states[:2] == ["serving", "joining"]
    ghosts = house.rooms.view.ghosts
    assert ghosts is not None
    assert ghosts.get(("default", address)) is not None
    assert house.rooms.view.row("default", address) is None
    await house.leave()


async def test_leases_that_are_missing_are_written_back_with_their_expiry() -> None:
    house, address = await restored()
    ghost = (house.rooms.view.ghosts or {})[("default", address)]
    await serve_again(house)
    await house.restorer.write_back()
    await settle()
    row = house.rooms.view.row("default", address)
    assert row is not None
    assert (row.client, row.expires_at) == (ghost.client, ghost.expires_at)
    assert house.rooms.view.address_of("default", 1, ghost.client) == address
    await house.leave()


async def test_what_was_on_offer_to_another_when_the_snapshot_was_taken_is_its_later_holders_again() -> None:
    house, address = await restored(offered_to=b"\x01other")
    await serve_again(house)
    renewal = message(v4.REQUEST, MAC, ciaddr=address)
    assert await hear(house, renewal, to=house.wire.address) == []
    await house.restorer.write_back()
    await settle()
    (reply,) = await hear(house, renewal, to=house.wire.address)
    assert (reply.message_type, reply.yiaddr) == (v4.ACK, address)
    await house.leave()


async def test_while_it_is_lived_down_a_known_client_renews_and_a_new_one_gets_no_ghosts_address() -> None:
    house, address = await restored()
    await serve_again(house)
    thief = message(v4.DISCOVER, b"\x02\0\0\0\0\x66", {50: address.to_bytes(4, "big")})
    assert all(offer.yiaddr != address for offer in await hear(house, thief))
    (reply,) = await hear(house, message(v4.REQUEST, MAC, ciaddr=address), to=house.wire.address)
    assert (reply.message_type, reply.yiaddr) == (v4.ACK, address)
    await house.leave()


async def test_a_node_that_starts_while_it_is_lived_down_learns_of_it_before_it_serves() -> None:
    house, address = await restored()
    await serve_again(house)
    late = House("two", house.weather, Time(), host=3)
    await late.join()
    for _ in range(3):
        await house.beat()
        await late.beat()
    assert late.rooms.lifeline.state == "serving"
    assert late.rooms.membership.restored == pytest.approx(house.rooms.membership.restored, abs=5.0)
    assert late.rooms.view.ghosts is not None
    stranger = message(v4.DISCOVER, b"\x02\0\0\0\0\x66")
    for _ in range(3):
        assert await hear(late, stranger) == []
        late.time.boot_now += 1.0
    (reply,) = await hear(late, message(v4.REQUEST, MAC, ciaddr=address), to=late.wire.address)
    assert (reply.message_type, reply.yiaddr) == (v4.ACK, address)
    assert late.rooms.view.nodes["two"].presence.restored > 0
    await house.leave()
    await late.leave()


async def test_when_it_has_been_lived_down_nobody_is_told_of_it_any_more() -> None:
    house, _ = await restored()
    await serve_again(house)
    running = asyncio.create_task(house.restorer.run())
    await asyncio.sleep(0.1)
    house.time.boot_now = house.restorer.until + 1
    house.restorer._news.set()
    await asyncio.sleep(0.2)
    assert house.rooms.view.ghosts is None
    assert house.rooms.membership.presence(0, 0, "").restored == 0
    running.cancel()
    await house.leave()


async def test_what_was_decided_before_a_rollback_is_not_committed_after_it() -> None:
    house, _address = await restored()
    committer, config = house.rooms.committer, house.rooms.configuration.current
    outcomes: list[int] = []
    assert config is not None
    assert committer.submit(grant(0x0A4D2001, b"\x01late"), config, house.time.boot_now, outcomes.append)
    await settle()
    assert outcomes == []
    committer.release()
    await settle()
    assert outcomes == [LOST]
    assert house.rooms.view.row("default", 0x0A4D2001) is None
    await house.leave()


async def test_a_batch_that_was_under_way_when_the_store_went_back_is_not_sent_again() -> None:
    house = await House("one", Weather()).join()
    config, outcomes = house.rooms.configuration.current, list[int]()
    assert config is not None
    house.weather.decide = lambda _request, _member: "lose"
    house.rooms.committer.submit(grant(0x0A4D2001, b"\x01late"), config, house.time.boot_now, outcomes.append)
    await settle()
    house.restorer.doubt()
    house.rooms.committer.release()
    house.weather.decide = lambda _request, _member: ""
    async with asyncio.timeout(30):
        while not outcomes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert outcomes == [LOST]
    assert house.rooms.view.row("default", 0x0A4D2001) is None
    await house.leave()


async def test_a_rollback_that_others_have_overtaken_is_seen_by_the_own_presence() -> None:
    house = await House("one", Weather()).join()
    keys, old = house.rooms.keys, records.encode(house.rooms.view.nodes["one"].presence)
    for _ in range(3):
        await house.beat()
    await bind(house)
    older = MemoryStore()
    freshness = house.weather.store.freshness
    house.weather.store = older
    await publish(house.weather, DOCUMENT)
    await older.batch(single(Leaf({}, [(keys.node("one"), old)])), 1.0)
    while older.revision <= freshness.revision:
        await older.batch(single(Leaf({}, [(b"/elsewhere", b"")])), 1.0)
    older.freshness = freshness
    await house.beat()
    await settle(100)
    assert freshness.rollbacks == 1
    assert len(house.rooms.view.ghosts or {}) == 1
    await serve_again(house)
    assert house.rooms.view.nodes["one"].presence.sequence > 3
    await house.leave()


async def test_a_restored_backup_is_lived_down_as_long_as_the_configuration_says() -> None:
    house = await House("one", Weather()).join()
    configuration, view = house.rooms.configuration, house.rooms.view
    until = house.rooms.clock.now() + 900
    await configuration.documents.recover(until)
    await configuration.begin(None, 0.0)
    assert view.ghosts is not None
    assert len(view.ghosts) == 0
    assert house.restorer.until == pytest.approx(until - house.rooms.clock.later)
    stranger = message(v4.DISCOVER, b"\x02\0\0\0\0\x66")
    for _ in range(3):
        assert await hear(house, stranger) == []
        house.time.boot_now += 1.0
    await configuration.documents.publish(f"{DOCUMENT}# another text\n", 1, "anna", "", 0.0)
    await configuration.begin(None, 0.0)
    assert configuration.recover_until == until
    await configuration.documents.recover(0.0)
    await configuration.begin(None, 0.0)
    assert view.ghosts is None
    await house.leave()


async def serve_again(house: House) -> None:
    """The watch has moved to the restored store, its configuration is in force, and the presence is known there."""
    configuration = house.rooms.configuration
    house.rooms.committer.release()
    await configuration.begin(None, 0.0)
    for _ in range(3):
        await house.beat()
    assert house.rooms.lifeline.state == "serving"
    await configuration.close()
