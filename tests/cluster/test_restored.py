"""Everything is lost, and a backup is restored: every client keeps its address, and nobody else gets it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from cluster.crowd import Crowd, dotted
from everlease.backup import files
from everlease.backup.verify import verify
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.pb.admin.v1 import backup_service_pb2_grpc
from lab.guest import BOUND, REBINDING, SELECTING
from lab.nodes import Node
from lab.site import Site
from lab.window import Window

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def lose_everything(site: Site) -> None:
    """Every node and every member is gone, with its data; new ones come up, and know of no configuration."""
    for node in site.nodes:
        node.kill()
    for number, member in enumerate(site.etcd.members):
        site.etcd.kill(number)
        shutil.rmtree(member.data)
        site.etcd.start_member(number)
    site.etcd.wait_healthy()
    for node in site.nodes:
        at = node.arguments.index("--config-file")
        del node.arguments[at : at + 2]
        node.start()
    for node in site.nodes:
        wait_until(lambda n=node: "no configuration" in n.readiness(), 30, f"{node.name} waits for a configuration")


def addresses(*crowds: Crowd) -> dict[bytes, int]:
    """MAC -> address of everybody who has one."""
    return {guest.mac: guest.ack.address for crowd in crowds for guest in crowd.guests if guest.ack is not None}


def run(crowds: list[Crowd], until: Callable[[], bool], timeout: float) -> None:
    """Let all of them live until something is so."""
    end = time.monotonic() + timeout
    while not until():
        assert time.monotonic() < end, [crowd.describe() for crowd in crowds]
        for crowd in crowds:
            crowd.step()
        time.sleep(0.002)


def reach(node: Node, lab: Lab) -> backup_service_pb2_grpc.BackupServiceStub:
    """A node's BackupService, also after the node was started again."""
    window = Window(node.place, node.admin)
    channel = grpc.insecure_channel(window.address)
    lab.on_close(window.close)
    lab.on_close(channel.close)
    return backup_service_pb2_grpc.BackupServiceStub(channel)


def test_after_a_restore_everybody_keeps_what_he_had_and_nobody_gets_what_another_may_have(
    lab: Lab, crowd_on: Callable[..., Crowd], tmp_path: Path
) -> None:
    site = Site(lab, nodes=2, members=1).start()
    api = reach(site.nodes[0], lab)
    saved, later = crowd_on(site.client("saved"), 60, 1), crowd_on(site.client("later"), 20, 2)
    saved.boot(within=1.0)
    saved.run(saved.all_bound, 30)
    backup = tmp_path / "backup.jsonl"
    files.save(backup, (piece.data for piece in api.SaveBackup(pb.SaveBackupRequest())))
    assert verify(backup).live == 60
    later.boot(within=0.5)
    later.run(later.all_bound, 30)
    had = addresses(saved, later)

    lose_everything(site)
    pieces = (pb.RestoreBackupRequest(data=data) for data in files.read(backup))
    answer = api.RestoreBackup(pieces, wait_for_ready=True, timeout=60)
    assert (answer.leases_added, answer.config_revision, answer.conflict_count) == (60, 1, 0)
    for node in site.nodes:
        node.wait_ready(30)
    site.wait_agreed()

    strangers = crowd_on(site.client("strangers"), 20, 3)
    strangers.boot(within=0.5)
    now = time.time()
    for index, guest in enumerate([*saved.guests, *later.guests]):
        guest.sent.clear()
        if index % 2:
            guest.begin(REBINDING, now + index * 0.01)
    for crowd in (saved, later):
        crowd.reboot(within=0.5, guests=crowd.guests[::2])
    run([saved, later, strangers], lambda: saved.all_bound() and later.all_bound(), 30)
    assert addresses(saved, later) == had
    assert sum(guest.naks for crowd in (saved, later) for guest in crowd.guests) == 0
    assert strangers.acks == []

    site.nodes[0].kill()
    site.nodes[0].start().wait_ready(30)
    again = time.time()
    run([strangers], lambda: min(guest.due for guest in strangers.guests) > again + 1.0, 40)
    assert {guest.state for guest in strangers.guests} == {SELECTING}

    api.EndRecovery(pb.EndRecoveryRequest(), wait_for_ready=True, timeout=30)
    strangers.boot(within=0.5)
    run([strangers], strangers.all_bound, 40)
    given = addresses(strangers)
    assert len(given) == len(strangers.guests)
    assert {dotted(each) for each in given.values()}.isdisjoint(map(dotted, had.values()))
    assert all(guest.state == BOUND for guest in saved.guests)
