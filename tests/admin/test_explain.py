"""ExplainService: the packet path's own decision, in words, and nothing is changed by asking."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from admin.furnished import OFFICE, lease, neighbour, put_leases
from everlease.config.load import load
from everlease.pb.admin.v1 import explain_service_pb2 as pb
from everlease.pb.admin.v1 import explain_service_pb2_grpc
from everlease.runtime.rooms import Rooms

DESK = "02:00:00:00:00:09"


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> explain_service_pb2_grpc.ExplainServiceStub:
    return explain_service_pb2_grpc.ExplainServiceStub(channel)


async def explain(stub, **fields: object) -> pb.ExplainResponse:
    return await stub.Explain(pb.ExplainRequest(**fields))


async def test_a_new_client_gets_an_address_of_the_pool_and_the_options_of_its_subnet(rooms: Rooms, stub) -> None:
    answer = await explain(stub, hardware_address=DESK)
    assert answer.outcome == pb.EXPLAIN_OUTCOME_OFFER
    assert answer.address.startswith("10.77.16.")
    assert (answer.subnet, answer.subnet_name, answer.node) == (1, "office", "n1")
    assert (answer.valid_lifetime.seconds, answer.server_identifier) == (3600, "10.77.0.1")
    options = {each.name: each.value for each in answer.options}
    assert options["routers"] == "10.77.0.1"
    assert any("it names this link" in step for step in answer.steps)
    assert (len(rooms.view), len(rooms.offers), rooms.committer.in_flight) == (0, 0, 0)


async def test_a_reserved_client_gets_its_address_and_is_told_why(stub) -> None:
    answer = await explain(stub, hardware_address="02:00:00:00:00:01", link="office")
    assert answer.address == "10.77.0.10"
    assert any("reserved for this client" in step for step in answer.steps)


async def test_a_client_with_a_lease_keeps_it(rooms: Rooms, stub) -> None:
    await put_leases(rooms, [(0x0A4D1042, lease(9))])
    answer = await explain(stub, hardware_address=DESK)
    assert answer.address == "10.77.16.66"
    assert any("has it now" in step for step in answer.steps)
    assert answer.client == lease(9).client.hex(":")


async def test_classes_follow_from_the_options_that_it_sends(stub) -> None:
    assert list((await explain(stub, hardware_address=DESK, options={60: b"Phone 7"})).classes) == ["phones"]
    assert list((await explain(stub, hardware_address=DESK)).classes) == []


async def test_silence_has_its_reason(stub) -> None:
    blocked = await explain(stub, hardware_address="02:ba:d0:00:00:01")
    assert (blocked.outcome, blocked.reason) == (pb.EXPLAIN_OUTCOME_SILENCE, "class_drop")
    draining = await explain(stub, hardware_address=DESK, relay="192.0.2.1")
    assert draining.reason == "draining"
    stranger = await explain(stub, hardware_address=DESK, relay="198.51.100.1")
    assert stranger.reason == "bad_relay"
    assert "relays" in stranger.steps[-1]


async def test_a_pool_that_drains_is_named(rooms: Rooms, stub) -> None:
    shut = OFFICE.replace("10.77.16.99}", "10.77.16.99, state: draining}")
    rooms.configuration.current = load(shut, revision=2, mod_revision=rooms.committer.config)
    answer = await explain(stub, hardware_address=DESK, link="office")
    assert (answer.outcome, answer.reason) == (pb.EXPLAIN_OUTCOME_SILENCE, "draining")
    assert "pool 10.77.16.0-10.77.16.99 of subnet 1 is draining" in answer.steps


async def test_it_is_told_from_the_point_of_view_of_the_node_that_answers_first(rooms: Rooms, stub) -> None:
    neighbour(rooms)
    nodes = set()
    for number in range(24):
        answer = await explain(stub, hardware_address=f"02:00:00:00:01:{number:02x}")
        nodes.add(answer.node)
        assert any(f"{answer.node} answers first" in step for step in answer.steps)
    assert nodes == {"n1", "n2"}


async def test_a_link_that_only_another_node_serves_is_that_nodes(rooms: Rooms, stub) -> None:
    neighbour(rooms, "n2", link="annex")
    answer = await explain(stub, hardware_address=DESK, link="annex")
    assert answer.node == "n2"


async def test_what_makes_no_sense_is_named(rooms: Rooms, stub) -> None:
    neighbour(rooms, "n2", link="annex")
    wrong = (
        {"hardware_address": "x"},
        {"hardware_address": DESK},  # two links: which one?
        {"hardware_address": DESK, "link": "nowhere"},
        {"hardware_address": DESK, "relay": "here"},
        {"hardware_address": DESK, "link": "office", "options": {53: b"\x03"}},
        {"hardware_address": DESK, "link": "office", "options": {50: b"\x03"}},
        {"hardware_address": "02" * 17, "link": "office"},
    )
    for fields in wrong:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await explain(stub, **fields)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, fields
