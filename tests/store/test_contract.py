"""What the store relies on, shown on the store in memory and on a real etcd by the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from everlease.core.lifecycle import RELEASED
from everlease.store.api import BadRequest, Compacted, WatchBatch
from everlease.store.keys import Keys, index_value
from everlease.store.records import decode_lease, encode_lease
from everlease.store.txn import Leaf, plan, put, single
from store.conftest import Place
from store.makers import ALICE, BOB, CAROL, fences, grant, lease, move, offer, release, renew, request

A, B = 0x0A4D0001, 0x0A4D0002
SECOND = 2.0


async def send(place: Place, *changes, fence=None):
    return await place.store.batch(request(place.keys, *changes, fence=fence), SECOND)


async def value(place: Place, key: bytes) -> bytes | None:
    page = await place.store.get_range(key, key + b"\0")
    return page.records[0].value if page.records else None


async def test_changes_of_one_batch_succeed_or_fail_alone_and_share_a_revision(place: Place) -> None:
    first = await send(place, grant(A, ALICE))
    result = await send(place, grant(A, BOB), grant(B, CAROL))
    assert [one.succeeded for one in result.results] == [False, True]
    assert result.revision == first.revision + 1
    page = await place.store.get_range(*place.keys.lease_range("default", A, B))
    assert [record.revision for record in page.records] == [first.revision, result.revision]


async def test_a_refused_change_brings_back_every_key_it_named_as_it_is_now(place: Place) -> None:
    done = await send(place, grant(A, ALICE))
    refused = (await send(place, grant(A, ALICE, nonce=9))).results[0]
    found = {record.key: record for record in refused.found}
    assert set(found) == {place.keys.lease("default", A), place.keys.client("default", 1, ALICE)}
    assert decode_lease(found[place.keys.lease("default", A)].value).client == ALICE
    assert {record.revision for record in refused.found} == {done.revision}


async def test_the_own_nonce_in_the_failure_branch_means_that_an_unknown_write_had_succeeded(place: Place) -> None:
    sent = request(place.keys, grant(A, ALICE, nonce=4711))
    await place.store.batch(sent, SECOND)  # its answer gets lost
    again = (await place.store.batch(sent, SECOND)).results[0]
    assert not again.succeeded
    assert decode_lease(again.found[0].value).nonce == 4711


async def test_an_index_is_compared_by_value_and_by_absence(place: Place) -> None:
    await send(place, grant(A, ALICE))
    absent = await send(place, grant(B, ALICE, held=0))
    other = await send(place, grant(B, ALICE, held=B))
    right = await send(place, grant(B, ALICE, held=A))
    assert [result.results[0].succeeded for result in (absent, other, right)] == [False, False, True]
    assert await value(place, place.keys.client("default", 1, ALICE)) == index_value(B)


async def test_a_move_releases_the_previous_address_only_if_it_is_as_it_was_seen(place: Place) -> None:
    done = await send(place, grant(A, ALICE))
    stale = await send(place, move(B, ALICE, A, done.revision - 1))
    assert not stale.results[0].succeeded
    moved = await send(place, move(B, ALICE, A, done.revision))
    assert moved.results[0].succeeded
    assert decode_lease(await value(place, place.keys.lease("default", A))).state == RELEASED


async def test_a_grant_deletes_the_previous_holders_index(place: Place) -> None:
    done = await send(place, grant(A, ALICE))
    taken = grant(A, BOB, done.revision)
    taken.displaced = (ALICE, 1)
    assert (await send(place, taken)).results[0].succeeded
    assert await value(place, place.keys.client("default", 1, ALICE)) is None
    assert await value(place, place.keys.client("default", 1, BOB)) == index_value(A)


async def test_a_grant_is_refused_while_somebody_elses_reservation_exists(place: Place) -> None:
    reservation = place.keys.reservation("default", A)
    made = await place.store.batch(single(Leaf({}, [(reservation, b"{}")])), SECOND)
    assert not (await send(place, grant(A, ALICE))).results[0].succeeded
    mine = grant(A, ALICE)
    mine.reservation = made.revision
    assert (await send(place, mine)).results[0].succeeded


async def test_an_offer_touches_the_address_alone(place: Place) -> None:
    change = offer(A, ALICE)
    assert plan(place.keys, change).names() == (place.keys.lease("default", A),)
    assert (await send(place, change)).results[0].succeeded
    assert await value(place, place.keys.client("default", 1, ALICE)) is None


async def test_all_compares_see_the_state_before_the_batch(place: Place) -> None:
    first, second = Leaf({b"/x": 0}), Leaf({place.keys.lease("default", A): 0})
    put_first = Leaf({}, [(place.keys.lease("default", A), encode_lease(lease()))])
    raw = single(put_first) + single(second) + single(first)
    assert [one.succeeded for one in (await place.store.batch(raw, SECOND)).results] == [True, True, True]


async def test_a_key_put_twice_refuses_the_whole_request(place: Place) -> None:
    one, two = plan(place.keys, grant(A, ALICE)), plan(place.keys, grant(A, BOB))
    with pytest.raises(BadRequest):
        await place.store.batch(single(one) + single(two), SECOND)
    assert await value(place, place.keys.lease("default", A)) is None


async def test_one_operation_too_many_is_a_bad_request(place: Place) -> None:
    leaves = b"".join(single(Leaf({place.keys.lease("default", A + n): 0})) for n in range(128))
    with pytest.raises(BadRequest):
        await place.store.batch(leaves, SECOND)


async def test_a_batch_decided_under_another_configuration_is_refused_as_a_whole(place: Place) -> None:
    await place.store.batch(single(put(place.keys.config_current, b'{"revision":1,"chunks":1}', 0)), SECOND)
    late = await send(place, grant(A, ALICE), fence=fences(place.keys, config=0))
    assert late.fenced and not late.results
    assert [record.key for record in late.found] == [place.keys.config_current]
    assert await value(place, place.keys.lease("default", A)) is None


async def test_an_old_batch_that_arrives_after_its_window_changes_nothing(place: Place) -> None:
    node = place.keys.node("n1")
    revision = (await place.store.batch(single(put(node, b"{}", 0)), SECOND)).revision
    delayed = request(place.keys, grant(A, ALICE), fence=fences(place.keys, version=1, window=3))
    for _ in range(3):
        revision = (await place.store.batch(single(put(node, b"{}", revision)), SECOND)).revision
    assert (await place.store.batch(delayed, SECOND)).fenced
    assert (await send(place, grant(A, ALICE), fence=fences(place.keys, version=4))).results[0].succeeded


async def test_a_batch_of_a_node_whose_presence_was_removed_is_refused(place: Place) -> None:
    assert (await send(place, grant(A, ALICE), fence=fences(place.keys, version=7))).fenced


async def test_a_delayed_renewal_after_a_release_finds_a_record_and_is_refused(place: Place) -> None:
    granted = await send(place, grant(A, ALICE))
    delayed = request(place.keys, renew(A, ALICE, granted.revision))
    assert (await send(place, release(A, ALICE, granted.revision))).results[0].succeeded
    assert not (await place.store.batch(delayed, SECOND)).results[0].succeeded
    assert decode_lease(await value(place, place.keys.lease("default", A))).state == RELEASED


async def test_a_range_is_one_revision_whatever_happens_meanwhile(place: Place) -> None:
    granted = await send(place, grant(A, ALICE))
    await send(place, grant(B, BOB))
    start, end = place.keys.lease_range("default", A, B)
    page = await place.store.get_range(start, end, revision=granted.revision)
    assert [record.key for record in page.records] == [place.keys.lease("default", A)]
    first = await place.store.get_range(start, end, limit=1)
    assert first.more and len(first.records) == 1


async def events(place: Place, revision: int, count: int) -> list[WatchBatch]:
    keys: Keys = place.keys
    seen: list[WatchBatch] = []
    stream: AsyncIterator[WatchBatch] = place.store.watch(keys.watched, keys.watched_end, revision)
    async with asyncio.timeout(30):
        async for batch in stream:
            seen.append(batch)
            if sum(len(one.events) for one in seen) >= count:
                break
    return seen


async def test_a_watch_tells_the_past_and_then_the_present_in_order(place: Place) -> None:
    granted = await send(place, grant(A, ALICE))
    watching = asyncio.create_task(events(place, granted.revision, 2))
    await asyncio.sleep(0.05)
    released = await send(place, release(A, ALICE, granted.revision))
    seen = [event.revision for batch in await watching for event in batch.events]
    assert seen == [granted.revision, released.revision]


async def test_a_watch_shows_deletions_as_records_without_value(place: Place) -> None:
    granted = await send(place, grant(A, ALICE))
    key = place.keys.lease("default", A)
    await place.store.batch(single(Leaf({key: granted.revision}, deletes=[key])), SECOND)
    seen = [event.value is None for batch in await events(place, granted.revision, 2) for event in batch.events]
    assert seen == [False, True]


async def test_a_compacted_revision_is_said_to_be_compacted(place: Place) -> None:
    granted = await send(place, grant(A, ALICE))
    later = await send(place, grant(B, BOB))
    await place.store.compact(later.revision)
    with pytest.raises(Compacted):
        await events(place, granted.revision, 1)
    with pytest.raises(Compacted):
        await place.store.get_range(place.keys.watched, place.keys.watched_end, revision=granted.revision)
