"""The doctor names what is wrong and what to do, and says of what is well that it is well; nothing is changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from everlease.doctor import BAD, OK, WARN, Finding, cluster, machine, store
from everlease.doctor.store import Look
from everlease.lab.processes import Loopback
from everlease.pb.admin.v1.cluster_service_pb2 import NODE_STATE_DEGRADED, NODE_STATE_SERVING, ClusterStatus, Node
from everlease.runtime.interfaces import InterfaceInfo
from everlease.store.upkeep import Disk, MemberStatus
from lab.nodes import Node as RunningNode
from lab.nodes import free_listen
from operate.test_real_node import OFFICE

MIB = 1 << 20
IDS = frozenset({1, 2, 3})


def well(number: int) -> Look:
    """A member of which nothing bad can be said."""
    endpoint = f"https://10.0.0.{number}:2379"
    status = MemberStatus(endpoint, number, "3.6.14", 100 * MIB, 60 * MIB, 8192 * MIB, 1, 500, 300)
    return Look(endpoint, status, 0.003, Disk(1000, 2.0, 8192 * MIB), IDS)


def told(found: Sequence[Finding], *levels: str) -> list[tuple[str, str]]:
    """(check, seen) of these levels."""
    return [(finding.check, finding.seen) for finding in found if finding.level in levels]


def with_status(look: Look, **changes: object) -> Look:
    assert look.status is not None
    return replace(look, status=replace(look.status, **changes))  # type: ignore[arg-type]


ALL_WELL = [well(1), well(2), well(3)]


def test_an_etcd_that_is_well_is_said_to_be_well() -> None:
    found = store.judge(ALL_WELL)
    assert {finding.level for finding in found} == {OK}
    assert len(found) == 19


@pytest.mark.parametrize(
    ("first", "level", "check", "words"),
    [
        (Look("https://10.0.0.1:2379", None, 0.0, None, frozenset()), BAD, "answers", "does not answer"),
        (with_status(well(1), version="3.5.1"), BAD, "version", "can lose what it confirmed"),
        (with_status(well(1), version="3.4.23"), WARN, "version", "is no longer maintained"),
        (replace(well(1), commit=0.0), BAD, "commit", "confirms nothing"),
        (replace(well(1), commit=0.2), WARN, "commit", "takes 200.0 ms"),
        (replace(well(1), disk=Disk(100, 5.0, 8192 * MIB)), WARN, "fsync", "50.0 ms on average"),
        (replace(well(1), disk=None), WARN, "fsync", "is not told"),
        (with_status(well(1), size=6000 * MIB), WARN, "room", "6000 MiB of 8192 MiB"),
        (with_status(well(1), size=8200 * MIB), BAD, "room", "8200 MiB of 8192 MiB"),
        (replace(well(1), endpoint="http://10.0.0.1:2379"), WARN, "TLS", "off"),
        (with_status(well(1), leader=0), WARN, "leader", "do not agree"),
        (with_status(well(1), quota=2048 * MIB), WARN, "quotas", "differ: 2048 MiB and 8192 MiB"),
        (with_status(well(1), alarms=frozenset({(1, "NOSPACE")})), BAD, "alarms", "NOSPACE on https://10.0.0.1:2379"),
        (with_status(well(1), alarms=frozenset({(3, "CORRUPT")})), BAD, "alarms", "CORRUPT on https://10.0.0.3:2379"),
    ],
)
def test_what_is_wrong_with_a_member_is_told_with_what_to_do(first: Look, level: str, check: str, words: str) -> None:
    found = store.judge([first, *ALL_WELL[1:]])
    (finding,) = [each for each in found if each.check == check and each.level != OK]
    assert finding.level == level
    assert words in finding.seen
    assert finding.advice


def test_members_that_are_not_named_are_told() -> None:
    assert ("members", "1 of 3 answered at no endpoint that is named here") in told(store.judge(ALL_WELL[:2]), WARN)


@pytest.mark.parametrize(("count", "level"), [(1, WARN), (2, WARN), (3, OK), (4, WARN), (5, OK)])
def test_a_cluster_has_three_members_or_five(count: int, level: str) -> None:
    looks = [replace(well(number), ids=frozenset(range(1, count + 1))) for number in range(1, count + 1)]
    (finding,) = [each for each in store.judge(looks) if each.check == "members"]
    assert finding.level == level


def test_an_etcd_of_which_nobody_answers_has_no_quorum() -> None:
    found = store.judge([Look("https://10.0.0.1:2379", None, 0.0, None, frozenset())])
    assert ("quorum", "nobody answers") in told(found, BAD)


# --- the cluster ------------------------------------------------------------------------------------------------------


def node(name: str, **more: object) -> Node:
    usual: dict[str, object] = {
        "node": name, "state": NODE_STATE_SERVING, "eligible": True, "links": ["office"], "config_revision": 4,
        "owned_buckets": 128,
    }  # fmt: skip
    return Node(**{**usual, **more})


def status(*nodes: Node, **more: object) -> ClusterStatus:
    usual: dict[str, object] = {"config_revision": 4, "keeper": "n1"}
    return ClusterStatus(nodes=nodes, **{**usual, **more})


def test_a_cluster_that_is_well_is_said_to_be_well() -> None:
    assert told(cluster.judge(status(node("n1"), node("n2"))), WARN, BAD) == []


@pytest.mark.parametrize(
    ("seen", "check", "words"),
    [
        (status(node("n1"), node("n2", eligible=False, state=NODE_STATE_DEGRADED, reason="no commit")),
         "serves", "degraded: no commit"),
        (status(node("n1"), node("n2", clock_offset=Duration(seconds=-7))), "clock", "-7.0 s off the cluster's"),
        (status(node("n1"), node("n2", config_revision=3)), "configuration", "decides with 3, 4 is in force"),
        (status(node("n1")), "link office", "is served by one node only"),
        (status(node("n1"), node("n2"), keeper=""), "store", "has no keeper"),
        (status(node("n1"), node("n2"), store_trouble="m1 is full"), "store", "m1 is full"),
        (status(node("n1"), node("n2"), config_error="line 3: bad"), "configuration", "line 3: bad"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_cluster_is_told_with_what_to_do(seen: ClusterStatus, check: str, words: str) -> None:
    found = [finding for finding in cluster.judge(seen) if finding.level != OK and finding.check == check]
    assert [finding.seen for finding in found] == [words]
    assert found[0].advice


# --- the machine ------------------------------------------------------------------------------------------------------


def test_missing_capabilities_are_named() -> None:
    assert machine.judge_capabilities(1 << 13).seen == "without CAP_NET_BIND_SERVICE"
    assert machine.judge_capabilities(1 << 13 | 1 << 10).level == OK


def test_a_port_that_somebody_has_is_seen_and_not_disturbed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        assert machine.port_taken(port) is True
    assert machine.port_taken(port) is False


@pytest.mark.parametrize(
    ("info", "level", "words"),
    [
        (None, BAD, "is not there"),
        (InterfaceInfo("eth0", 2, bytes(6), 1500, False, ((0x0A4D0001, 16),), frozenset()), BAD, "no carrier"),
        (InterfaceInfo("eth0", 2, bytes(6), 1500, True, (), frozenset()), BAD, "has no IPv4 address"),
        (InterfaceInfo("eth0", 2, bytes(6), 1500, True, ((0x0A4D0001, 16),), frozenset()), OK, "up, 10.77.0.1/16"),
    ],
)
def test_an_interface_that_cannot_serve_is_told(info: InterfaceInfo | None, level: str, words: str) -> None:
    finding = machine.judge_interface("eth0", info)
    assert finding.level == level
    assert words in finding.seen


def test_the_kernel_says_whether_the_clock_is_kept() -> None:
    assert machine.synchronised() in (True, False)
    assert [machine.judge_clock(kept).level for kept in (True, False, None)] == [OK, WARN, WARN]


# --- the command ------------------------------------------------------------------------------------------------------


def doctor(*words: str, server: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("everlease")), "doctor", "-o", "json", *words]
    environment = {**os.environ, "EVERLEASE_SERVER": server}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.etcd
def test_the_command_looks_at_a_live_cluster_and_its_etcd(etcd, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    document = tmp_path / "office.yaml"
    document.write_text(OFFICE)
    running = RunningNode(
        tmp_path, Loopback(), "n1", etcd.endpoints, listens=[free_listen()], prefix=etcd.prefix, document=document
    )
    running.start()
    request.addfinalizer(running.kill)
    running.wait_ready(40)
    seen = doctor(server=running.admin)
    found = {(each["subject"], each["check"]): each for each in json.loads(seen.stdout)}
    assert found["node n1", "serves"]["seen"] == "256 of 256 buckets"
    member = f"etcd {etcd.endpoints[0]}"
    assert found[member, "version"]["level"] == WARN  # Debian's etcd, and it says what is wrong with it
    assert found[member, "commit"]["level"] == OK
    assert found["etcd", "members"]["seen"] == "1"
    assert found["cluster", "configuration"]["seen"] == "revision 1"
    assert seen.returncode == (1 if any(each["level"] == BAD for each in found.values()) else 0)
    missing = doctor("--interface", "office=nowhere0", server=running.admin)
    assert missing.returncode == 1
    assert any(each["check"] == "interface nowhere0" for each in json.loads(missing.stdout))


def test_without_a_cluster_it_says_so_and_looks_at_the_rest() -> None:
    seen = doctor("--etcd", "http://127.0.0.1:1", server="127.0.0.1:1")
    found = {(each["subject"], each["check"]): each for each in json.loads(seen.stdout)}
    assert seen.returncode == 1
    assert found["cluster", "answers"]["level"] == BAD
    assert found["etcd http://127.0.0.1:1", "answers"]["level"] == BAD
    assert ("machine", "clock") in found
