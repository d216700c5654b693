"""Faults of processes: killed or stopped, a member or a node (F1, F2, F3, F20, F21)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from everlease.lab.processes import wait_until
from faults.stage import Stage


@contextlib.contextmanager
def member_killed(stage: Stage, number: int) -> Iterator[None]:
    """F1: kill -9; healed by starting it again on its data."""
    stage.etcd.kill(number)
    yield
    stage.etcd.start_member(number)


@contextlib.contextmanager
def member_stopped(stage: Stage, number: int) -> Iterator[None]:
    """F2, F3: SIGSTOP: it accepts connections and answers nothing."""
    stage.etcd.pause(number)
    yield
    stage.etcd.resume(number)


@contextlib.contextmanager
def node_killed(stage: Stage, number: int) -> Iterator[None]:
    """F20: kill -9; healed by starting it again, with nothing but its command line."""
    stage.nodes[number].kill()
    yield
    stage.nodes[number].start()


@contextlib.contextmanager
def node_stopped(stage: Stage, number: int) -> Iterator[None]:
    """F21: SIGSTOP."""
    stage.nodes[number].pause()
    yield
    stage.nodes[number].resume()


def wait_serving(stage: Stage, timeout: float = 20.0) -> None:
    """Wait until every member can commit and every node serves."""
    wait_until(lambda: all(member.healthy() for member in stage.etcd.members), timeout, "every member commits")
    wait_until(lambda: all(node.ready() for node in stage.nodes), timeout, "every node serves")
