"""Faults of the store as a whole: quota, compaction, an old snapshot, no quorum, overload (F7, F8, F16, F24, F25, F27).

Law: what is put into etcd here lies outside the service's prefix, as other people's data does.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence

from everlease.lab.processes import LabError, Process, run, wait_until
from faults.inject.network import dropping
from faults.stage import HOSTS, Stage

SEEN = 0.5
"""Seconds until the recorder has seen every commit."""


@contextlib.contextmanager
def no_quorum(stage: Stage, gone: Sequence[int] = (0, 1)) -> Iterator[None]:
    """F24: two of three members are killed; healed by starting them again."""
    for number in gone:
        stage.etcd.kill(number)
    try:
        yield
    finally:
        for number in gone:
            stage.etcd.start_member(number)


@contextlib.contextmanager
def quota_reached(stage: Stage) -> Iterator[None]:
    """F7: one member's quota is used up by the history of one key, and its alarm stops the writes of all.

    Nobody heals it here: that is the service's to do. The stage must have been made with a small quota on one member.
    """
    filler = Process(
        stage.hosts[0].command(
            [sys.executable, "-m", "faults.inject.hammer", "fill", *stage.etcd.endpoints],
        ),
        stage.lab.folder / "fill.log",
        {"PYTHONPATH": "tests"},
    )
    try:
        wait_until(lambda: alarms(stage) or filler.returncode is not None, 30, "the quota's alarm", every=0.01)
    finally:
        filler.kill()
    yield


def alarms(stage: Stage) -> str:
    """The alarms that are raised, as etcdctl lists them; "" = none."""
    with contextlib.suppress(LabError):
        return stage.etcd.etcdctl("alarm", "list").strip()
    return ""


@contextlib.contextmanager
def compacted_under_the_watch(stage: Stage, number: int) -> Iterator[None]:
    """F16: a node stands still while everything that it has not seen yet is compacted away."""
    stage.nodes[number].pause()
    try:
        yield
        stage.etcd.etcdctl("compact", str(revision(stage)))
    finally:
        stage.nodes[number].resume()


def revision(stage: Stage) -> int:
    """The store's revision just now."""
    status = json.loads(stage.etcd.etcdctl("endpoint", "status", "-w", "json"))
    return max(int(row["Status"]["header"]["revision"]) for row in status)


@contextlib.contextmanager
def put_back(stage: Stage, snapshot: str) -> Iterator[None]:
    """F27: every member is lost, and the cluster is made again from an old snapshot: its revision goes back.

    The nodes are cut off half a second before: what was committed for them shall be seen by the recorder, too, which
    cannot read it up from members that are gone.
    """
    with contextlib.ExitStack() as cut_off:
        for host in stage.hosts:
            cut_off.enter_context(dropping(host, outgoing="tcp dport 2379"))
        time.sleep(SEEN)
        for number in range(HOSTS):
            stage.etcd.kill(number)
    for number in range(HOSTS):
        restore(stage, number, snapshot)
    for number in range(HOSTS):
        stage.etcd.start_member(number)
    stage.etcd.wait_healthy()
    yield


def save(stage: Stage) -> str:
    """Save a snapshot of the leader; returns its path."""
    path = str(stage.lab.folder / "snapshot.db")
    member = stage.etcd.members[stage.etcd.leader()]
    argv = ["env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={member.endpoint}", "snapshot", "save", path]
    run(member.place.command(argv))
    return path


def restore(stage: Stage, number: int, snapshot: str) -> None:
    """Make a member's data directory from a snapshot, in place of what it has."""
    member = stage.etcd.members[number]
    shutil.rmtree(member.data)
    everyone = ",".join(f"{other.name}={other.peer}" for other in stage.etcd.members)
    argv = ["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "restore", snapshot, f"--name={member.name}"]
    birth = [f"--initial-cluster={everyone}", f"--initial-advertise-peer-urls={member.peer}"]
    run([*argv, *birth, f"--data-dir={member.data}"])


@contextlib.contextmanager
def overloaded(stage: Stage, work: str) -> Iterator[None]:
    """F25: others use the same etcd, as hard as they can. work: what the hammer shall do ("puts", "reads")."""
    argv = [sys.executable, "-m", "faults.inject.hammer", work, *stage.etcd.endpoints]
    hammer = Process(stage.hosts[0].command(argv), stage.lab.folder / "hammer.log", {"PYTHONPATH": "tests"})
    try:
        yield
        if hammer.returncode is not None:
            raise LabError(hammer.tail())
    finally:
        hammer.kill()


@contextlib.contextmanager
def defragmented(stage: Stage, number: int) -> Iterator[None]:
    """F25: somebody defragments a member, which answers nobody meanwhile."""
    member = stage.etcd.members[number]
    argv = ["env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={member.endpoint}", "defrag"]
    defrag = Process(member.place.command(argv), stage.lab.folder / "defrag.log")
    try:
        yield
        if defrag.wait(30) != 0:
            raise LabError(defrag.tail())
    finally:
        defrag.kill()
