"""SubnetService: what is configured, and numbers that add up."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from admin.furnished import furnish, lease, office, put_leases
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
