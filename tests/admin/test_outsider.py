"""Other people's programs: a client without our code reads, changes and watches; each error tells it what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from admin.furnished import lease, put_leases
from admin.outsider import PACKAGE, Outsider, pool_of_files, services_of_files
from everlease.admin import server
from everlease.runtime.rooms import Rooms

FIRST = 0x0A4D1000
MAC = "02:00:00:00:00:07"


@pytest.fixture(params=["reflection", "the .proto files"])
def outsider(api: server.Handle, request: pytest.FixtureRequest) -> Iterator[Callable[[], Outsider]]:
    """Made where it is used: with reflection it asks the server, which lives in this thread's loop."""
    channel = grpc.insecure_channel(f"127.0.0.1:{api.port}")
    yield lambda: Outsider(channel, None if request.param == "reflection" else pool_of_files())
    channel.close()


def story(make: Callable[[], Outsider]) -> dict[str, Any]:
    """Everything that an outsider's day has, in its own thread."""
    client = make()
    found: dict[str, Any] = {"leases": client.ask("LeaseService/ListLeases", pageSize=2)}
    found["rest"] = client.ask("LeaseService/ListLeases", pageSize=2, pageToken=found["leases"]["nextPageToken"])
    found["subnet"] = client.ask("SubnetService/GetSubnet", id=1)
    found["config"] = client.ask("ConfigService/GetConfig")
    found["status"] = client.ask("ClusterService/GetStatus")
    found["told"] = client.ask("ExplainService/Explain", hardwareAddress="02:00:00:00:00:01")
    added = found["added"] = client.ask("LeaseService/AddLease", address="10.77.16.50", hardwareAddress=MAC)
    found["released"] = client.ask("LeaseService/ReleaseLease", address="10.77.16.50", etag=added["etag"])
    snapshot = client.follow("LeaseService/WatchLeases", snapshot=True)
    found["snapshot"] = next(snapshot)
    snapshot.close()  # type: ignore[attr-defined]
    statuses = client.follow("ClusterService/WatchStatus")
    found["watched"] = next(statuses)
    statuses.close()  # type: ignore[attr-defined]
    return found


async def test_a_client_without_our_code_can_use_every_kind_of_method(
    rooms: Rooms, outsider: Callable[[], Outsider]
) -> None:
    await put_leases(rooms, [(FIRST + number, lease(number)) for number in (1, 2, 3)])
    found = await asyncio.to_thread(story, outsider)
    states = [each["state"] for each in (*found["leases"]["leases"], *found["rest"]["leases"])]
    assert states == ["LEASE_STATE_BOUND"] * 3
    assert found["subnet"]["usage"]["leased"] == "3"
    assert found["config"]["revision"] == "1"
    assert found["status"]["nodes"][0]["state"] == "NODE_STATE_SERVING"
    assert found["told"]["address"] == "10.77.0.10"
    assert found["added"]["hardwareAddress"] == MAC
    assert found["released"]["lease"]["state"] == "LEASE_STATE_RELEASED"
    assert [each["type"] for each in found["snapshot"]["events"]] == ["LEASE_EVENT_TYPE_PRESENT"] * 4
    assert found["watched"]["status"]["observer"] == "n1"


async def test_reflection_tells_of_every_service_and_method_that_the_files_have(api: server.Handle) -> None:
    def told() -> dict[str, set[str]]:
        with grpc.insecure_channel(f"127.0.0.1:{api.port}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            names = [name for name in database.get_services() if name.startswith(PACKAGE)]
            return {name: set(pool.FindServiceByName(name).methods_by_name) for name in names}

    assert await asyncio.to_thread(told) == services_of_files()


async def test_what_went_wrong_is_told_in_googles_own_words(rooms: Rooms, outsider: Callable[[], Outsider]) -> None:
    await put_leases(rooms, [(FIRST + number, lease(number)) for number in (1, 2)])

    def details(call: Callable[[Outsider], Any]) -> tuple[grpc.StatusCode, Any]:
        with pytest.raises(grpc.RpcError) as caught:
            call(outsider())
        return caught.value.code(), rpc_status.from_call(caught.value).details[0]

    code, detail = await asyncio.to_thread(details, lambda client: client.ask("LeaseService/ListLeases", pageSize=-1))
    bad = BadRequest()
    assert (code, detail.Unpack(bad)) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert [each.field for each in bad.field_violations] == ["page_size"]
    code, detail = await asyncio.to_thread(
        details, lambda client: client.ask("LeaseService/AddLease", address="10.77.16.1", hardwareAddress=MAC)
    )
    resource = ResourceInfo()
    assert (code, detail.Unpack(resource)) == (grpc.StatusCode.ALREADY_EXISTS, True)
    assert resource.resource_name == "spaces/default/leases/10.77.16.1"
    await rooms.store.compact(rooms.store.revision)
    code, detail = await asyncio.to_thread(
        details, lambda client: next(client.follow("LeaseService/WatchLeases", startRevision=1))
    )
    info = ErrorInfo()
    assert (code, detail.Unpack(info)) == (grpc.StatusCode.OUT_OF_RANGE, True)
    assert (info.reason, info.domain) == ("COMPACTED", "everlease")
