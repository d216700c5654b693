"""Faults of one member's disk: frozen, full, slow, read-only, locked (F6, F9 to F13)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from everlease.lab.processes import Process
from faults.stage import Stage


@contextlib.contextmanager
def frozen(stage: Stage, number: int) -> Iterator[None]:
    """F9: fsync never returns (fsfreeze)."""
    stage.disks[number].freeze()
    yield
    stage.disks[number].thaw()


@contextlib.contextmanager
def full(stage: Stage, number: int) -> Iterator[None]:
    """F6: not one block is left, and etcd ends; healed by making room and starting it again."""
    stage.disks[number].fill()
    yield
    stage.disks[number].empty()
    if stage.etcd.process(number).returncode is not None:
        stage.etcd.start_member(number)


@contextlib.contextmanager
def slow(stage: Stage, number: int, delay: float = 0.3) -> Iterator[None]:
    """F10, F11: every fsync takes `delay` seconds longer (strace)."""
    microseconds = int(delay * 1e6)
    pid = stage.etcd.process(number).pid
    inject = f"inject=fdatasync,fsync:delay_enter={microseconds}"
    argv = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", "trace=fdatasync,fsync", "-e", inject]
    tracer = Process(argv, stage.lab.folder / f"strace-{number}.log")
    try:
        yield
    finally:
        tracer.stop()
