"""SubnetService: what is configured, and numbers that add up."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from admin.furnished import OFFICE, furnish, lease, office, put_leases
from everlease.admin import server
from everlease.core.lifecycle import DECLINED, OFFERED, RELEASED
from everlease.pb.admin.v1 import subnet_service_pb2 as pb
from everlease.pb.admin.v1 import subnet_service_pb2_grpc
from everlease.runtime.rooms import Rooms

POOL = 0x0A4D1000
PRINTER = 0x0A4D000A


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> subnet_service_pb2_grpc.SubnetServiceStub:
    return subnet_service_pb2_grpc.SubnetServiceStub(channel)


def total(usage: pb.SubnetUsage) -> int:
    return usage.free + usage.leased + usage.grace + usage.offered + usage.declined + usage.reserved


async def test_a_subnet_is_shown_as_it_was_configured(stub) -> None:
    found = await stub.GetSubnet(pb.GetSubnetRequest(id=1))
    assert (found.display_name, found.prefix, found.link) == ("office", "10.77.0.0/16", "office")
    assert dict(found.labels) == {"site": "bern"}
    assert [(pool.first, pool.last) for pool in found.pools] == [("10.77.16.0", "10.77.16.99")]
    assert found.state == pb.SUBNET_STATE_ACTIVE
    other = await stub.GetSubnet(pb.GetSubnetRequest(id=2))
    assert (other.state, list(other.relays)) == (pb.SUBNET_STATE_DRAINING, ["192.0.2.1"])


async def test_an_empty_subnet_is_free_but_for_its_reservations(stub) -> None:
    usage = (await stub.GetSubnet(pb.GetSubnetRequest(id=1))).usage
    assert (usage.size, usage.free, usage.reserved, usage.leased) == (101, 100, 1, 0)


async def test_usage_counts_every_address_once(rooms: Rooms, stub) -> None:
    states = [lease(1), lease(2, ends=-1), lease(3, state=OFFERED), lease(4, state=DECLINED), lease(5, state=RELEASED)]
    await put_leases(rooms, [(POOL + number, each) for number, each in enumerate(states)])
    await put_leases(rooms, [(PRINTER, lease(6))])
    usage = (await stub.GetSubnet(pb.GetSubnetRequest(id=1))).usage
    assert (usage.leased, usage.grace, usage.offered, usage.declined, usage.reserved) == (2, 1, 1, 1, 0)
    assert total(usage) == usage.size


async def test_subnets_come_by_id_in_pages(stub) -> None:
    first = await stub.ListSubnets(pb.ListSubnetsRequest(page_size=1))
    second = await stub.ListSubnets(pb.ListSubnetsRequest(page_size=1, page_token=first.next_page_token))
    assert [each.id for page in (first, second) for each in page.subnets] == [1, 2]
    assert (second.next_page_token, second.config_revision) == ("", 1)


async def test_an_unknown_subnet_is_not_found(stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetSubnet(pb.GetSubnetRequest(id=3))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_without_a_configuration_the_answer_says_what_to_do() -> None:
    empty = furnish()
    empty.view.passed(1)
    handle = await server.serve(empty, "127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await subnet_service_pb2_grpc.SubnetServiceStub(channel).ListSubnets(pb.ListSubnetsRequest())
    await handle.close()
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "config apply" in caught.value.details()


async def test_another_configuration_changes_the_sizes(rooms: Rooms, stub) -> None:
    await stub.GetSubnet(pb.GetSubnetRequest(id=1))
    other = furnish()
    await office(other, "subnets: [{id: 1, prefix: 10.77.0.0/24, link: office, pools: [{range: 10.77.0.8/29}]}]")
    rooms.configuration.current = other.configuration.current
    assert (await stub.GetSubnet(pb.GetSubnetRequest(id=1))).usage.size == 8


async def test_filters_pick_subnets_by_what_they_are(stub) -> None:
    async def ids(**filters: object) -> list[int]:
        return [each.id for each in (await stub.ListSubnets(pb.ListSubnetsRequest(**filters))).subnets]

    assert await ids(state=pb.SUBNET_STATE_DRAINING) == [2]
    assert await ids(link="office") == [1]
    assert await ids(address="10.78.0.200") == [2]
    assert await ids(labels={"site": "bern"}) == [1]
    assert await ids(text="SECOND FLOOR") == [1]
    assert await ids(space="tenant") == []
    assert await ids(shared_network="campus") == []


# --- states -----------------------------------------------------------------------------------------------------------


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def text(rooms: Rooms) -> str:
    current, _ = await rooms.configuration.documents.current()
    assert current is not None
    return await rooms.configuration.documents.fetch(current.revision)


async def test_a_subnet_is_drained_by_a_new_revision_of_the_document(rooms: Rooms, stub) -> None:
    answer = await stub.SetSubnetState(
        pb.SetSubnetStateRequest(id=1, state=pb.SUBNET_STATE_DRAINING, author="anna", comment="moving out")
    )
    assert (answer.config_revision, answer.subnet.state) == (2, pb.SUBNET_STATE_DRAINING)
    assert list(answer.changes) == ["subnet 1: state active -> draining"]
    assert await text(rooms) == OFFICE.replace("  - id: 1\n", "  - id: 1\n    state: draining\n")
    note = await rooms.configuration.documents.note(2)
    assert note is not None
    assert (note.author, note.comment) == ("anna", "moving out")


async def test_a_pool_is_drained_by_its_first_address(rooms: Rooms, stub) -> None:
    request = pb.SetSubnetStateRequest(id=1, pool="10.77.16.0", state=pb.SUBNET_STATE_DRAINING)
    answer = await stub.SetSubnetState(request)
    assert [pool.state for pool in answer.subnet.pools] == [pb.SUBNET_STATE_DRAINING]
    assert list(answer.changes) == ["subnet 1, pool 10.77.16.0-10.77.16.99: state active -> draining"]
    assert "{range: 10.77.16.0-10.77.16.99, state: draining}" in await text(rooms)


async def test_a_state_that_is_already_so_or_only_asked_about_writes_nothing(rooms: Rooms, stub) -> None:
    same = await stub.SetSubnetState(pb.SetSubnetStateRequest(id=2, state=pb.SUBNET_STATE_DRAINING))
    dry = await stub.SetSubnetState(pb.SetSubnetStateRequest(id=2, state=pb.SUBNET_STATE_ACTIVE, validate_only=True))
    assert (same.config_revision, same.text_diff, dry.config_revision) == (1, "", 1)
    assert "-    state: draining\n+    state: active\n" in dry.text_diff
    assert await text(rooms) == OFFICE


async def test_disabling_what_is_in_use_needs_force(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(POOL, lease(1))])
    error = await refused(stub.SetSubnetState(pb.SetSubnetStateRequest(id=1, state=pb.SUBNET_STATE_DISABLED)))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    forced = pb.SetSubnetStateRequest(id=1, state=pb.SUBNET_STATE_DISABLED, force=True)
    answer = await stub.SetSubnetState(forced)
    assert (answer.config_revision, answer.orphaned_leases[0].reason) == (2, "in a disabled subnet or pool")


async def test_what_is_wrong_with_a_change_of_state_is_said(stub) -> None:
    draining = pb.SUBNET_STATE_DRAINING
    for request, code in (
        (pb.SetSubnetStateRequest(id=9, state=draining), grpc.StatusCode.NOT_FOUND),
        (pb.SetSubnetStateRequest(id=1), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.SetSubnetStateRequest(id=1, pool="x", state=draining), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.SetSubnetStateRequest(id=1, pool="10.77.16.1", state=draining), grpc.StatusCode.NOT_FOUND),
        (pb.SetSubnetStateRequest(id=1, state=draining, etag="x"), grpc.StatusCode.ABORTED),
    ):
        assert (await refused(stub.SetSubnetState(request))).code() is code


async def test_a_subnet_that_an_alias_repeats_is_left_to_its_author() -> None:
    shared = """\
subnets:
  - {id: 1, prefix: 10.77.0.0/24, pools: &p [{range: 10.77.0.10-10.77.0.19}]}
  - {id: 2, prefix: 10.77.0.0/24, space: other, pools: *p, link: x}
"""
    rooms = furnish()
    await office(rooms, shared)
    rooms.view.passed(1)
    handle = await server.serve(rooms, "127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") as channel:
        stub = subnet_service_pb2_grpc.SubnetServiceStub(channel)
        error = await refused(
            stub.SetSubnetState(pb.SetSubnetStateRequest(id=1, pool="10.77.0.10", state=pb.SUBNET_STATE_DRAINING))
        )
    await handle.close()
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "alias" in error.details()
    assert await text(rooms) == shared
