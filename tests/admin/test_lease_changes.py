"""LeaseService's changes: an operator binds, takes back and clears by the rules and compares that packets meet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ResourceInfo
from grpc_status import rpc_status

from admin.furnished import NOW, lease, put_leases
from everlease.core.lifecycle import BOUND, DECLINED, RELEASED, is_reusable
from everlease.pb.admin.v1 import cluster_service_pb2 as cluster
from everlease.pb.admin.v1 import cluster_service_pb2_grpc, lease_service_pb2_grpc
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store.keys import index_value
from everlease.store.records import decode_lease

POOL = 0x0A4D1000
ANNA = "02:00:00:00:00:07"
KEY = b"\x02\x01" + bytes.fromhex("020000000007")


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> lease_service_pb2_grpc.LeaseServiceStub:
    return lease_service_pb2_grpc.LeaseServiceStub(channel)


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def add(stub: Any, address: str, client: str = ANNA, **more: Any) -> grpc.aio.UnaryUnaryCall:
    return stub.AddLease(pb.AddLeaseRequest(address=address, hardware_address=client, **more))


async def value(rooms: Rooms, key: bytes) -> bytes | None:
    page = await rooms.store.get_range(key, key + b"\0")
    return page.records[0].value if page.records else None


async def record(rooms: Rooms, address: int) -> Any:
    found = await value(rooms, rooms.keys.lease("default", address))
    return None if found is None else decode_lease(found)


async def test_an_added_lease_is_the_record_and_the_index_that_a_grant_would_have_made(rooms: Rooms, stub) -> None:
    made = await add(stub, "10.77.16.5", hostname="desk", valid_lifetime=Duration(seconds=7200))
    found = await record(rooms, POOL + 5)
    assert (found.state, found.client, found.hostname, found.valid) == (BOUND, KEY, "desk", 7200)
    assert (found.expires_at, found.node, found.config) == (int(NOW) + 7200 + 600, "n1", 1)
    assert await value(rooms, rooms.keys.client("default", 1, KEY)) == index_value(POOL + 5)
    assert (made.state, made.etag) == (pb.LEASE_STATE_BOUND, f"{rooms.view.row('default', POOL + 5).revision:x}")
    again = await add(stub, "10.77.16.5")
    assert again.valid_lifetime.seconds == 3600
    assert again.expire_time == made.expire_time  # never before what was promised


async def test_an_address_that_is_somebody_elses_is_refused_with_who_has_it(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + 5, lease(1)), (POOL + 6, lease(2, state=DECLINED))])
    error = await refused(add(stub, "10.77.16.5"))
    status, info = rpc_status.from_call(error), ResourceInfo()
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert status.details[0].Unpack(info)
    assert (info.resource_name, info.owner) == ("spaces/default/leases/10.77.16.5", lease(1).client.hex(":"))
    declined = await refused(add(stub, "10.77.16.6"))
    assert "clear it first" in declined.details()


async def test_a_client_that_has_another_address_keeps_it(rooms: Rooms, stub) -> None:
    await add(stub, "10.77.16.5")
    error = await refused(add(stub, "10.77.16.6"))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "10.77.16.5" in error.details()
    assert await record(rooms, POOL + 6) is None


async def test_a_reserved_address_goes_to_its_client_alone(rooms: Rooms, stub) -> None:
    error = await refused(add(stub, "10.77.0.10"))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "reserved" in error.details()
    assert (await add(stub, "10.77.0.10", "02:00:00:00:00:01")).address == "10.77.0.10"


async def test_a_subnet_for_reserved_clients_takes_no_other(rooms: Rooms, stub) -> None:
    config = rooms.configuration.current
    strict = replace(config.subnets[1], unknown_clients="deny")
    rooms.configuration.current = replace(
        config, subnets={**config.subnets, 1: strict}, by_prefix={16: {0x0A4D: strict}}
    )
    error = await refused(add(stub, "10.77.16.5"))
    assert (error.code(), "unknown-clients" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    assert (await add(stub, "10.77.0.10", "02:00:00:00:00:01")).address == "10.77.0.10"


async def test_an_address_that_no_rule_lets_anybody_have_is_no_argument(rooms: Rooms, stub) -> None:
    wrong = (
        pb.AddLeaseRequest(address="10.77.0.11", hardware_address=ANNA),  # in the prefix, in no pool
        pb.AddLeaseRequest(address="192.0.2.1", hardware_address=ANNA),
        pb.AddLeaseRequest(address="10.77.16.5", hardware_address=ANNA, space="other"),
        pb.AddLeaseRequest(address="10.77.16.5"),
        pb.AddLeaseRequest(address="10.77.16.5", hardware_address="00" * 17),
        pb.AddLeaseRequest(address="10.77.16.5", client_id="01"),
        pb.AddLeaseRequest(address="10.77.16.5", hardware_address=ANNA, hostname="a b"),
        pb.AddLeaseRequest(address="10.77.16.5", hardware_address=ANNA, valid_lifetime=Duration(seconds=0)),
        pb.AddLeaseRequest(address="10.77.16.5", hardware_address=ANNA, valid_lifetime=Duration(seconds=1 << 32)),
    )
    for request in wrong:
        assert (await refused(stub.AddLease(request))).code() is grpc.StatusCode.INVALID_ARGUMENT, request
    assert await record(rooms, POOL + 5) is None


async def test_what_is_only_validated_is_not_written(rooms: Rooms, stub) -> None:
    before = rooms.store.revision
    would = await add(stub, "10.77.16.5", validate_only=True)
    assert (would.state, would.etag) == (pb.LEASE_STATE_BOUND, "")
    assert rooms.store.revision == before
    await put_leases(rooms, [(POOL + 6, lease(2)), (POOL + 7, lease(3, state=DECLINED))])
    before = rooms.store.revision
    released = await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.6", now=True, validate_only=True))
    assert released.lease.state == pb.LEASE_STATE_RELEASED
    cleared = await stub.ClearDeclined(pb.ClearDeclinedRequest(subnet=1, validate_only=True))
    assert list(cleared.addresses) == ["10.77.16.7"]
    assert rooms.store.revision == before


async def test_an_etag_of_another_state_is_refused_and_nothing_written(rooms: Rooms, stub) -> None:
    made = await add(stub, "10.77.16.5")
    renewed = await add(stub, "10.77.16.5", etag=made.etag)
    before = rooms.store.revision
    calls = (
        add(stub, "10.77.16.5", etag=made.etag),
        add(stub, "10.77.16.6", "02:00:00:00:00:08", etag="1"),
        stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5", etag=made.etag)),
    )
    for call in calls:
        assert (await refused(call)).code() is grpc.StatusCode.ABORTED
    assert rooms.store.revision == before
    await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5", etag=renewed.etag))


async def test_a_lease_that_is_taken_back_frees_nothing_before_its_end(rooms: Rooms, stub) -> None:
    made = await add(stub, "10.77.16.5")
    answer = await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5"))
    assert (answer.lease.state, answer.lease.expire_time) == (pb.LEASE_STATE_RELEASED, made.expire_time)
    assert "unusable for others until" in answer.warning
    row = rooms.view.row("default", POOL + 5)
    assert not is_reusable(row, NOW, 5)
    assert is_reusable(row, row.expires_at + 5, 5)
    assert rooms.view.taken("default", POOL >> 8) >> 5 & 1
    assert rooms.view.usage.of(1) == (0, 1, 0, 0, 0, 0)  # in grace
    assert (await refused(add(stub, "10.77.16.5", "02:00:00:00:00:08"))).code() is grpc.StatusCode.ALREADY_EXISTS
    assert (await add(stub, "10.77.16.5")).state == pb.LEASE_STATE_BOUND  # its own client may come back


async def test_now_frees_at_once_and_warns_who_may_still_use_it(rooms: Rooms, stub) -> None:
    await add(stub, "10.77.16.5")
    await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5"))
    answer = await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5", now=True))
    assert ANNA in answer.warning
    assert "two hosts" in answer.warning
    assert not rooms.view.taken("default", POOL >> 8) >> 5 & 1
    assert rooms.view.usage.of(1) == (0, 0, 0, 0, 1, 0)  # given back
    assert (await add(stub, "10.77.16.5", "02:00:00:00:00:08")).hardware_address == "02:00:00:00:00:08"


async def test_an_address_that_was_taken_back_is_free_after_its_end(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + 5, lease(1, ends=60))])
    ends = (await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5"))).lease.expire_time.seconds
    table = rooms.view.table("default")
    table.advance(ends + 4.9, 100)
    assert rooms.view.taken("default", POOL >> 8) == 1 << 5
    table.advance(ends + 5 + 8, 100)  # the view looks every eight seconds
    assert rooms.view.taken("default", POOL >> 8) == 0
    assert rooms.view.usage.of(1) == (0, 0, 0, 0, 1, 0)


async def test_releasing_what_has_ended_changes_nothing(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + 1, lease(1, ends=-900)), (POOL + 2, lease(2, state=RELEASED))])
    before = rooms.store.revision
    for address in ("10.77.16.1", "10.77.16.2"):
        answer = await stub.ReleaseLease(pb.ReleaseLeaseRequest(address=address, now=True))
        assert answer.lease.address == address
    assert rooms.store.revision == before


async def test_what_cannot_be_released_or_cleared_is_refused_with_the_way_to_go(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL + 1, lease(1)), (POOL + 2, lease(2, state=DECLINED))])
    missing = await refused(stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.9")))
    declined = await refused(stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.2")))
    bound = await refused(stub.ClearDeclined(pb.ClearDeclinedRequest(address="10.77.16.1")))
    nothing = await refused(stub.ClearDeclined(pb.ClearDeclinedRequest()))
    nowhere = await refused(stub.ClearDeclined(pb.ClearDeclinedRequest(subnet=9)))
    assert missing.code() is grpc.StatusCode.NOT_FOUND
    assert (declined.code(), "ClearDeclined" in declined.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    assert (bound.code(), "bound" in bound.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    assert nothing.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert nowhere.code() is grpc.StatusCode.NOT_FOUND


async def test_clearing_a_subnet_makes_all_its_declined_addresses_usable_and_no_other(rooms: Rooms, stub) -> None:
    states = {1: DECLINED, 2: BOUND, 3: DECLINED, 90: DECLINED}
    await put_leases(rooms, [(POOL + number, lease(number, state=state)) for number, state in states.items()])
    await put_leases(rooms, [(0x0A4E000A, lease(4, state=DECLINED, subnet=2))])
    answer = await stub.ClearDeclined(pb.ClearDeclinedRequest(subnet=1))
    assert (answer.cleared_count, answer.skipped_count) == (3, 0)
    assert list(answer.addresses) == ["10.77.16.1", "10.77.16.3", "10.77.16.90"]
    assert rooms.view.taken("default", POOL >> 8) == 1 << 2
    assert rooms.view.row("default", 0x0A4E000A).state == DECLINED
    one = await stub.ClearDeclined(pb.ClearDeclinedRequest(address="10.78.0.10"))
    assert one.cleared_count == 1


async def test_a_record_that_changes_while_it_is_decided_on_is_decided_on_again(rooms: Rooms, stub) -> None:
    await add(stub, "10.77.16.5")
    await put_leases(rooms, [(POOL + 5, lease(7, ends=3000))])  # renewed
    rooms.view.table("default").delete(POOL + 5, rooms.store.revision)  # and the view has not heard the end of it
    answer = await stub.ReleaseLease(pb.ReleaseLeaseRequest(address="10.77.16.5"))
    assert (await record(rooms, POOL + 5)).state == RELEASED
    assert answer.lease.expire_time.seconds == NOW + 3000 + 600


async def test_a_node_whose_clock_is_wrong_changes_no_lease(rooms: Rooms, stub) -> None:
    rooms.lifeline.trust("this host's clock is 7 s ahead")
    error = await refused(add(stub, "10.77.16.5"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "7 s ahead" in error.details()


async def test_a_change_whose_caller_has_gone_is_made_and_on_record(
    rooms: Rooms, stub, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = cluster_service_pb2_grpc.ClusterServiceStub(channel).WatchAudit(cluster.WatchAuditRequest(from_number=1))
    reading, batch, sent, let_go = (
        asyncio.create_task(trail.read()),
        rooms.store.batch,
        asyncio.Event(),
        asyncio.Event(),
    )

    async def slow(*given: Any) -> Any:
        sent.set()
        await let_go.wait()
        return await batch(*given)

    monkeypatch.setattr(rooms.store, "batch", slow)
    call = add(stub, "10.77.16.5")
    asyncio.get_running_loop().call_soon(asyncio.ensure_future, call.code())
    await sent.wait()
    call.cancel()
    await asyncio.sleep(0.05)
    let_go.set()
    entry = await asyncio.wait_for(reading, 20)
    assert entry.record.resource == "spaces/default/leases/10.77.16.5"
    assert (await record(rooms, POOL + 5)).state == BOUND
    trail.cancel()
