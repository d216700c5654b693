"""WatchLeases and WatchStatus: every change, in order and once; and where to go on when a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from admin.furnished import lease, neighbour, put_leases
from everlease.admin import watching
from everlease.admin.seats import WATCHES
from everlease.admin.statuses import Statuses
from everlease.pb.admin.v1 import cluster_service_pb2 as cluster
from everlease.pb.admin.v1 import cluster_service_pb2_grpc, lease_service_pb2_grpc
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store import feed as feeds
from everlease.store.api import WatchBatch
from everlease.store.txn import Leaf, single

POOL = 0x0A4D1000
PRESENT, PUT, DELETED = pb.LEASE_EVENT_TYPE_PRESENT, pb.LEASE_EVENT_TYPE_PUT, pb.LEASE_EVENT_TYPE_DELETED


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> lease_service_pb2_grpc.LeaseServiceStub:
    return lease_service_pb2_grpc.LeaseServiceStub(channel)


@pytest.fixture
async def fed(rooms: Rooms) -> AsyncIterator[Rooms]:
    """The node follows its store, as its loader does."""
    rooms.feed.resume(rooms.store.revision)
    keys = rooms.keys

    async def follow() -> None:
        async for batch in rooms.store.watch(keys.watched, keys.watched_end, rooms.store.revision + 1):
            rooms.feed.publish(batch)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    yield rooms
    task.cancel()


async def events(call: grpc.aio.UnaryStreamCall, count: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while len(found) < count:
        message = await asyncio.wait_for(call.read(), 20)
        found += [(event.type, event.lease.address) for event in message.events]
    return found


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def ended(call: grpc.aio.UnaryStreamCall) -> tuple[grpc.StatusCode, ErrorInfo, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while True:
            await asyncio.wait_for(call.read(), 20)
    info = ErrorInfo()
    status = rpc_status.from_call(caught.value)
    assert status.details[0].Unpack(info)
    return caught.value.code(), info, caught.value.details()


async def test_what_happens_from_now_on_is_told_in_order(fed: Rooms, stub) -> None:
    await put_leases(fed, [(POOL, lease(1))])
    call = stub.WatchLeases(pb.WatchLeasesRequest())
    watcher = asyncio.create_task(events(call, 3))
    await until(lambda: fed.feed._readers)
    await put_leases(fed, [(POOL + 1, lease(2))])
    await put_leases(fed, [(POOL, lease(1, ends=1900))])
    await fed.store.batch(single(Leaf({}, deletes=[fed.keys.lease("default", POOL + 1)])), 1.0)
    assert await watcher == [(PUT, "10.77.16.1"), (PUT, "10.77.16.0"), (DELETED, "10.77.16.1")]


async def test_a_watch_resumes_from_any_revision_that_is_kept(rooms: Rooms, stub) -> None:
    first = rooms.store.revision + 1
    for number in range(1, 6):
        await put_leases(rooms, [(POOL + number, lease(number))])
    whole = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=first))
    assert [address for _, address in await events(whole, 5)] == [f"10.77.16.{number}" for number in range(1, 6)]
    late = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=first + 3))
    assert [address for _, address in await events(late, 2)] == ["10.77.16.4", "10.77.16.5"]


async def test_a_snapshot_comes_first_and_what_follows_joins_on_without_a_gap(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(1, 99)])
    call = stub.WatchLeases(pb.WatchLeasesRequest(snapshot=True))
    first = await call.read()
    await put_leases(rooms, [(POOL + 1, lease(1, ends=1900)), (0x0A4E000A, lease(5, subnet=2))])
    seen, message = len(first.events), first
    while message.snapshot_continues:
        assert {event.type for event in message.events} == {PRESENT}
        message = await call.read()
        seen += len(message.events)
        assert message.revision == first.revision
    assert seen == 98
    assert await events(call, 2) == [(PUT, "10.77.16.1"), (PUT, "10.78.0.10")]


async def test_only_what_matches_is_told(rooms: Rooms, stub) -> None:
    first = rooms.store.revision + 1
    await put_leases(rooms, [(POOL + 1, lease(1)), (0x0A4E000A, lease(2, subnet=2)), (POOL + 2, lease(3))])
    by_subnet = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=first, subnet=2))
    assert await events(by_subnet, 1) == [(PUT, "10.78.0.10")]
    by_client = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=first, client="02:00:00:00:00:03"))
    assert await events(by_client, 1) == [(PUT, "10.77.16.2")]


async def test_a_revision_that_is_compacted_away_says_where_to_restart(rooms: Rooms, stub) -> None:
    first = rooms.store.revision + 1
    for number in range(1, 4):
        await put_leases(rooms, [(POOL + number, lease(number))])
    await rooms.store.compact(rooms.store.revision)
    code, info, words = await ended(stub.WatchLeases(pb.WatchLeasesRequest(start_revision=first)))
    assert (code, info.reason) == (grpc.StatusCode.OUT_OF_RANGE, "COMPACTED")
    assert info.metadata["restart_revision"] == str(rooms.store.revision)
    assert "start again" in words
    again = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=int(info.metadata["restart_revision"])))
    assert await events(again, 1) == [(PUT, "10.77.16.3")]


async def test_who_reads_too_slowly_is_ended_with_the_revision_to_go_on_from(
    rooms: Rooms, stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "ROOM", 10)
    monkeypatch.setattr(feeds, "KEPT", 5)
    monkeypatch.setattr(watching, "PACE", 0.2)
    rooms.feed.resume(rooms.store.revision)
    call = stub.WatchLeases(pb.WatchLeasesRequest())
    asking = asyncio.create_task(ended(call))
    await until(lambda: rooms.feed._readers)
    for number in range(1, 40):
        await put_leases(rooms, [(POOL + number, lease(number))])
        rooms.feed.publish(WatchBatch(rooms.store._mvcc.log[-1:], rooms.store.revision))
    code, info, _ = await asking
    assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_READER")
    resumed = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=int(info.metadata["resume_revision"])))
    assert (await events(resumed, 1))[0][1].startswith("10.77.16.")


async def test_a_rollback_of_the_store_ends_every_watch(rooms: Rooms, stub) -> None:
    call = stub.WatchLeases(pb.WatchLeasesRequest(start_revision=1))
    asking = asyncio.create_task(ended(call))
    await until(lambda: rooms.feed._others)
    rooms.feed.roll_back()
    code, info, words = await asking
    assert (code, info.reason) == (grpc.StatusCode.OUT_OF_RANGE, "ROLLED_BACK")
    assert "snapshot" in words


async def test_a_watch_that_its_caller_leaves_is_forgotten_at_once(rooms: Rooms, stub) -> None:
    rooms.feed.resume(rooms.store.revision)
    kept, apart = (stub.WatchLeases(pb.WatchLeasesRequest(start_revision=number)) for number in (0, 1))
    late = stub.WatchLeases(pb.WatchLeasesRequest(), timeout=0.5)
    asking = [asyncio.create_task(each.read()) for each in (kept, apart, late)]
    await until(lambda: len(rooms.feed._readers) == 2 and rooms.feed._others)
    with pytest.raises(grpc.aio.AioRpcError) as over:
        await asking[2]
    assert over.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    kept.cancel()
    apart.cancel()
    await until(lambda: not rooms.feed._readers and not rooms.feed._others)
    await asyncio.gather(*asking, return_exceptions=True)
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "watch-leases" not in names


async def test_in_quiet_times_the_watch_says_how_far_etcd_has_got(
    rooms: Rooms, stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "QUIET", 0.0)
    rooms.feed.resume(rooms.store.revision)
    call = stub.WatchLeases(pb.WatchLeasesRequest())
    first = await call.read()
    assert (len(first.events), first.revision) == (0, rooms.store.revision)


async def test_a_revision_and_a_snapshot_are_not_asked_for_at_once(rooms: Rooms, stub) -> None:
    for wrong in (pb.WatchLeasesRequest(start_revision=5, snapshot=True), pb.WatchLeasesRequest(start_revision=-1)):
        call = stub.WatchLeases(wrong)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_watches_leave_room_for_other_calls_and_the_next_one_is_sent_elsewhere(
    rooms: Rooms, stub, channel: grpc.aio.Channel
) -> None:
    rooms.feed.resume(rooms.store.revision)
    calls = [stub.WatchLeases(pb.WatchLeasesRequest()) for _ in range(WATCHES)]
    asking = [asyncio.create_task(call.read()) for call in calls]
    await until(lambda: len(rooms.feed._readers) == WATCHES)
    code, info, _ = await ended(stub.WatchLeases(pb.WatchLeasesRequest()))
    assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES")
    assert await stub.ListLeases(pb.ListLeasesRequest())
    for call in calls:
        call.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await until(lambda: not rooms.feed._readers)
    late = stub.WatchLeases(pb.WatchLeasesRequest())
    asking = [asyncio.create_task(late.read())]
    await until(lambda: rooms.feed._readers)
    late.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


# --- the cluster -----------------------------------------------------------------------------------------------------


async def test_the_status_is_told_at_once_and_again_when_somebody_stops_serving(
    rooms: Rooms, channel: grpc.aio.Channel
) -> None:
    stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
    neighbour(rooms)
    call = stub.WatchStatus(cluster.WatchStatusRequest(max_interval=Duration(seconds=600)))
    first = await call.read()
    assert [node.eligible for node in first.status.nodes] == [True, True]
    neighbour(rooms, state="degraded", reason="no commit was confirmed for 3 s")
    second = await asyncio.wait_for(call.read(), 20)
    assert second.changed
    assert [node.eligible for node in second.status.nodes] == [True, False]
    call.cancel()


async def test_what_only_time_moves_is_told_no_faster_than_wanted() -> None:
    now, looks = 0.0, 0
    status = cluster.ClusterStatus(nodes=[cluster.Node(node="n2", reason="its presence has not changed for 1.0 s")])

    def look() -> cluster.ClusterStatus:
        nonlocal now, looks
        looks += 1
        now += 1.0
        status.view_revision += 7
        status.nodes[0].reason = f"its presence has not changed for {looks}.5 s"
        return status

    request = cluster.WatchStatusRequest(max_interval=Duration(seconds=3))
    told = []
    stream = Statuses(look).follow(request, lambda: now)
    for _ in range(3):
        message = await anext(stream)
        told.append((looks, message.changed))
    await stream.aclose()
    assert told == [(1, True), (4, False), (7, False)]


async def test_an_interval_out_of_bounds_is_named(channel: grpc.aio.Channel) -> None:
    stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
    call = stub.WatchStatus(cluster.WatchStatusRequest(min_interval=Duration(seconds=-1)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert "min_interval" in caught.value.details()
