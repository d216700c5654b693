"""Who may call what: every method that there is, with every kind of credentials that there is."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from admin.furnished import NOW
from admin.papers import token_row
from everlease.admin import server
from everlease.admin.access import Doorkeeper, Papers, is_loopback
from everlease.admin.audit import Trail
from everlease.admin.auth import ROLES, Role, caller, mutates, role_for
from everlease.admin.guard import Guard
from everlease.errors import ConfigError
from everlease.pb.admin import v1
from everlease.runtime.rooms import Rooms

TOKENS = {role: f"{role.word}-{'x' * 32}" for role in Role if role}
EXPIRED, WRONG = "expired-" + "x" * 32, "wrong-" + "x" * 32
DENIED, UNKNOWN = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED

Metadata = Sequence[tuple[str, str]]


def described() -> Iterator[FileDescriptor]:
    """Every file of the admin API, and of the services beside it."""
    for module in pkgutil.iter_modules(v1.__path__):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(f"everlease.pb.admin.v1.{module.name}").DESCRIPTOR
    yield from (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)


def methods() -> dict[str, MethodDescriptor]:
    """Full name, as it is called -> what it is."""
    services = [service for file in described() for service in file.services_by_name.values()]
    return {f"/{service.full_name}/{method.name}": method for service in services for method in service.methods}


METHODS = methods()


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def roles_file(folder: Path, loopback: str = "none") -> Path:
    """One token for each role, one that ended, and nobody else."""
    rows = [token_row(role.word, role.word, token) for role, token in TOKENS.items()]
    path = folder / "roles.yaml"
    end = token_row("former", "admin", EXPIRED, "2026-12-31")
    path.write_text(f"loopback: {loopback}\ntokens:\n{''.join(rows)}{end}")
    return path


class Everything(grpc.GenericRpcHandler):
    """Every method of the descriptors, each of which answers with the name of its caller."""

    def service(self, handler_call_details: Any) -> Any:
        method = METHODS.get(handler_call_details.method)
        if method is None:
            return None

        async def one(request: Any, context: grpc.aio.ServicerContext) -> bytes:
            return caller(context).name.encode()

        async def many(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            yield caller(context).name.encode()

        kind = f"{_word(method.client_streaming)}_{_word(method.server_streaming)}_rpc_method_handler"
        return getattr(grpc, kind)(many if method.server_streaming else one)


def _word(streaming: bool) -> str:
    return "stream" if streaming else "unary"


@contextlib.asynccontextmanager
async def guarded(papers: Papers, local: bool = True) -> AsyncIterator[tuple[grpc.aio.Channel, Doorkeeper]]:
    """Everything behind a guard, by a plain connection."""
    doorkeeper = Doorkeeper(papers, local, lambda: NOW)
    found = grpc.aio.server(interceptors=(Guard(doorkeeper, Trail(lambda: NOW)),))
    found.add_generic_rpc_handlers((Everything(),))
    port = found.add_insecure_port("127.0.0.1:0")
    await found.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, doorkeeper
    await found.stop(None)


async def call(channel: grpc.aio.Channel, method: str, metadata: Metadata = ()) -> grpc.StatusCode:
    """How a call ends; OK as soon as it is answered. Who streams requests sends none: no refusal waits for one."""
    known = METHODS[method]
    made = getattr(channel, f"{_word(known.client_streaming)}_{_word(known.server_streaming)}")(method)
    asked = made(*(() if known.client_streaming else (b"",)), metadata=metadata, timeout=20)
    try:
        if known.server_streaming:
            assert await asked.read() is not grpc.aio.EOF
            asked.cancel()
        else:
            await asked
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    assert set(METHODS) <= set(ROLES)
    services = {method.rpartition("/")[0] for method in METHODS}
    assert {method for method in ROLES if method.rpartition("/")[0] in services} <= set(METHODS)


def test_a_method_without_a_row_needs_the_highest_role() -> None:
    assert role_for("/everlease.admin.v1.LeaseService/Forget") is Role.ADMIN


def test_only_health_is_for_anybody_and_no_viewer_changes_anything() -> None:
    assert {method.rpartition("/")[0] for method in METHODS if not role_for(method)} == {"/grpc.health.v1.Health"}
    assert not [method for method in METHODS if role_for(method) <= Role.VIEWER and mutates(method)]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.rpartition(".")[2])
async def test_no_wrong_expired_and_each_role(tmp_path: Path, method: str) -> None:
    needed = role_for(method)
    async with guarded(Papers(roles=roles_file(tmp_path))) as (channel, _):
        strangers: list[Metadata] = [
            (),
            bearer(WRONG),
            bearer(EXPIRED),
            bearer("short"),
            bearer(""),
            [("authorization", f"Basic {TOKENS[Role.ADMIN]}")],
            [*bearer(TOKENS[Role.ADMIN]), *bearer(TOKENS[Role.ADMIN])],
        ]
        for metadata in strangers:
            assert await call(channel, method, metadata) is (UNKNOWN if needed else grpc.StatusCode.OK)
        for role, token in TOKENS.items():
            allowed = grpc.StatusCode.OK if role >= needed else DENIED
            assert await call(channel, method, bearer(token)) is allowed


async def test_the_running_server_asks_for_each_of_its_methods(rooms: Rooms, tmp_path: Path) -> None:
    handle = await server.serve(rooms, "127.0.0.1:0", Papers(roles=roles_file(tmp_path)))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") as channel:
        for method in METHODS:
            if role_for(method):
                assert await call(channel, method) in {UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
                assert await call(channel, method, bearer(WRONG)) in {UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
        assert await call(channel, "/everlease.admin.v1.ClusterService/GetStatus") is UNKNOWN
        assert await call(channel, "/grpc.health.v1.Health/Check") is grpc.StatusCode.OK
    await handle.close()


@pytest.mark.parametrize(("word", "status"), [("viewer", DENIED), ("none", UNKNOWN), ("admin", grpc.StatusCode.OK)])
async def test_the_file_says_who_is_local(tmp_path: Path, word: str, status: grpc.StatusCode) -> None:
    async with guarded(Papers(roles=roles_file(tmp_path, word))) as (channel, _):
        assert await call(channel, "/everlease.admin.v1.ClusterService/DrainNode") is status


async def test_beyond_loopback_nobody_is_local(tmp_path: Path) -> None:
    async with guarded(Papers(roles=roles_file(tmp_path, "admin")), local=False) as (channel, _):
        assert await call(channel, "/everlease.admin.v1.ClusterService/GetStatus") is UNKNOWN
        assert await call(channel, "/everlease.admin.v1.ClusterService/GetStatus", bearer(TOKENS[Role.VIEWER])) is (
            grpc.StatusCode.OK
        )


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("127.9.9.9:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.org:1", False),
    ],
)
def test_what_is_loopback(address: str, local: bool) -> None:
    assert is_loopback(address) is local


async def test_no_message_is_read_of_who_may_not_send_it(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"\xff" * 100_000
            await asyncio.sleep(0.01)  # grpc's client takes a send after the answer for an error of its own

    async with guarded(Papers(roles=roles_file(tmp_path))) as (channel, _):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.stream_unary("/everlease.admin.v1.ConfigService/ApplyConfig")(endless(), timeout=20)
        assert refused.value.code() is UNKNOWN


async def test_a_file_that_is_changed_counts_for_the_next_call_and_for_streams_that_are_open(tmp_path: Path) -> None:
    path = roles_file(tmp_path)
    doorkeeper = Doorkeeper(Papers(roles=path), True, lambda: NOW)
    guard = Guard(doorkeeper, Trail(lambda: NOW))
    go_on = asyncio.Event()

    async def twice(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    handlers = {"WatchStatus": grpc.unary_stream_rpc_method_handler(twice)}
    found = grpc.aio.server(interceptors=(guard,))
    found.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("everlease.admin.v1.ClusterService", handlers),)
    )
    port = found.add_insecure_port("127.0.0.1:0")
    await found.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch = channel.unary_stream("/everlease.admin.v1.ClusterService/WatchStatus")
        stream = watch(b"", metadata=bearer(TOKENS[Role.VIEWER]), timeout=20)
        assert await stream.read() == b"one"
        path.write_text("loopback: none\n")
        await doorkeeper.reread()
        go_on.set()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
        assert refused.value.code() is UNKNOWN
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watch(b"", metadata=bearer(TOKENS[Role.VIEWER]), timeout=20).read()
        assert refused.value.code() is UNKNOWN
    await found.stop(None)


async def test_a_file_that_cannot_be_used_leaves_in_force_what_was(tmp_path: Path) -> None:
    path = roles_file(tmp_path)
    async with guarded(Papers(roles=path)) as (channel, doorkeeper):
        path.write_text("tokens: [{name: x}]\n")
        await doorkeeper.reread()
        with pytest.raises(ConfigError):
            doorkeeper.read()
        assert await call(channel, "/everlease.admin.v1.ClusterService/GetStatus", bearer(TOKENS[Role.VIEWER])) is (
            grpc.StatusCode.OK
        )
