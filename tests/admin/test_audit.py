"""Each change leaves one record: in the log, and for who watches."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import grpc.aio
import pytest

from admin.furnished import NOW, neighbour
from admin.papers import token_row
from everlease import logs
from everlease.admin import audit, server
from everlease.admin.access import Papers
from everlease.admin.audit import KEPT, LONGEST, Lost, Record, Trail
from everlease.admin.auth import Call, Caller, Role, caller, enter
from everlease.pb.admin.v1 import cluster_service_pb2 as pb
from everlease.pb.admin.v1 import cluster_service_pb2_grpc
from everlease.runtime.rooms import Rooms

TOKEN = "t" * 40


@pytest.fixture
async def stub(rooms: Rooms, tmp_path: Path) -> AsyncIterator[cluster_service_pb2_grpc.ClusterServiceStub]:
    """A node that knows one token."""
    (tmp_path / "roles.yaml").write_text("tokens:\n" + token_row("ci", "operator", TOKEN))
    neighbour(rooms)
    handle = await server.serve(rooms, "127.0.0.1:0", Papers(roles=tmp_path / "roles.yaml"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") as channel:
        yield cluster_service_pb2_grpc.ClusterServiceStub(channel)
    await handle.close()


def record(number: int) -> Record:
    return Record(number, NOW, "local", "admin", "ipv4:127.0.0.1:1", "a/B", "nodes/n1", "", "x", 1)


async def test_a_change_is_one_record_with_who_what_before_after_and_revision(stub) -> None:
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    await stub.DrainNode(pb.DrainNodeRequest(node="n2"), metadata=metadata)
    await stub.ResumeNode(pb.ResumeNodeRequest(node="n2"), metadata=metadata)
    stream = stub.WatchAudit(pb.WatchAuditRequest(from_number=1), metadata=metadata)
    drained, resumed = [(await stream.read()).record for _ in range(2)]
    stream.cancel()
    assert (drained.number, resumed.number) == (1, 2)
    assert (drained.caller, drained.role, drained.node) == ("token:ci", "operator", "n1")
    assert (drained.method, drained.resource) == ("everlease.admin.v1.ClusterService/DrainNode", "nodes/n2")
    assert (drained.before, drained.after) == ("", "drained")
    assert (resumed.before, resumed.after) == ("drained", "")
    assert 0 < drained.revision < resumed.revision
    assert drained.record_time.seconds == NOW
    assert drained.peer.startswith("ipv4:127.0.0.1")


async def test_a_call_that_was_refused_changes_nothing_and_leaves_no_record(stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.DrainNode(pb.DrainNodeRequest(node="n9"))
    stream = stub.WatchAudit(pb.WatchAuditRequest(from_number=1))
    await stub.DrainNode(pb.DrainNodeRequest(node="n2"))
    assert (await stream.read()).record.resource == "nodes/n2"
    stream.cancel()


async def test_the_log_has_it_at_every_level_and_no_token(stub) -> None:
    stream = io.StringIO()
    lines = logs.configure("error", "n1", lambda: None, stream)
    await stub.DrainNode(pb.DrainNodeRequest(node="n2"), metadata=(("authorization", f"Bearer {TOKEN}"),))
    lines.close()
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["who"], said["resource"]) == ("audit", "info", "token:ci", "nodes/n2")
    assert TOKEN not in line


async def test_who_watches_hears_what_comes_and_a_gap_is_an_error_that_says_where_to_start() -> None:
    trail = Trail(lambda: NOW)
    reader = trail.follow(trail.coming)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    for number in range(1, KEPT + 3):
        trail.keep(record(number))
    with pytest.raises(Lost) as lost:
        await waiting
    assert lost.value.oldest == 3
    assert (await anext(trail.follow(3))).number == 3


def test_a_record_is_bounded_whatever_was_changed() -> None:
    trail = Trail(lambda: NOW)
    context = SimpleNamespace(peer=lambda: "ipv4:127.0.0.1:1")
    enter(Call(context, "/a/B", Caller("local", Role.ADMIN), trail, "ipv4:127.0.0.1:40000"))
    audit.record(context, "configs/1", after="x" * 100_000)
    (kept,) = trail._kept
    assert len(kept.after) == LONGEST


def test_a_call_that_no_guard_let_in_has_no_caller() -> None:
    with pytest.raises(PermissionError):
        caller(SimpleNamespace())
