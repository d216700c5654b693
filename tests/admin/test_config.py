"""ConfigService: all problems at once, nothing half-applied, nothing over somebody else's revision."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure
from grpc_status import rpc_status
from msgspec.structs import replace

from admin.furnished import NOW, OFFICE, furnish, lease, put_leases
from everlease.admin import server
from everlease.config.load import load
from everlease.pb.admin.v1 import config_service_pb2 as pb
from everlease.pb.admin.v1 import config_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.records import encode
from everlease.store.txn import Leaf, single

SMALLER = OFFICE.replace("10.77.16.0-10.77.16.99", "10.77.16.0-10.77.16.49")
BROKEN = "schema: 1\nsubnets:\n  - id: 1\n    prefix: nonsense\n    linc: office\n"


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> config_service_pb2_grpc.ConfigServiceStub:
    return config_service_pb2_grpc.ConfigServiceStub(channel)


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def in_force(rooms: Rooms) -> int:
    current, _ = await rooms.configuration.documents.current()
    return current.revision if current else 0


async def test_every_problem_of_a_document_is_told_with_path_and_line(stub) -> None:
    answer = await stub.ValidateConfig(pb.ValidateConfigRequest(document=BROKEN))
    assert {(each.path, each.line) for each in answer.problems} == {
        ("subnets[0].prefix", 4),
        ("subnets[0].linc", 5),
    }
    assert not (await stub.ValidateConfig(pb.ValidateConfigRequest(document=OFFICE))).problems


async def test_a_broken_document_is_refused_with_a_violation_for_each_problem(rooms: Rooms, stub) -> None:
    error = await refused(stub.ApplyConfig(pb.ApplyConfigRequest(document=BROKEN)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    detail = BadRequest()
    assert await details_of(error, detail)
    assert {each.field for each in detail.field_violations} == {"subnets[0].prefix", "subnets[0].linc"}
    assert await in_force(rooms) == 1


async def details_of(error: grpc.aio.AioRpcError, into: BadRequest | PreconditionFailure) -> bool:
    status = rpc_status.from_call(Sync(error))
    return any(each.Unpack(into) for each in status.details)


class Sync:
    """The face that grpcio-status wants of an asynchronous error."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code, self.details, self.trailing_metadata = error.code, error.details, error.trailing_metadata


async def test_a_thousand_problems_still_fit_into_the_details(stub) -> None:
    document = "subnets:\n" + "".join(f"  - {{id: {number}, prefix: nonsense}}\n" for number in range(1, 1001))
    error = await refused(stub.ApplyConfig(pb.ApplyConfigRequest(document=document)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "1000 problems" in error.details()


async def test_a_document_is_applied_and_shown_as_it_was_written(rooms: Rooms, stub) -> None:
    document = f"# a comment\n{SMALLER}"
    request = pb.ApplyConfigRequest(document=document, expect_revision=1, author="berta", comment="less")
    answer = await stub.ApplyConfig(request)
    assert answer.config.revision == 2
    assert answer.changes == ["subnet 1: pools 10.77.16.0-10.77.16.99 -> 10.77.16.0-10.77.16.49"]
    shown = await stub.GetConfig(pb.GetConfigRequest())
    assert (shown.document, shown.author, shown.comment, shown.current) == (document, "berta", "less", True)
    assert shown.apply_time.seconds == NOW
    before = await stub.GetConfig(pb.GetConfigRequest(revision=1))
    assert (before.document, before.current, before.name) == (OFFICE, False, "configs/1")


async def test_a_dry_run_changes_nothing(rooms: Rooms, stub) -> None:
    answer = await stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, validate_only=True))
    assert (len(answer.changes), answer.config.revision) == (1, 1)
    assert await in_force(rooms) == 1


async def test_the_very_text_in_force_makes_no_new_revision(rooms: Rooms, stub) -> None:
    answer = await stub.ApplyConfig(pb.ApplyConfigRequest(document=OFFICE))
    assert (list(answer.changes), answer.config.revision) == ([], 1)
    assert await in_force(rooms) == 1


async def test_another_revision_than_expected_refuses_the_document(rooms: Rooms, stub) -> None:
    error = await refused(stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, expect_revision=0)))
    assert error.code() is grpc.StatusCode.ABORTED
    assert "revision 1 is in force" in error.details()
    assert await in_force(rooms) == 1
    forced = pb.ApplyConfigRequest(document=SMALLER, expect_revision=0, force=True)
    assert (await stub.ApplyConfig(forced)).config.revision == 2


async def test_live_leases_are_orphaned_only_by_force(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(0x0A4D1000 + number, lease(number)) for number in range(40, 60)])
    await put_leases(rooms, [(0x0A4D1063, lease(99, ends=-4000))])  # ended long ago: nobody's
    dry = await stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, validate_only=True))
    assert (dry.orphan_count, len(dry.orphans)) == (10, 1)
    error = await refused(stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER)))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    detail = PreconditionFailure()
    assert await details_of(error, detail)
    assert "such as 10.77.16.50" in detail.violations[0].description
    assert (await stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, force=True))).config.revision == 2


async def test_a_lease_that_a_reservation_takes_over_is_no_orphan(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(0x0A4D103C, lease(60))])
    kept = '      - {hw-address: "02:00:00:00:00:3c", address: 10.77.16.60}\n  - id: 2'
    answer = await stub.ApplyConfig(
        pb.ApplyConfigRequest(document=SMALLER.replace("  - id: 2", kept), validate_only=True)
    )
    assert answer.orphan_count == 0


async def test_an_address_that_the_document_now_keeps_for_somebody_else_is_told(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(0x0A4D1001, lease(1)), (0x0A4D1002, lease(2))])
    kept = '      - {hw-address: "02:00:00:00:00:99", address: 10.77.16.1}\n'
    document = OFFICE.replace("    reservations:\n", f"    reservations:\n{kept}")
    answer = await stub.ApplyConfig(pb.ApplyConfigRequest(document=document, validate_only=True))
    told = [(each.reason, each.count, list(each.examples)) for each in answer.orphaned_leases]
    assert told == [("reserved for another client", 1, ["10.77.16.1"])]
    assert list(answer.changes) == ["subnet 1: reservation hw-address 02:00:00:00:00:99 at 10.77.16.1 is new"]


async def test_subnets_and_classes_that_come_and_go_are_named(stub) -> None:
    text = OFFICE.replace("  - {name: phones,", "  - {name: handsets,").replace("id: 2\n", "id: 3\n")
    answer = await stub.ApplyConfig(pb.ApplyConfigRequest(document=text, validate_only=True))
    assert list(answer.changes) == [
        "class handsets is new",
        "class phones is removed",
        "subnet 2 (10.78.0.0/24) is removed",
        "subnet 3 (10.78.0.0/24) is new: pools 10.78.0.10-10.78.0.19",
    ]


async def test_the_first_document_needs_no_revision_before_it() -> None:
    rooms = furnish()
    handle = await server.serve(rooms, "127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") as channel:
        stub = config_service_pb2_grpc.ConfigServiceStub(channel)
        missing = await refused(stub.GetConfig(pb.GetConfigRequest()))
        applied = await stub.ApplyConfig(pb.ApplyConfigRequest(document=OFFICE, expect_revision=0))
    await handle.close()
    assert missing.code() is grpc.StatusCode.NOT_FOUND
    assert applied.config.revision == 1


async def test_a_revision_that_never_was_is_not_found(stub) -> None:
    assert (await refused(stub.GetConfig(pb.GetConfigRequest(revision=9)))).code() is grpc.StatusCode.NOT_FOUND


# --- history ----------------------------------------------------------------------------------------------------------


async def applied(stub, document: str, comment: str = "") -> None:
    await stub.ApplyConfig(pb.ApplyConfigRequest(document=document, author="berta", comment=comment, force=True))


async def test_the_history_tells_who_applied_what_when_and_why_newest_first(stub) -> None:
    await applied(stub, SMALLER, "less")
    found = (await stub.ListConfigRevisions(pb.ListConfigRevisionsRequest())).configs
    told = [(each.revision, each.author, each.comment, each.current, each.document_kept) for each in found]
    assert told == [(2, "berta", "less", True, True), (1, "anna", "first", False, True)]
    assert found[0].apply_time.seconds == NOW
    assert found[0].document == ""


async def test_the_history_comes_in_pages_and_what_is_applied_meanwhile_is_on_none(stub) -> None:
    for number in range(4):
        await applied(stub, f"# {number}\n{OFFICE}")
    first = await stub.ListConfigRevisions(pb.ListConfigRevisionsRequest(page_size=3))
    await applied(stub, SMALLER)
    rest = await stub.ListConfigRevisions(pb.ListConfigRevisionsRequest(page_size=3, page_token=first.next_page_token))
    assert [each.revision for page in (first, rest) for each in page.configs] == [5, 4, 3, 2, 1]
    assert rest.next_page_token == ""


async def test_two_revisions_are_compared_as_text_and_in_what_it_means(stub) -> None:
    await applied(stub, SMALLER)
    answer = await stub.DiffConfigs(pb.DiffConfigsRequest(from_revision=1, to_revision=2))
    assert (
        "-    pools: [{range: 10.77.16.0-10.77.16.99}]\n+    pools: [{range: 10.77.16.0-10.77.16.49}]\n"
        in answer.text_diff
    )
    assert answer.text_diff.startswith("--- revision 1\n+++ revision 2\n")
    assert list(answer.changes) == ["subnet 1: pools 10.77.16.0-10.77.16.99 -> 10.77.16.0-10.77.16.49"]
    same = await stub.DiffConfigs(pb.DiffConfigsRequest(from_revision=2))
    assert (same.text_diff, list(same.changes), same.to_revision) == ("", [], 2)


async def test_a_document_is_compared_with_what_is_in_force_before_it_is_applied(rooms: Rooms, stub) -> None:
    answer = await stub.DiffConfigs(pb.DiffConfigsRequest(document=f"# a comment\n{OFFICE}"))
    assert (list(answer.changes), answer.to_revision) == ([], 0)
    assert "+# a comment\n" in answer.text_diff
    broken = await refused(stub.DiffConfigs(pb.DiffConfigsRequest(document=BROKEN)))
    assert broken.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await in_force(rooms) == 1


async def test_going_back_makes_a_new_revision_of_the_old_text(stub) -> None:
    await applied(stub, SMALLER)
    answer = await stub.RollbackConfig(pb.RollbackConfigRequest(revision=1, author="carla", expect_revision=2))
    assert (answer.config.revision, answer.config.comment, answer.config.author) == (3, "back to revision 1", "carla")
    shown = await stub.GetConfig(pb.GetConfigRequest())
    assert (shown.document, shown.revision) == (OFFICE, 3)


async def test_going_back_is_compared_dry_run_and_guarded_like_any_other_document(rooms: Rooms, stub) -> None:
    await applied(stub, OFFICE.replace("10.77.16.99", "10.77.17.99"))
    rooms.configuration.current = load(OFFICE.replace("10.77.16.99", "10.77.17.99"), revision=2)
    await put_leases(rooms, [(0x0A4D1101, lease(7))])
    dry = await stub.RollbackConfig(pb.RollbackConfigRequest(revision=1, validate_only=True))
    assert (dry.orphan_count, dry.config.revision) == (1, 2)
    orphan = dry.orphaned_leases[0]
    assert (orphan.subnet, orphan.reason, list(orphan.examples)) == (1, "outside every pool", ["10.77.17.1"])
    for request, code in (
        (pb.RollbackConfigRequest(revision=1), grpc.StatusCode.FAILED_PRECONDITION),
        (pb.RollbackConfigRequest(revision=1, expect_revision=1), grpc.StatusCode.ABORTED),
        (pb.RollbackConfigRequest(revision=1, etag="x"), grpc.StatusCode.ABORTED),
        (pb.RollbackConfigRequest(revision=9), grpc.StatusCode.NOT_FOUND),
        (pb.RollbackConfigRequest(), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        assert (await refused(stub.RollbackConfig(request))).code() is code
    assert await in_force(rooms) == 2


async def test_a_document_that_is_no_longer_kept_says_so_and_stays_in_the_history(rooms: Rooms, stub) -> None:
    for number in range(25):
        await applied(stub, f"# {number}\n{OFFICE}")
    keys, documents = rooms.keys, rooms.configuration.documents
    note = await documents.note(1)
    assert note is not None
    gone = encode(replace(note, chunks=0))
    await rooms.store.batch(single(Leaf({}, [(keys.config_note(1), gone)], [keys.config_chunk(1, 0)])), 1.0)
    listed = (await stub.ListConfigRevisions(pb.ListConfigRevisionsRequest())).configs[-1]
    assert (listed.revision, listed.author, listed.document_kept) == (1, "anna", False)
    error = await refused(stub.GetConfig(pb.GetConfigRequest(revision=1)))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "no longer kept" in error.details()
