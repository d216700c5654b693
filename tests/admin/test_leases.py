"""LeaseService: what is listed is what etcd holds, at one revision."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import replace

from admin.furnished import NOW, lease, put_leases
from everlease.core.lifecycle import DECLINED, OFFERED, RELEASED
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.pb.admin.v1 import lease_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.api import Page
from everlease.store.records import encode_lease
from everlease.store.txn import Leaf, single

POOL = 0x0A4D1000


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> lease_service_pb2_grpc.LeaseServiceStub:
    return lease_service_pb2_grpc.LeaseServiceStub(channel)


async def pages(stub: lease_service_pb2_grpc.LeaseServiceStub, **fields: object) -> list[pb.Lease]:
    request, found = pb.ListLeasesRequest(**fields), []
    while True:
        page = await stub.ListLeases(request)
        found += page.leases
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_all_leases_come_in_address_order_over_several_pages(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + 3 * number, lease(number)) for number in range(1, 251)])
    found = await pages(stub, page_size=100)
    assert [each.client for each in found] == [lease(number).client.hex(":") for number in range(1, 251)]
    assert found[0].name == "spaces/default/leases/10.77.16.3"


async def test_leases_far_apart_are_found_in_few_ranges(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(0x01000000, lease(1)), (POOL, lease(2)), (0xDFFFFFFF, lease(3))])
    page = await stub.ListLeases(pb.ListLeasesRequest())
    assert [each.address for each in page.leases] == ["1.0.0.0", "10.77.16.0", "223.255.255.255"]


async def test_all_pages_show_the_revision_of_the_first(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(1, 5)])
    first = await stub.ListLeases(pb.ListLeasesRequest(page_size=2))
    await put_leases(rooms, [(POOL + 3, lease(99)), (POOL + 9, lease(9))])
    second = await stub.ListLeases(pb.ListLeasesRequest(page_size=2, page_token=first.next_page_token))
    assert [each.client for each in second.leases] == [lease(3).client.hex(":"), lease(4).client.hex(":")]
    assert second.revision == first.revision


async def test_a_token_of_a_compacted_revision_says_start_again(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(1, 4)])
    first = await stub.ListLeases(pb.ListLeasesRequest(page_size=1))
    await put_leases(rooms, [(POOL + 9, lease(9))])
    await rooms.store.compact(rooms.store.revision)
    error = await refused(stub.ListLeases(pb.ListLeasesRequest(page_size=1, page_token=first.next_page_token)))
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_token_serves_only_the_filters_that_it_was_made_for(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(1, 4)])
    token = (await stub.ListLeases(pb.ListLeasesRequest(page_size=1))).next_page_token
    error = await refused(stub.ListLeases(pb.ListLeasesRequest(subnet=1, page_token=token)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    for junk in ("!", "AAAA", "x" * 5000):
        error = await refused(stub.ListLeases(pb.ListLeasesRequest(page_token=junk)))
        assert "page_token" in error.details()


async def test_the_state_is_computed_from_the_clock(rooms: Rooms, stub) -> None:
    wanted = {
        "BOUND": lease(1, ends=1),
        "GRACE": lease(2, ends=-1),
        "EXPIRED": lease(3, ends=-601),
        "RELEASED": lease(4, state=RELEASED),
        "DECLINED": lease(5, state=DECLINED),
        "OFFERED": lease(6, state=OFFERED),
    }
    await put_leases(rooms, [(POOL + number, each) for number, each in enumerate(wanted.values())])
    for number, name in enumerate(wanted):
        state = pb.LeaseState.Value(f"LEASE_STATE_{name}")
        found = await pages(stub, state=state)
        assert [each.address for each in found] == [f"10.77.16.{number}"]


async def test_a_lease_is_found_by_subnet_by_hardware_address_and_by_client_key(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL, lease(1)), (POOL + 1, lease(2)), (0x0A4E000A, lease(3, subnet=2))])
    assert [each.address for each in await pages(stub, subnet=2)] == ["10.78.0.10"]
    for client in ("02:00:00:00:00:02", "020000000002", "02-00-00-00-00-02", "02:01:02:00:00:00:00:02"):
        assert [each.address for each in await pages(stub, client=client)] == ["10.77.16.1"]
        assert (await stub.GetLease(pb.GetLeaseRequest(client=client))).address == "10.77.16.1"


async def test_leases_are_found_by_host_name_relay_and_end_and_all_filters_must_hold(rooms: Rooms, stub) -> None:
    far = replace(lease(2, hostname="Laptop-2"), giaddr=0xC0000201)
    await put_leases(
        rooms, [(POOL, lease(1, ends=60, hostname="laptop-1")), (POOL + 1, far), (POOL + 2, lease(3, ends=60))]
    )
    end = int(NOW) + 60 + 600

    async def addresses(**filters: object) -> list[str]:
        return [each.address for each in await pages(stub, **filters)]

    assert await addresses(hostname="LAPTOP") == ["10.77.16.0", "10.77.16.1"]
    assert await addresses(relay="192.0.2.1") == ["10.77.16.1"]
    assert await addresses(expire_before=Timestamp(seconds=end + 1)) == ["10.77.16.0", "10.77.16.2"]
    assert await addresses(expire_before=Timestamp(seconds=end)) == []
    assert await addresses(expire_after=Timestamp(seconds=end + 1)) == ["10.77.16.1"]
    assert await addresses(expire_before=Timestamp(seconds=end + 1), hostname="laptop") == ["10.77.16.0"]
    wrong = await refused(stub.ListLeases(pb.ListLeasesRequest(relay="192.0.2")))
    assert "relay" in wrong.details()


async def test_who_stops_waiting_stops_the_reading(rooms: Rooms, stub, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, over = asyncio.Event(), asyncio.Event()

    async def get_range(*_: object, **__: object) -> Page:
        reading.set()
        try:
            await asyncio.Event().wait()
        finally:
            over.set()
        raise AssertionError

    monkeypatch.setattr(rooms.store, "get_range", get_range)
    call = stub.ListLeases(pb.ListLeasesRequest())
    asking = asyncio.create_task(refused(call))
    await reading.wait()
    call.cancel()
    await asyncio.wait_for(over.wait(), 20)
    asking.cancel()
    over.clear()
    late = await refused(stub.ListLeases(pb.ListLeasesRequest(), timeout=0.3))
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(over.wait(), 20)


async def test_a_lease_is_shown_in_full_by_its_address(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL, lease(1, hostname="desk"))])
    found = await stub.GetLease(pb.GetLeaseRequest(address="10.77.16.0"))
    assert (found.hostname, found.hardware_address, found.node) == ("desk", "02:00:00:00:00:01", "n1")
    assert found.valid_lifetime.seconds == 3600
    assert found.expire_time.seconds - found.grant_time.seconds == 3600 + 600
    assert found.etag


async def test_what_is_not_there_is_not_found_and_what_is_no_address_is_named(rooms: Rooms, stub) -> None:
    missing = await refused(stub.GetLease(pb.GetLeaseRequest(address="10.77.16.9")))
    assert missing.code() is grpc.StatusCode.NOT_FOUND
    for request in (pb.GetLeaseRequest(address="10.77"), pb.GetLeaseRequest(client="zz"), pb.GetLeaseRequest()):
        assert (await refused(stub.GetLease(request))).code() is grpc.StatusCode.INVALID_ARGUMENT
    for wrong in (pb.ListLeasesRequest(space="A/B"), pb.ListLeasesRequest(page_size=-1)):
        assert (await refused(stub.ListLeases(wrong))).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_record_that_nobody_can_read_hides_no_other(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL, lease(1)), (POOL + 2, lease(2))])
    odd = encode_lease(lease(3)).replace(b'"020102', b'"02xy02')
    broken = (b"{", encode_lease(lease(3)).replace(b'"bound"', b'"loaned"'), odd)
    puts = [(rooms.keys.lease("default", POOL + 10 + number), value) for number, value in enumerate(broken)]
    await rooms.store.batch(single(Leaf({}, puts)), 1.0)
    found = await pages(stub)
    assert [each.address for each in found] == ["10.77.16.0", "10.77.16.2", "10.77.16.12"]
    assert found[-1].client == ""
