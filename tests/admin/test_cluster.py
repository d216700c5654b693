"""ClusterService: what one node says of all."""

from __future__ import annotations

import grpc.aio
import pytest

from admin.furnished import NOW, lease, neighbour, put_leases
from everlease.pb.admin.v1 import cluster_service_pb2 as pb
from everlease.pb.admin.v1 import cluster_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.keys import range_end


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> cluster_service_pb2_grpc.ClusterServiceStub:
    return cluster_service_pb2_grpc.ClusterServiceStub(channel)


async def test_the_node_that_is_asked_tells_of_itself_first(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(0x0A4D1000, lease(1))])
    status = await stub.GetStatus(pb.GetStatusRequest())
    own = status.nodes[0]
    assert (status.observer, status.config_revision, status.leases) == ("n1", 1, 1)
    assert status.observe_time.seconds == NOW
    assert (own.node, own.state, own.eligible, own.observer) == ("n1", pb.NODE_STATE_SERVING, True, True)
    assert (own.links, own.server_identifiers, own.owned_buckets) == (["office"], ["10.77.0.1"], 256)
    assert [(member.endpoint, member.up) for member in status.members] == [("memory", True)]


async def test_buckets_are_shared_with_a_node_that_serves(rooms: Rooms, stub) -> None:
    neighbour(rooms)
    first, second = (await stub.GetStatus(pb.GetStatusRequest())).nodes
    assert first.owned_buckets + second.owned_buckets == 256
    assert (second.node, second.eligible, second.reason) == ("n2", True, "")
    assert (second.links, second.relays, second.server_identifiers) == (["office"], ["192.0.2.1"], ["10.77.0.2"])
    assert (second.clock_offset.seconds, second.boot_id) == (1, "boot-2")


async def test_a_node_that_does_not_serve_is_shown_with_its_reason(rooms: Rooms, stub) -> None:
    neighbour(rooms, "n2", state="degraded", reason="no commit was confirmed for 3 s")
    node = (await stub.GetStatus(pb.GetStatusRequest())).nodes[1]
    assert (node.state, node.eligible, node.owned_buckets) == (pb.NODE_STATE_DEGRADED, False, 0)
    assert node.reason == "no commit was confirmed for 3 s"


async def test_a_node_that_went_quiet_is_not_eligible_and_its_age_is_told(rooms: Rooms, stub) -> None:
    neighbour(rooms)
    rooms.membership.members["n2"].seen_at -= 30
    rooms.membership.judge(rooms.clock.boot())
    node = (await stub.GetStatus(pb.GetStatusRequest())).nodes[1]
    assert (node.eligible, node.presence_age.seconds) == (False, 30)
    assert "has not changed for 30.0 s" in node.reason


async def test_the_asked_node_says_why_it_is_silent(rooms: Rooms, stub) -> None:
    rooms.lifeline.draining = "told to stop"
    rooms.lifeline.evaluate(rooms.clock.boot())
    node = (await stub.GetStatus(pb.GetStatusRequest())).nodes[0]
    assert (node.state, node.eligible, node.reason) == (pb.NODE_STATE_DRAINING, False, "told to stop")


async def test_a_configuration_that_could_not_be_loaded_is_told(rooms: Rooms, stub) -> None:
    rooms.configuration.error = "configuration revision 2 cannot be loaded: line 3"
    status = await stub.GetStatus(pb.GetStatusRequest())
    assert (status.config_revision, status.config_error) == (1, "configuration revision 2 cannot be loaded: line 3")


async def drains(rooms: Rooms) -> list[tuple[bytes, bytes | None]]:
    """What etcd says of drained nodes."""
    page = await rooms.store.get_range(rooms.keys.drains, range_end(rooms.keys.drains))
    return [(record.key, record.value) for record in page.records]


async def test_any_node_takes_the_order_to_drain_another_and_to_resume_it(rooms: Rooms, stub) -> None:
    neighbour(rooms)
    for _ in range(2):
        await stub.DrainNode(pb.DrainNodeRequest(node="n2", author="anna"))
    ((key, value),) = await drains(rooms)
    assert key == b"/everlease/v/drains/n2"
    assert b'"by":"anna"' in (value or b"")
    for _ in range(2):
        await stub.ResumeNode(pb.ResumeNodeRequest(node="n2"))
    assert await drains(rooms) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.DrainNodeRequest(node="n1"), grpc.StatusCode.FAILED_PRECONDITION),
        (pb.DrainNodeRequest(node="n9"), grpc.StatusCode.NOT_FOUND),
        (pb.DrainNodeRequest(), grpc.StatusCode.NOT_FOUND),
        (pb.DrainNodeRequest(node="n1", author="x" * 201, force=True), grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=["the last one", "a stranger", "nobody", "a long name"],
)
async def test_what_cannot_be_drained_is_refused(rooms: Rooms, stub, request_, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.DrainNode(request_)
    assert refused.value.code() == code
    assert await drains(rooms) == []


async def test_the_last_node_is_drained_by_force(rooms: Rooms, stub) -> None:
    await stub.DrainNode(pb.DrainNodeRequest(node="n1", force=True))
    assert [key for key, _ in await drains(rooms)] == [b"/everlease/v/drains/n1"]
