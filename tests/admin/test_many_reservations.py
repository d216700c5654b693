"""Reservations in bulk: a thousand a call, each of which stands by itself, and which may be sent again."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.rpc.code_pb2 import Code

from admin.test_reservations import Stub, kept, many, names_of, refused, written
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from everlease.runtime.rooms import Rooms


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Stub:
    return Stub(channel)


async def test_each_of_a_batch_stands_by_itself(rooms: Rooms, stub: Stub) -> None:
    wanted = [*many(250), kept("10.77.0.10"), kept("10.99.0.1"), many(1)[0], many(2)[1]]
    wanted[-2].hostname = "other"
    answer = await stub.BatchCreateReservations(pb.BatchCreateReservationsRequest(reservations=wanted))
    assert answer.created_count == 251  # the last one says what is there already
    exists, wrong = Code.ALREADY_EXISTS, Code.INVALID_ARGUMENT
    assert [(each.index, each.code) for each in answer.refused] == [(250, exists), (251, wrong), (252, exists)]
    assert answer.refused[1].field == "address"
    assert await written(rooms) == 250


async def test_a_batch_is_bounded_and_can_be_checked_alone(rooms: Rooms, stub: Stub) -> None:
    too_many = pb.BatchCreateReservationsRequest(reservations=many(1001))
    await refused(stub.BatchCreateReservations(too_many), grpc.StatusCode.INVALID_ARGUMENT)
    checked = pb.BatchCreateReservationsRequest(reservations=[*many(5), kept("10.77.0.10")], validate_only=True)
    answer = await stub.BatchCreateReservations(checked)
    assert (answer.created_count, len(answer.refused), await written(rooms)) == (5, 1, 0)


async def test_many_are_deleted_each_by_itself_and_again_nothing_changes(rooms: Rooms, stub: Stub) -> None:
    await stub.BatchCreateReservations(pb.BatchCreateReservationsRequest(reservations=many(250)))
    wrong = ["spaces/default/reservations/10.77.0.10", "what is this"]
    request = pb.BatchDeleteReservationsRequest(names=[*names_of(240), *wrong], validate_only=True)
    assert (await stub.BatchDeleteReservations(request)).deleted_count == 240
    assert await written(rooms) == 250
    request.validate_only = False
    for _ in range(2):
        answer = await stub.BatchDeleteReservations(request)
        assert answer.deleted_count == 240
        assert [(each.index, each.code) for each in answer.refused] == [
            (240, Code.FAILED_PRECONDITION), (241, Code.INVALID_ARGUMENT),
        ]  # fmt: skip
        assert await written(rooms) == 10
    again = await stub.BatchCreateReservations(pb.BatchCreateReservationsRequest(reservations=many(250)))
    assert again.created_count == 250  # nothing is left that names their clients


async def test_deleting_too_many_at_once_is_refused(stub: Stub) -> None:
    too_many = pb.BatchDeleteReservationsRequest(names=names_of(1001))
    await refused(stub.BatchDeleteReservations(too_many), grpc.StatusCode.INVALID_ARGUMENT)
