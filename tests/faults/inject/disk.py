"""Faults of one member's disk: full, frozen, slow, read-only, locked, lost (F6, F9 to F14)."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from everlease.lab.processes import LabError, Process, wait_until
from faults.inject.process import MEMBER_ENDS
from faults.stage import Stage


@contextlib.contextmanager
def full(stage: Stage, number: int) -> Iterator[None]:
    """F6: not one block is left, and etcd ends; healed by making room and starting it again."""
    stage.disks[number].fill()
    try:
        yield
    finally:
        stage.disks[number].empty()
        _start_again(stage, number)


@contextlib.contextmanager
def frozen(stage: Stage, number: int) -> Iterator[None]:
    """F9: fsync never returns (fsfreeze)."""
    stage.disks[number].freeze()
    try:
        yield
    finally:
        stage.disks[number].thaw()


@contextlib.contextmanager
def slow(stage: Stage, number: int, delay: float = 0.3) -> Iterator[None]:
    """F10, F11: every fsync takes `delay` seconds longer (strace)."""
    pid = stage.etcd.process(number).pid
    inject = f"inject=fdatasync,fsync:delay_enter={int(delay * 1e6)}"
    argv = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", "trace=fdatasync,fsync", "-e", inject]
    tracer = Process(argv, stage.lab.folder / f"strace-{number}.log")
    try:
        wait_until(lambda: _traced(pid) or tracer.returncode is not None, 5, "strace attached")
        if tracer.returncode is not None:
            raise LabError(tracer.tail())
        yield
    finally:
        tracer.stop()


def _traced(pid: int) -> bool:
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


@contextlib.contextmanager
def read_only(stage: Stage, number: int) -> Iterator[None]:
    """F12: the kernel meets an error on the file system and makes it read-only; healed by mounting it anew."""
    stage.disks[number].spoil()
    try:
        yield
    finally:
        stage.etcd.kill(number)
        stage.disks[number].mend()
        _start_again(stage, number)


@contextlib.contextmanager
def locked(stage: Stage, number: int) -> Iterator[None]:
    """F13: the member ends, and another process holds the lock of its database when it comes back."""
    stage.etcd.kill(number)
    database = stage.etcd.members[number].data / "member" / "snap" / "db"
    holder = Process(["flock", str(database), "sleep", "600"], stage.lab.folder / f"flock-{number}.log")
    try:
        time.sleep(0.2)
        stage.etcd.start_member(number)
        yield
    finally:
        holder.kill()


@contextlib.contextmanager
def lost(stage: Stage, number: int) -> Iterator[None]:
    """F14: the data is gone; healed as the runbook says: the member is removed, and added again without data."""
    stage.etcd.kill(number)
    member = stage.etcd.members[number]
    shutil.rmtree(member.data)
    try:
        yield
    finally:
        rows = stage.etcd.etcdctl("member", "list").splitlines()
        identity = next(row.split(",")[0] for row in rows if f" {member.name}," in row)
        stage.etcd.etcdctl("member", "remove", identity)
        wait_until(lambda: _added(stage, member.name, member.peer), 10, "the member is added")
        member.flags = (*member.flags, "--initial-cluster-state=existing")
        stage.etcd.start_member(number)


def _added(stage: Stage, name: str, peer: str) -> bool:
    with contextlib.suppress(LabError):  # etcd wants to see its members well before it takes another
        stage.etcd.etcdctl("member", "add", name, f"--peer-urls={peer}")
        return True
    return False


@contextlib.contextmanager
def torn(stage: Stage, number: int) -> Iterator[None]:
    """F14: bits of the log flipped while the member was down; it does not come back, and is replaced as if lost."""
    stage.etcd.kill(number)
    log = max((stage.etcd.members[number].data / "member" / "wal").glob("*.wal"))
    with log.open("r+b") as file:
        file.seek(4096)
        page = file.read(4096)
        file.seek(4096)
        file.write(bytes(octet ^ 0x10 for octet in page))
    stage.etcd.start_member(number)
    wait_until(lambda: stage.etcd.process(number).returncode is not None, MEMBER_ENDS, "a member refuses a torn log")
    with lost(stage, number):
        yield


def _start_again(stage: Stage, number: int) -> None:
    if stage.etcd.process(number).returncode is not None:
        stage.etcd.start_member(number)
