"""etcd's members, alarms and snapshots through the admin API, on real members."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import grpc.aio
import pytest
import structlog

from admin.furnished import furnish
from everlease.admin import server
from everlease.backup import files
from everlease.lab.etcd import EtcdCluster, EtcdOptions
from everlease.lab.processes import run
from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.pb.admin.v1 import backup_service_pb2_grpc
from everlease.store.etcd import EtcdStore
from everlease.store.maintenance import Maintenance
from keeper.stage import fill, writes
from lab.scope import EtcdScope

pytestmark = pytest.mark.etcd
Stub = backup_service_pb2_grpc.BackupServiceStub


@pytest.fixture
async def reach() -> AsyncIterator[Callable]:
    """`reach(endpoints)`: the API of a node on these members, and its store."""
    async with AsyncExitStack() as stack:

        async def made(endpoints: list[str]) -> tuple[Stub, EtcdStore]:
            store = EtcdStore(endpoints)
            stack.push_async_callback(store.close)
            rooms = furnish("n1", store)
            rooms.upkeep = Maintenance(store)
            stack.callback(rooms.upkeep.close)
            handle = await server.serve(rooms, "127.0.0.1:0")
            stack.push_async_callback(handle.close)
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}"))
            return Stub(channel), store

        yield made


async def test_members_are_listed_as_etcd_has_them(reach: Callable, etcd3_members: EtcdScope) -> None:
    stub, _ = await reach(etcd3_members.endpoints)
    members = (await stub.ListMembers(pb.ListMembersRequest())).members
    assert [each.name for each in members] == sorted(each.name for each in etcd3_members.cluster.members)
    assert {each.endpoint for each in members} == set(etcd3_members.endpoints)
    assert [url for each in members for url in each.client_urls] == [each.endpoint for each in members]
    assert sum(each.leader for each in members) == 1
    assert all(each.version.startswith("3.") and each.size_bytes >= each.in_use_bytes > 0 for each in members)
    assert (await stub.ListAlarms(pb.ListAlarmsRequest())).alarms == []


async def test_a_member_that_is_gone_is_listed_without_an_endpoint(
    reach: Callable, start_etcd: Callable[..., EtcdCluster]
) -> None:
    cluster = start_etcd(members=3)
    stub, _ = await reach(cluster.endpoints)
    cluster.kill(1)
    members = (await stub.ListMembers(pb.ListMembersRequest())).members
    assert {each.name: bool(each.endpoint) for each in members} == {
        each.name: number != 1 for number, each in enumerate(cluster.members)
    }


async def test_an_alarm_is_listed_and_taken_back(reach: Callable, start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=1, options=EtcdOptions(quota=4 << 20))
    stub, store = await reach(cluster.endpoints)
    await fill(store)
    (alarm,) = (await stub.ListAlarms(pb.ListAlarmsRequest())).alarms
    assert (alarm.alarm, alarm.member_name) == ("NOSPACE", cluster.members[0].name)
    for member, code in (("xyz", grpc.StatusCode.INVALID_ARGUMENT), ("1", grpc.StatusCode.NOT_FOUND)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DisarmAlarm(pb.DisarmAlarmRequest(member=member))
        assert caught.value.code() is code
    with structlog.testing.capture_logs() as lines:
        await stub.DisarmAlarm(pb.DisarmAlarmRequest(member=alarm.member))
    assert (await stub.ListAlarms(pb.ListAlarmsRequest())).alarms == []
    (record,) = [line for line in lines if line["event"] == "audit"]
    assert (record["who"], record["role"], record["before"], record["after"]) == ("local", "admin", "raised", "")
    assert record["resource"] == f"members/{alarm.member}/alarms/NOSPACE"
    assert record["revision"] > 0


async def test_a_snapshot_streams_out_and_etcd_reads_it(reach: Callable, etcd: EtcdScope, tmp_path: Path) -> None:
    stub, store = await reach(etcd.endpoints)
    assert await writes(store)
    pieces = [piece async for piece in stub.SaveSnapshot(pb.SaveSnapshotRequest())]
    data = b"".join(piece.data for piece in pieces)
    assert len(data) == pieces[0].total_bytes
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    file = tmp_path / "etcd.db"
    files.write_whole(file, (piece.data for piece in pieces))
    told = run(["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "status", str(file), "--write-out=json"])
    assert '"totalKey"' in told
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.SaveSnapshot(pb.SaveSnapshotRequest(endpoint="http://nobody:1"))))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_reader_that_goes_away_ends_the_snapshot(reach: Callable, etcd: EtcdScope) -> None:
    stub, _ = await reach(etcd.endpoints)
    for _ in range(5):  # more than there are threads for it
        call = stub.SaveSnapshot(pb.SaveSnapshotRequest())
        await anext(aiter(call))
        call.cancel()
    assert [piece async for piece in stub.SaveSnapshot(pb.SaveSnapshotRequest())]


async def test_a_store_that_is_gone_is_unavailable(reach: Callable, start_etcd: Callable[..., EtcdCluster]) -> None:
    cluster = start_etcd(members=1)
    stub, _ = await reach(cluster.endpoints)
    cluster.kill(0)
    for call in (stub.ListMembers(pb.ListMembersRequest()), stub.ListAlarms(pb.ListAlarmsRequest())):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
