"""ReservationService: kept once, for one client, whoever asks at the same time; told as it was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from admin.furnished import NOW, OFFICE, furnish, serve_link
from everlease.admin import server
from everlease.config.load import load
from everlease.core.model import OptionValue
from everlease.pb.admin.v1 import config_service_pb2, config_service_pb2_grpc, reservation_service_pb2_grpc
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.txn import Leaf, single

Stub = reservation_service_pb2_grpc.ReservationServiceStub
DESK = "02:00:00:00:00:99"


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Stub:
    return Stub(channel)


@pytest.fixture
async def neighbours(rooms: Rooms) -> AsyncIterator[tuple[Stub, Stub]]:
    """Two nodes on one store, neither of which sees what the other writes until it asks."""
    other = furnish("n2", rooms.store)
    other.configuration.current = rooms.configuration.current
    serve_link(other)
    handles = [await server.serve(each, "127.0.0.1:0") for each in (rooms, other)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{handle.port}") for handle in handles]
    yield Stub(channels[0]), Stub(channels[1])
    for channel in channels:
        await channel.close()
    for handle in handles:
        await handle.close()


def kept(address: str = "10.77.0.50", hw_address: str = DESK, **more: Any) -> pb.Reservation:
    if not {"client_id", "circuit_id", "remote_id"} & more.keys():
        more["hw_address"] = hw_address
    parameters = more.pop("parameters", None)
    message = pb.Reservation(address=address, **more)
    if parameters:
        message.parameters.update(parameters)
    return message


def create(message: pb.Reservation, **more: Any) -> pb.CreateReservationRequest:
    return pb.CreateReservationRequest(reservation=message, **more)


async def refused(call: Any, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    return caught.value.details() or ""


async def written(rooms: Rooms) -> int:
    """Records in the store."""
    return len((await rooms.store.get_range(rooms.keys.reservations("default"), b"/everlease/v/reservations0")).records)


# --- one --------------------------------------------------------------------------------------------------------------


async def test_a_reservation_is_told_as_it_was_written(stub: Stub) -> None:
    parameters = {
        "valid-lifetime": "2h",
        "boot-file-name": "pxe",
        "option-data": {"domain-name-servers": ["10.77.0.3"]},
    }
    wanted = kept(hostname="desk", description="by the window", parameters=parameters)
    made = await stub.CreateReservation(create(wanted, author="anna"))
    assert (made.name, made.subnet) == ("spaces/default/reservations/10.77.0.50", 1)
    assert (made.author, made.update_time.seconds, made.source) == ("anna", NOW, pb.RESERVATION_SOURCE_API)
    shown = await stub.GetReservation(pb.GetReservationRequest(name=made.name))
    assert shown == made
    assert shown == await stub.GetReservation(pb.GetReservationRequest(address="10.77.0.50"))
    assert (shown.hostname, shown.description, shown.hw_address) == ("desk", "by the window", DESK)
    assert dict(shown.parameters)["valid-lifetime"] == "2h"


async def test_its_parameters_take_effect_at_once_and_the_document_is_not_compiled_again(
    rooms: Rooms, stub: Stub
) -> None:
    config = rooms.configuration.current
    await stub.CreateReservation(
        create(kept(hostname="desk", parameters={"valid-lifetime": "2h", "option-data": {"time-offset": 7}}))
    )
    found = rooms.view.reservation_of("default", 1, "hw-address", b"\x01\x02\0\0\0\0\x99", 0)
    assert found is not None
    assert (found.hostname, found.parameters.valid_lifetime) == ("desk", 7200)
    assert found.parameters.options == {2: OptionValue(b"\0\0\0\7")}
    assert rooms.configuration.current is config


async def test_every_kind_of_identifier_and_no_address(rooms: Rooms, stub: Stub) -> None:
    for message, name in (
        (kept("", client_id="01:0a"), "1-client-id-010a"),
        (kept("", circuit_id="ge-0/0/7", relay="192.0.2.1"), "1-circuit-id-67652d302f302f37-c0000201"),
        (kept("", remote_id="0x0102"), "1-remote-id-0102"),
        (kept(""), "1-hw-address-01020000000099"),
    ):
        message.subnet = 1
        made = await stub.CreateReservation(create(message))
        assert made.name == f"spaces/default/reservations/{name}"
        kind = message.WhichOneof("identifier")
        assert made.WhichOneof("identifier") == kind
        again = await stub.GetReservation(pb.GetReservationRequest(name=made.name))
        assert (again, again.relay) == (made, message.relay)
    assert rooms.view.reservation_of("default", 1, "circuit-id", b"ge-0/0/7", 0xC0000201) is not None


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (kept("10.99.0.1"), "address"),
        (kept("10.77.0.0"), "address"),
        (kept("nonsense"), "address"),
        (kept(hw_address="zz"), "hw_address"),
        (kept(""), "subnet"),
        (kept(subnet=9), "subnet"),
        (kept("10.78.0.5", subnet=1), "address"),
        (kept(parameters={"valid-lifetime": "never"}), "valid_lifetime"),
        (kept(parameters={"option-data": {"no-such-option": 1}}), "option_data"),
        (kept(parameters={"address": "10.77.0.9"}), "parameters"),
        (pb.Reservation(address="10.77.0.50"), "one of hw-address"),
        (kept(space="No Space"), "space"),
        (kept(name="spaces/default/reservations/x"), "name"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_written(
    rooms: Rooms, stub: Stub, message: pb.Reservation, field: str
) -> None:
    words = await refused(stub.CreateReservation(create(message)), grpc.StatusCode.INVALID_ARGUMENT)
    assert field.replace("_", "-") in words.replace("_", "-")
    assert await written(rooms) == 0


async def test_a_check_alone_writes_nothing(rooms: Rooms, stub: Stub) -> None:
    made = await stub.CreateReservation(create(kept(), validate_only=True))
    assert (made.name, made.etag) == ("spaces/default/reservations/10.77.0.50", "")
    assert await written(rooms) == 0


# --- conflicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        kept("10.77.0.10"),  # the document's printer has it
        kept("10.77.0.51", hw_address="02:00:00:00:00:01"),  # the document's printer is that client
        kept("10.77.0.51", client_id="01:02:00:00:00:00:01"),  # so it is by its usual client identifier
    ],
)
async def test_the_document_comes_first(rooms: Rooms, stub: Stub, other: pb.Reservation) -> None:
    words = await refused(stub.CreateReservation(create(other)), grpc.StatusCode.ALREADY_EXISTS)
    assert "the document" in words
    assert await written(rooms) == 0


@pytest.mark.parametrize(
    "other", [kept(hw_address="02:00:00:00:00:98"), kept("10.77.0.51"), kept("10.77.0.51", client_id=f"01:{DESK}")]
)
async def test_two_nodes_asked_at_once_reserve_one_address_for_one_client(
    rooms: Rooms, neighbours: tuple[Stub, Stub], other: pb.Reservation
) -> None:
    calls = [stub.CreateReservation(create(each)) for stub, each in zip(neighbours, (kept(), other), strict=True)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    errors = [each for each in found if isinstance(each, grpc.aio.AioRpcError)]
    assert [error.code() for error in errors] == [grpc.StatusCode.ALREADY_EXISTS]
    assert await written(rooms) == 1


async def test_the_same_call_again_is_answered_as_the_first_time(rooms: Rooms, neighbours: tuple[Stub, Stub]) -> None:
    first = await neighbours[0].CreateReservation(create(kept(hostname="desk")))
    again = await neighbours[1].CreateReservation(create(kept(hostname="desk"), author="other"))
    assert again.etag == first.etag
    assert await written(rooms) == 1


async def test_an_index_entry_that_names_nothing_is_in_nobody_s_way(rooms: Rooms, stub: Stub) -> None:
    index = rooms.keys.reserved_client("default", 1, "client-01020000000099")
    await rooms.store.batch(single(Leaf({}, [(index, b"0a4d0063")])), 1.0)
    assert (await stub.CreateReservation(create(kept()))).etag
    assert (await rooms.store.get_range(index, index + b"\0")).records[0].value == b"0a4d0032"


async def test_what_was_decided_under_another_configuration_is_refused(rooms: Rooms, stub: Stub) -> None:
    await rooms.configuration.documents.publish(f"# new\n{OFFICE}", 1, "anna", "", NOW)
    await refused(stub.CreateReservation(create(kept())), grpc.StatusCode.ABORTED)
    assert await written(rooms) == 0


async def test_a_document_that_contradicts_a_reservation_is_refused(rooms: Rooms, channel: grpc.aio.Channel) -> None:
    await Stub(channel).CreateReservation(create(kept()))
    config = config_service_pb2_grpc.ConfigServiceStub(channel)
    rooms.view.passed(rooms.store.revision)
    for line, words in (
        (f'- {{hw-address: "{DESK}", address: 10.77.0.60}}', "the same client"),
        ('- {hw-address: "02:00:00:00:00:77", address: 10.77.0.50}', "keeps that address"),
    ):
        document = OFFICE.replace("    reservations:\n", f"    reservations:\n      {line}\n")
        request = config_service_pb2.ApplyConfigRequest(document=document, force=True)
        said = await refused(config.ApplyConfig(request), grpc.StatusCode.FAILED_PRECONDITION)
        assert words in said
    gone = OFFICE.replace("10.77.0.0/16", "10.79.0.0/16").replace("10.77.", "10.79.")
    request = config_service_pb2.ApplyConfigRequest(document=gone)
    assert "outside subnet 1" in await refused(config.ApplyConfig(request), grpc.StatusCode.FAILED_PRECONDITION)
    request.force = True
    assert (await config.ApplyConfig(request)).config.revision == 2


# --- changing ---------------------------------------------------------------------------------------------------------


async def test_an_update_changes_what_its_mask_names(rooms: Rooms, stub: Stub) -> None:
    made = await stub.CreateReservation(
        create(kept(hostname="desk", description="a", parameters={"next-server": "10.77.0.5"}))
    )
    wanted = pb.Reservation(name=made.name, hostname="table", description="b")
    changed = await stub.UpdateReservation(
        pb.UpdateReservationRequest(reservation=wanted, update_mask=FieldMask(paths=["hostname"]), etag=made.etag)
    )
    assert (changed.hostname, changed.description, dict(changed.parameters)) == (
        "table",
        "a",
        {"next-server": "10.77.0.5"},
    )
    found = rooms.view.reservation_at("default", 0x0A4D0032)
    assert found is not None
    assert (found.hostname, found.parameters.next_server) == ("table", 0x0A4D0005)


async def test_an_update_may_give_the_address_to_another_client_and_frees_the_first_one(stub: Stub) -> None:
    made = await stub.CreateReservation(create(kept()))
    wanted = pb.Reservation(name=made.name, client_id="other-desk")
    changed = await stub.UpdateReservation(pb.UpdateReservationRequest(reservation=wanted))
    assert (changed.WhichOneof("identifier"), changed.client_id) == ("client_id", "other-desk")
    assert (await stub.CreateReservation(create(kept("10.77.0.51")))).hw_address == DESK


async def test_a_change_of_something_else_than_was_seen_is_refused(stub: Stub) -> None:
    made = await stub.CreateReservation(create(kept()))
    wanted = pb.Reservation(name=made.name, hostname="x")
    mask = FieldMask(paths=["hostname"])
    await stub.UpdateReservation(pb.UpdateReservationRequest(reservation=wanted, update_mask=mask))
    late = pb.UpdateReservationRequest(reservation=wanted, update_mask=mask, etag=made.etag)
    await refused(stub.UpdateReservation(late), grpc.StatusCode.ABORTED)
    await refused(
        stub.DeleteReservation(pb.DeleteReservationRequest(name=made.name, etag=made.etag)), grpc.StatusCode.ABORTED
    )


async def test_a_deleted_reservation_is_gone_with_its_index(rooms: Rooms, stub: Stub) -> None:
    made = await stub.CreateReservation(create(kept()))
    await stub.DeleteReservation(pb.DeleteReservationRequest(name=made.name, validate_only=True))
    assert await written(rooms) == 1
    await stub.DeleteReservation(pb.DeleteReservationRequest(name=made.name))
    assert rooms.view.reservation_at("default", 0x0A4D0032) is None
    index = rooms.keys.reserved_client("default", 1, "client-01020000000099")
    assert not (await rooms.store.get_range(index, index + b"\0")).records
    name = pb.DeleteReservationRequest(name=made.name)
    await refused(stub.DeleteReservation(name), grpc.StatusCode.NOT_FOUND)
    assert (await stub.CreateReservation(create(kept()))).etag


async def test_those_of_the_document_are_changed_there(stub: Stub) -> None:
    name = "spaces/default/reservations/10.77.0.10"
    found = await stub.GetReservation(pb.GetReservationRequest(name=name))
    assert (found.source, found.hostname, found.hw_address) == (
        pb.RESERVATION_SOURCE_CONFIG, "printer", "02:00:00:00:00:01",
    )  # fmt: skip
    await refused(stub.DeleteReservation(pb.DeleteReservationRequest(name=name)), grpc.StatusCode.FAILED_PRECONDITION)
    request = pb.UpdateReservationRequest(reservation=found)
    await refused(stub.UpdateReservation(request), grpc.StatusCode.FAILED_PRECONDITION)


# --- many -------------------------------------------------------------------------------------------------------------


def many(count: int, first: int = 0) -> list[pb.Reservation]:
    numbers = range(first, first + count)
    return [kept(f"10.77.{100 + (n >> 8)}.{n & 255}", f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}") for n in numbers]


def names_of(count: int) -> list[str]:
    return [f"spaces/default/reservations/{each.address}" for each in many(count)]


async def test_what_a_node_has_not_heard_of_is_deleted_as_etcd_has_it(neighbours: tuple[Stub, Stub]) -> None:
    one, other = neighbours
    await one.BatchCreateReservations(pb.BatchCreateReservationsRequest(reservations=many(3)))
    all_three = pb.BatchDeleteReservationsRequest(names=names_of(3))
    assert (await other.BatchDeleteReservations(all_three)).deleted_count == 3
    await other.CreateReservation(create(many(2)[1], author="anna"))
    assert (await one.BatchDeleteReservations(all_three)).deleted_count == 3
    assert list((await one.ListReservations(pb.ListReservationsRequest(source=2))).reservations) == []


async def test_a_listing_is_the_document_s_and_then_the_api_s_page_by_page(rooms: Rooms, stub: Stub) -> None:
    await stub.BatchCreateReservations(pb.BatchCreateReservationsRequest(reservations=many(5)))
    found: list[str] = []
    request = pb.ListReservationsRequest(page_size=2)
    while True:
        page = await stub.ListReservations(request)
        found += [each.address for each in page.reservations]
        if not page.next_page_token:
            break
        if len(found) == 2:  # what comes later is on no page
            await stub.CreateReservation(create(kept("10.77.200.1", "02:00:00:00:02:00")))
        request.page_token = page.next_page_token
    assert found == ["10.77.0.10", *(f"10.77.100.{number}" for number in range(5))]


async def test_filters_pick_reservations(stub: Stub) -> None:
    await stub.CreateReservation(create(kept(hostname="desk")))
    await stub.CreateReservation(create(kept("10.78.0.50", "02:00:00:00:00:98")))

    async def addresses(**filters: Any) -> list[str]:
        page = await stub.ListReservations(pb.ListReservationsRequest(**filters))
        return [each.address for each in page.reservations]

    assert await addresses(source=pb.RESERVATION_SOURCE_CONFIG) == ["10.77.0.10"]
    assert await addresses(source=pb.RESERVATION_SOURCE_API) == ["10.77.0.50", "10.78.0.50"]
    assert await addresses(subnet=2) == ["10.78.0.50"]
    assert await addresses(client=DESK) == ["10.77.0.50"]
    assert await addresses(client="PRINTER") == ["10.77.0.10"]
    assert await addresses(space="tenant") == []


async def test_pages_of_two_configurations_are_not_mixed(rooms: Rooms, stub: Stub) -> None:
    more = OFFICE.replace(
        "    reservations:\n", '    reservations:\n      - {hw-address: "02:00:00:00:00:02", address: 10.77.0.11}\n'
    )

    async def switch(text: str, expected: int) -> None:
        await rooms.configuration.documents.publish(text, expected, "anna", "", NOW)
        _, mod_revision = await rooms.configuration.documents.current()
        rooms.configuration.current = load(text, revision=expected + 1, mod_revision=mod_revision)

    await switch(more, 1)
    first = await stub.ListReservations(pb.ListReservationsRequest(page_size=1))
    assert [each.address for each in first.reservations] == ["10.77.0.11"]
    await switch(OFFICE, 2)
    request = pb.ListReservationsRequest(page_size=1, page_token=first.next_page_token)
    await refused(stub.ListReservations(request), grpc.StatusCode.OUT_OF_RANGE)


async def test_a_record_that_nobody_can_read_hides_nothing_else(rooms: Rooms, stub: Stub) -> None:
    await stub.CreateReservation(create(kept()))
    key = rooms.keys.reservation("default", 0x0A4D0001)
    revision = (await rooms.store.batch(single(Leaf({}, [(key, b"{}")])), 1.0)).revision
    rooms.view.apply(KeyValue(key, b"{}", revision))
    page = await stub.ListReservations(pb.ListReservationsRequest(source=pb.RESERVATION_SOURCE_API))
    assert [each.address for each in page.reservations] == ["10.77.0.50"]
