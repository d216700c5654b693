"""A manager of the configuration: applies what it changed itself, and nothing over a change of somebody else."""

from __future__ import annotations

import grpc
import pytest

from admin.furnished import OFFICE
from admin.test_config import SMALLER, in_force, refused
from everlease.admin.managed import AT_START, Verdict, judge
from everlease.pb.admin.v1 import config_service_pb2 as pb
from everlease.pb.admin.v1 import config_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.records import Current

HELM = "helm/net/dhcp"
OTHER = OFFICE.replace("second floor", "third floor")


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> config_service_pb2_grpc.ConfigServiceStub:
    return config_service_pb2_grpc.ConfigServiceStub(channel)


def history(*entries: str) -> list[Current]:
    """ "helm:a" is document "a" applied by Helm, "start:a" by a node at its start, "anna:a" by Anna."""
    words = [entry.split(":") for entry in entries]
    return [
        Current(
            number,
            1,
            author=AT_START if who == "start" else who,
            digest=text,
            manager=HELM if who == "helm" else "",
        )
        for number, (who, text) in enumerate(words, 1)
    ]


@pytest.mark.parametrize(
    ("before", "document", "verdict"),
    [
        ([], "a", Verdict.APPLY),
        (["start:a"], "a", Verdict.KEEP),
        (["start:a"], "b", Verdict.APPLY),
        (["helm:a"], "a", Verdict.KEEP),
        (["helm:a"], "b", Verdict.APPLY),
        (["helm:a", "anna:b"], "a", Verdict.KEEP),
        (["helm:a", "anna:b"], "c", Verdict.REFUSE),
        (["helm:a", "anna:b"], "b", Verdict.APPLY),
        (["helm:a", "anna:b", "helm:b"], "c", Verdict.APPLY),
        (["helm:a", "helm:b"], "a", Verdict.APPLY),
        (["anna:a"], "b", Verdict.REFUSE),
    ],
)
def test_a_manager_applies_what_it_changed_and_nothing_over_others(
    before: list[str], document: str, verdict: Verdict
) -> None:
    assert judge(HELM, document, history(*before)) is verdict


def test_force_applies_over_others_and_leaves_what_is_in_force_in_its_own_name() -> None:
    assert judge(HELM, "c", history("helm:a", "anna:b"), force=True) is Verdict.APPLY
    assert judge(HELM, "a", history("helm:a", "anna:b"), force=True) is Verdict.APPLY
    assert judge(HELM, "a", history("helm:a"), force=True) is Verdict.KEEP


async def test_a_change_of_somebody_else_is_named_and_stays(rooms: Rooms, stub) -> None:
    await stub.ApplyConfig(pb.ApplyConfigRequest(document=OFFICE, manager=HELM))
    assert (await stub.GetConfig(pb.GetConfigRequest())).manager == HELM
    await stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, author="anna"))
    before = await in_force(rooms)
    error = await refused(stub.ApplyConfig(pb.ApplyConfigRequest(document=OTHER, manager=HELM)))
    assert error.code() is grpc.StatusCode.ABORTED
    assert f"revision {before} was applied by anna" in error.details()
    kept = await stub.ApplyConfig(pb.ApplyConfigRequest(document=OFFICE, manager=HELM))
    assert kept.config.revision == before == await in_force(rooms)


async def test_with_the_text_that_is_in_force_a_manager_takes_over_again(rooms: Rooms, stub) -> None:
    await stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, author="anna"))
    taken = await stub.ApplyConfig(pb.ApplyConfigRequest(document=SMALLER, manager=HELM))
    assert taken.config.manager == HELM
    after = await stub.ApplyConfig(pb.ApplyConfigRequest(document=OFFICE, manager=HELM))
    assert after.config.revision == taken.config.revision + 1


async def test_a_refused_document_of_a_manager_changes_nothing(rooms: Rooms, stub) -> None:
    error = await refused(stub.ApplyConfig(pb.ApplyConfigRequest(document="subnets: 7", manager=HELM, force=True)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await in_force(rooms) == 1
