"""Faults of processes: killed, stopped or starved, a member or a node (F1 to F3, F15, F20, F21, F28)."""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

from everlease.lab.processes import wait_until
from faults.stage import Stage

MEMBER_ENDS = 10.0
"""Seconds in which etcd gives up on a fault that it cannot live with."""


@contextlib.contextmanager
def member_killed(stage: Stage, number: int) -> Iterator[None]:
    """F1: kill -9; healed by starting it again on its data."""
    stage.etcd.kill(number)
    try:
        yield
    finally:
        stage.etcd.start_member(number)


@contextlib.contextmanager
def member_stopped(stage: Stage, number: int) -> Iterator[None]:
    """F2, F3: SIGSTOP: it accepts connections and answers nothing."""
    stage.etcd.pause(number)
    try:
        yield
    finally:
        stage.etcd.resume(number)


@contextlib.contextmanager
def node_killed(stage: Stage, number: int) -> Iterator[None]:
    """F20: kill -9; healed by starting it again, with nothing but its command line."""
    stage.nodes[number].kill()
    try:
        yield
    finally:
        stage.nodes[number].start()


@contextlib.contextmanager
def node_stopped(stage: Stage, number: int) -> Iterator[None]:
    """F15, F21: SIGSTOP: it reads neither packets nor its watch."""
    stage.nodes[number].pause()
    try:
        yield
    finally:
        stage.nodes[number].resume()


@contextlib.contextmanager
def node_starved(stage: Stage, number: int, share: float = 0.1, period: float = 0.2) -> Iterator[None]:
    """F28: it has `share` of a processor: it runs for that part of each `period` seconds."""
    over = threading.Event()
    node = stage.nodes[number]

    def alternate() -> None:
        while not over.is_set():
            node.pause()
            over.wait(period * (1 - share))
            node.resume()
            over.wait(period * share)

    thread = threading.Thread(target=alternate, name="starve", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def no_more_files(stage: Stage, number: int) -> Iterator[None]:
    """F28: a node may not open anything any more (RLIMIT_NOFILE at what it has)."""
    pid = stage.nodes[number].running.pid
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def wait_serving(stage: Stage, timeout: float = 20.0) -> None:
    """Wait until every member can commit and every node serves."""
    wait_until(lambda: all(member.healthy() for member in stage.etcd.members), timeout, "every member commits")
    wait_until(lambda: all(node.ready() for node in stage.nodes), timeout, "every node serves")
