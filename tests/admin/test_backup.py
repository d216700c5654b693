"""BackupService: what is saved is what there was at one revision, and what is put back shortens no promise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import grpc
import grpc.aio
import msgspec
import pytest

from admin.furnished import NOW, OFFICE, furnish, lease, office, put_leases, serve_link
from everlease.admin import server
from everlease.backup import lines
from everlease.backup.verify import Contents, check
from everlease.core.lifecycle import DECLINED, OFFERED, RELEASED, Lease
from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.pb.admin.v1 import backup_service_pb2_grpc, cluster_service_pb2, cluster_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.api import Unavailable
from everlease.store.drains import Drains
from everlease.store.records import ReservationRecord, decode_lease, dotted, encode, encode_lease
from everlease.store.txn import Leaf, single

POOL = 0x0A4D1000
Stub = backup_service_pb2_grpc.BackupServiceStub


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Stub:
    return Stub(channel)


async def saved(stub: Stub) -> bytes:
    return b"".join([piece.data async for piece in stub.SaveBackup(pb.SaveBackupRequest())])


def requests(data: bytes, size: int = 1000, **first: object) -> Iterator[pb.RestoreBackupRequest]:
    for start in range(0, len(data), size):
        yield pb.RestoreBackupRequest(data=data[start : start + size], **(first if not start else {}))


async def restored(stub: Stub, data: bytes, **first: object) -> pb.RestoreBackupResponse:
    return await stub.RestoreBackup(requests(data, **first))


async def put(rooms: Rooms, *pairs: tuple[bytes, bytes]) -> None:
    await rooms.store.batch(single(Leaf({}, list(pairs))), 1.0)


async def stored(rooms: Rooms, address: int, space: str = "default") -> Lease | None:
    page = await rooms.store.get_range(*rooms.keys.lease_range(space, address, address))
    return decode_lease(page.records[0].value or b"") if page.records else None


async def index(rooms: Rooms, of: Lease) -> bytes | None:
    key = rooms.keys.client("default", of.subnet, of.client)
    page = await rooms.store.get_range(key, key + b"\0")
    return page.records[0].value if page.records else None


def contents(data: bytes) -> Contents:
    return check([data], NOW)


def a_file(leases: Iterable[tuple[int, Lease]] = (), revision: int = 7) -> bytes:
    """A backup of these leases alone."""
    writer = lines.Writer()
    head = lines.Header(lines.VERSION, "2026-11-23T12:00:00+00:00", revision)
    rows = [lines.Lease("default", dotted(at), msgspec.Raw(encode_lease(each))) for at, each in leases]
    return writer.write([head, *rows]) + writer.end()


@pytest.fixture
async def other() -> Rooms:
    """A node of a cluster that lost everything."""
    rooms = furnish("m1")
    serve_link(rooms)
    return rooms


@pytest.fixture
async def there(other: Rooms):
    """Its API."""
    handle = await server.serve(other, "127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") as channel:
        yield Stub(channel)
    await handle.close()


async def test_a_backup_holds_the_configuration_reservations_drains_and_leases(rooms: Rooms, stub: Stub) -> None:
    reservation = encode(ReservationRecord("hw-address", "01020000000005", 1, address="10.77.0.50"))
    await put(rooms, (rooms.keys.reservation("default", 0x0A4D0032), reservation))
    await Drains(rooms.store, rooms.keys).drain("n2", "anna", NOW)
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(600)])
    await put_leases(rooms, [(5, lease(1))], space="tenant-b")
    data = await saved(stub)
    assert rooms.counters.backed_up_at == rooms.clock.now()
    found = contents(data)
    assert found.counts == {
        "configuration": 1, "document": 1, "reservation": 1, "drain": 1, "lease": 601, "unreadable": 0,
    }  # fmt: skip
    assert found.configuration is not None
    assert (found.configuration.author, found.configuration.revision) == ("anna", 1)
    assert found.live == 601
    assert b'{"kind":"lease","space":"tenant-b","address":"0.0.0.5","record":{"client":' in data
    assert data.decode().splitlines()[0].startswith('{"kind":"everlease-backup","version":1,"saved_at":"2027-01-15T')


async def test_all_of_it_is_of_one_revision(rooms: Rooms, stub: Stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(600)])
    call = aiter(stub.SaveBackup(pb.SaveBackupRequest()))
    data = (await anext(call)).data
    await put_leases(rooms, [(POOL + 599, lease(9999)), (POOL + 700, lease(700))])
    data += b"".join([piece.data async for piece in call])
    found = contents(data)
    assert rooms.counters.backed_up_at == NOW
    assert found.counts["lease"] == 600
    assert found.header.revision == rooms.store.revision - 1
    assert lease(9999).client.hex().encode() not in data


async def test_what_nobody_can_read_is_kept_and_told_and_spoils_nothing(rooms: Rooms, stub: Stub, there: Stub) -> None:
    await put(rooms, (rooms.keys.lease("default", POOL), b"\xff{not json"), (rooms.keys.config_current, b"{}"))
    await put_leases(rooms, [(POOL + 1, lease(1))])
    data = await saved(stub)
    assert contents(data).counts["unreadable"] == 2
    answer = await restored(there, data, recovery=pb.RECOVERY_OFF)
    assert (answer.unreadable, answer.leases_added, answer.config_revision) == (2, 1, 0)


async def test_a_compacted_revision_ends_the_stream_with_an_error(rooms: Rooms, stub: Stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(600)])
    call = aiter(stub.SaveBackup(pb.SaveBackupRequest()))
    await anext(call)
    await put_leases(rooms, [(POOL + 900, lease(900))])
    await rooms.store.compact(rooms.store.revision)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_lost_cluster_gets_everything_back_and_recovers(
    rooms: Rooms, stub: Stub, other: Rooms, there: Stub
) -> None:
    reservation = encode(ReservationRecord("hw-address", "01020000000005", 1, address="10.77.0.50"))
    await put(rooms, (rooms.keys.reservation("default", 0x0A4D0032), reservation))
    await Drains(rooms.store, rooms.keys).drain("n2", "anna", NOW)
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(250)])
    data = await saved(stub)
    answer = await restored(there, data)
    assert (answer.leases_added, answer.reservations_added, answer.drains_added) == (250, 1, 1)
    assert (answer.config_revision, answer.conflict_count) == (1, 0)
    assert answer.recover_until_time.seconds == pytest.approx(NOW + 3600 + 600, abs=5)
    current, _ = await other.configuration.documents.current()
    assert current is not None
    assert (current.revision, current.author) == (1, "anna")
    assert current.recover_until == answer.recover_until_time.seconds
    assert await other.configuration.documents.fetch(1) == OFFICE
    for number in (0, 249):
        assert await stored(other, POOL + number) == await stored(rooms, POOL + number)
        assert await index(other, lease(number)) == b"%08x" % (POOL + number)
    again = contents(await saved(there))
    assert {**again.counts} == {**contents(data).counts}


async def test_the_same_file_again_changes_nothing(rooms: Rooms, stub: Stub, other: Rooms, there: Stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(250)])
    data = await saved(stub)
    first = await restored(there, data)
    revision = other.store.revision
    again = await restored(there, data)
    assert (again.leases_kept, again.leases_added, again.conflict_count) == (250, 0, 0)
    assert other.store.revision == revision
    assert again.recover_until_time.seconds in (0, first.recover_until_time.seconds)


async def test_a_restore_that_was_cut_leaves_nobody_served_and_is_finished_by_the_next(
    rooms: Rooms, stub: Stub, other: Rooms, there: Stub
) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(250)])
    data = await saved(stub)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await restored(there, data[: len(data) // 2])
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert (await other.configuration.documents.current())[0] is None
    answer = await restored(there, data, recovery=pb.RECOVERY_ON)
    assert answer.config_revision == 1
    assert answer.leases_added + answer.leases_kept == 250
    assert answer.leases_kept > 50
    assert answer.HasField("recover_until_time")


async def test_a_dry_run_tells_the_same_and_writes_nothing(rooms: Rooms, stub: Stub, other: Rooms, there: Stub) -> None:
    await put_leases(rooms, [(POOL + number, lease(number)) for number in range(250)])
    data = await saved(stub)
    before = other.store.revision
    dry = await restored(there, data, validate_only=True)
    assert other.store.revision == before
    wet = await restored(there, data)
    wet.recover_until_time.CopyFrom(dry.recover_until_time)
    assert dry == wet


async def test_in_a_live_cluster_what_promises_more_stays(rooms: Rooms, stub: Stub) -> None:
    there = [
        (POOL + 1, lease(1, ends=1800)),
        (POOL + 2, lease(2, ends=900)),
        (POOL + 3, lease(33)),
        (POOL + 40, lease(4)),
        (POOL + 5, lease(55, ends=-4000)),
        (POOL + 6, lease(6, state=RELEASED, ends=-3000)),
        (POOL + 7, lease(77, state=RELEASED, ends=-3000)),
    ]
    await put_leases(rooms, there)
    for _, each in there:
        at = b"%08x" % next(address for address, one in there if one is each)
        await put(rooms, (rooms.keys.client("default", 1, each.client), at))
    file = a_file([(POOL + number, lease(number, ends=1200)) for number in range(1, 9)])
    answer = await restored(stub, file)
    kinds = {each.resource.rpartition("/")[2]: each.kind for each in answer.conflicts}
    assert kinds == {"10.77.16.3": pb.CONFLICT_KIND_ADDRESS_TAKEN, "10.77.16.4": pb.CONFLICT_KIND_CLIENT_MOVED}
    assert (answer.leases_kept, answer.leases_extended, answer.leases_added) == (1, 1, 4)
    assert not answer.HasField("recover_until_time")
    ends = {number: found.expires_at for number in range(1, 9) if (found := await stored(rooms, POOL + number))}
    assert ends[1] == lease(1, ends=1800).expires_at
    assert all(ends[number] == lease(1, ends=1200).expires_at for number in (2, 5, 6, 7, 8))
    assert await index(rooms, lease(55)) is None
    assert await index(rooms, lease(5)) == b"%08x" % (POOL + 5)
    assert await index(rooms, lease(4)) == b"%08x" % (POOL + 40)


async def test_offers_are_forgotten_and_probation_is_kept_in_nobodys_name(rooms: Rooms, stub: Stub) -> None:
    file = a_file([(POOL, lease(1, state=OFFERED)), (POOL + 1, lease(2, state=DECLINED)), (POOL + 2, lease(2))])
    answer = await restored(stub, file)
    assert (answer.leases_skipped, answer.leases_added, answer.conflict_count) == (1, 2, 0)
    declined = await stored(rooms, POOL + 1)
    assert declined is not None
    assert (declined.client, declined.state) == (b"", DECLINED)
    assert await index(rooms, lease(2)) == b"%08x" % (POOL + 2)
    again = await restored(stub, file)
    assert (again.leases_kept, again.conflict_count) == (2, 0)


async def test_another_configuration_in_force_stays_and_is_told(
    rooms: Rooms, stub: Stub, other: Rooms, there: Stub
) -> None:
    await office(other, OFFICE.replace("second floor", "third floor"))
    await Drains(rooms.store, rooms.keys).drain("n2", "anna", NOW)
    await put_leases(other, [(POOL + 9, lease(9))])
    answer = await restored(there, await saved(stub))
    assert [each.kind for each in answer.conflicts] == [
        pb.CONFLICT_KIND_DRAIN, pb.CONFLICT_KIND_CONFIGURATION_DIFFERS,
    ]  # fmt: skip
    assert answer.config_revision == 0
    assert "third floor" in await other.configuration.documents.fetch(1)


async def test_reservations_meet_those_that_are_there(rooms: Rooms, stub: Stub, other: Rooms, there: Stub) -> None:
    def made(number: int, address: str) -> list[tuple[bytes, bytes]]:
        value = encode(ReservationRecord("hw-address", f"010200000000{number:02x}", 1, address=address))
        key = rooms.keys.reservation("default", int.from_bytes(map(int, address.split(".")), "big"))
        index = rooms.keys.reserved_client("default", 1, f"client-010200000000{number:02x}")
        return [(key, value), (index, key.rpartition(b"/")[2])]

    for number in range(1, 5):
        await put(rooms, *made(number, f"10.77.0.{50 + number}"))
    for mine in (made(1, "10.77.0.51"), made(22, "10.77.0.52"), made(3, "10.77.0.99")):
        await put(other, *mine)
    answer = await restored(there, await saved(stub), recovery=pb.RECOVERY_OFF)
    assert (answer.reservations_kept, answer.reservations_added) == (1, 1)
    assert [(each.kind, each.resource) for each in answer.conflicts] == [
        (pb.CONFLICT_KIND_RESERVATION_DIFFERS, "spaces/default/reservations/10.77.0.52"),
        (pb.CONFLICT_KIND_RESERVATION_DIFFERS, "spaces/default/reservations/10.77.0.53"),
    ]
    assert "client has another one now: spaces/default/reservations/10.77.0.99" in answer.conflicts[1].description
    index = other.keys.reserved_client("default", 1, "client-01020000000004")
    assert (await other.store.get_range(index, index + b"\0")).records[0].value == b"0a4d0036"


async def test_a_recovery_is_told_and_can_be_ended_once(rooms: Rooms, stub: Stub, channel: grpc.aio.Channel) -> None:
    answer = await restored(stub, a_file([(POOL, lease(1))]))
    current, _ = await rooms.configuration.documents.current()
    assert current is not None
    assert current.recover_until == answer.recover_until_time.seconds > NOW
    rooms.configuration.recover_until = current.recover_until
    cluster = cluster_service_pb2_grpc.ClusterServiceStub(channel)
    status = await cluster.GetStatus(cluster_service_pb2.GetStatusRequest())
    assert status.recover_until_time == answer.recover_until_time
    await stub.EndRecovery(pb.EndRecoveryRequest())
    current, _ = await rooms.configuration.documents.current()
    assert current is not None
    assert current.recover_until == 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.EndRecovery(pb.EndRecoveryRequest())
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "ends before it begins"),
        (b"hello\n", "line 1: this is no backup of Everlease"),
        (a_file([(POOL, lease(1))]).replace(b'"bound"', b'"lost!"'), "line 2"),
        (a_file([(POOL, lease(1))]).replace(b"10.77.16.0", b"10.77.16.1"), "line 3: the checksum differs"),
        (b"[" * 3_000_000, "longer than"),
        (a_file().replace(b'"version":1', b'"version":9'), "of a later version"),
    ],
)  # fmt: skip
async def test_a_damaged_file_is_refused_with_its_line(stub: Stub, data: bytes, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RestoreBackup(requests(data, size=500_000))
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert words in (caught.value.details() or "")


async def test_a_batch_without_an_answer_is_found_out_about(rooms: Rooms, stub: Stub, monkeypatch) -> None:
    real, calls = rooms.store.batch, []

    async def batch(request: bytes, deadline: float, member: str | None = None) -> object:
        result = await real(request, deadline, member)
        calls.append(result)
        if len(calls) == 1:
            raise Unavailable("no answer")
        return result

    monkeypatch.setattr(rooms.store, "batch", batch)
    answer = await restored(stub, a_file([(POOL + n, lease(n)) for n in range(50)]), recovery=pb.RECOVERY_OFF)
    assert answer.leases_added + answer.leases_kept == 50
    assert answer.conflict_count == 0


async def test_a_record_whose_keys_cannot_be_read_is_told_and_left(rooms: Rooms, stub: Stub) -> None:
    await put(rooms, (rooms.keys.client("default", 1, lease(3).client), b"what is this"))
    answer = await restored(stub, a_file([(POOL + n, lease(n)) for n in range(5)]), recovery=pb.RECOVERY_OFF)
    assert (answer.leases_added, answer.conflict_count) == (4, 1)
    assert "cannot be made sense of" in answer.conflicts[0].description
    assert await stored(rooms, POOL + 3) is None
