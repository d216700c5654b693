"""The server: what an outsider needs to know of it is its port."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from admin.furnished import OFFICE, furnish, lease, office, put_leases
from admin.outsider import Outsider
from everlease.admin import server
from everlease.admin.answers import Refusal, invalid, status_of
from everlease.errors import ConfigError
from everlease.pb.admin.v1 import lease_service_pb2, lease_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.api import Unavailable


def ask(port: int, method: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A client that has never seen our .proto files: everything it knows, the server told it."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return Outsider(channel).ask(method, **fields)


async def test_a_node_that_has_not_read_the_leases_yet_says_so_and_answers_what_it_can() -> None:
    rooms = furnish()
    await office(rooms)  # it has its configuration, and no view
    handle = await server.serve(rooms, "127.0.0.1:0")
    half = (
        ("ExplainService/Explain", {"hardwareAddress": "02:00:00:00:00:01", "link": "office"}),
        ("SubnetService/ListSubnets", {}),
        ("LeaseService/GetLease", {"client": "02:00:00:00:00:01"}),
        ("LeaseService/AddLease", {"address": "10.77.16.1", "hardwareAddress": "02:00:00:00:00:01"}),
        ("LeaseService/ReleaseLease", {"address": "10.77.16.1"}),
        ("ConfigService/ApplyConfig", {"document": OFFICE}),
    )
    for method, fields in half:
        with pytest.raises(grpc.RpcError) as caught:
            await asyncio.to_thread(ask, handle.port, method, fields)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "the store has not answered yet" in caught.value.details()
    status = await asyncio.to_thread(ask, handle.port, "ClusterService/GetStatus", {})
    assert status["nodes"][0]["state"] == "NODE_STATE_JOINING"
    await handle.close()


async def test_health_follows_the_nodes_readiness(rooms: Rooms, channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    seen = [(await watch.read()).status]
    while seen[-1] != health_pb2.HealthCheckResponse.SERVING:
        seen.append((await watch.read()).status)
    rooms.lifeline.draining = "told to stop"
    rooms.lifeline.evaluate(rooms.clock.boot())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    admin = await stub.Check(health_pb2.HealthCheckRequest(service="everlease.admin.v1.LeaseService"))
    assert admin.status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


async def test_a_call_ends_at_its_callers_deadline_and_nothing_of_it_goes_on(
    rooms: Rooms, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    monkeypatch.setattr(rooms.store, "get_range", never)
    leases = lease_service_pb2_grpc.LeaseServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await leases.ListLeases(lease_service_pb2.ListLeasesRequest(), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(given_up.wait(), 20)


async def test_a_port_in_use_is_one_clear_line(rooms: Rooms, api: server.Handle) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        await server.serve(rooms, f"127.0.0.1:{api.port}")


async def test_bytes_that_are_no_grpc_do_not_disturb_it(api: server.Handle, channel: grpc.aio.Channel) -> None:
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 40,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 999,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(junk)
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
    status = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert status.status


def test_trouble_with_the_store_is_unavailable_with_its_reason() -> None:
    status = status_of(Unavailable("nobody answered"))
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, info.reason, info.domain) == (14, "UNAVAILABLE", "everlease")
    assert rpc_status.to_status(status).code is grpc.StatusCode.UNAVAILABLE


def test_a_wrong_field_is_named() -> None:
    error = invalid("page_size", "must not be negative")
    assert isinstance(error, Refusal)
    assert "page_size" in str(error)


def requests(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Bytes for every method: noise, and messages that are almost right."""
    chance = random.Random(seed)
    methods = ("LeaseService/ListLeases", "LeaseService/GetLease", "SubnetService/ListSubnets",
               "SubnetService/GetSubnet", "ClusterService/GetStatus", "ExplainService/Explain",
               "ConfigService/GetConfig")  # fmt: skip
    texts = (b"10.77.16.0", b"02:00:00:00:00:05", b"office", b"192.0.2.1", b"\0\0\0", b"zz", b"default", b"../x")
    for _ in range(count):
        body = chance.randbytes(chance.randrange(40))
        if chance.random() < 0.7:
            body = b""
            for _ in range(chance.randrange(5)):
                field, text = chance.randrange(1, 8), chance.choice(texts)
                number = bytes((field << 3, chance.randrange(128)))
                body += number if chance.random() < 0.5 else bytes((field << 3 | 2, len(text))) + text
        yield f"/everlease.admin.v1.{chance.choice(methods)}", body


async def test_whatever_bytes_come_the_answer_is_one_of_those_promised(rooms: Rooms, channel: grpc.aio.Channel) -> None:
    await put_leases(rooms, [(0x0A4D1000 + number, lease(number)) for number in range(20)])
    codes = set()
    for method, body in requests(seed=7, count=600):
        try:
            await channel.unary_unary(method)(body, timeout=5)
        except grpc.aio.AioRpcError as error:
            codes.add(error.code())
    assert codes == {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
