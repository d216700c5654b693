"""Faults of knowledge: a node does not hear that the configuration has changed (F31)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from everlease.lab.processes import wait_until
from faults.stage import Stage
from lab.nodes import Node

RESERVED = "    reservations: [{hw-address: '02:00:00:00:00:01', address: 10.77.16.1}]\n"

SECOND = 2
"""The revision of the changed document."""

CATCHES_UP = 5.0


@contextlib.contextmanager
def changed_behind(stage: Stage, number: int) -> Iterator[None]:
    """F31: a node stands still while another one takes a document that reserves an address."""
    others = [node for place, node in enumerate(stage.nodes) if place != number]
    changed = stage.lab.folder / "changed.yaml"
    before = stage.document.read_text()
    changed.write_text(before.replace("    link: office\n", f"    link: office\n{RESERVED}"))
    stage.nodes[number].pause()
    try:
        others[0].cli("config", "apply", str(changed))
        yield
    finally:
        stage.nodes[number].resume()
    wait_until(lambda: all(_applied(node) for node in stage.nodes), CATCHES_UP, "every node has the new configuration")
    stage.recorder.mark(f"applied {SECOND}")


def _applied(node: Node) -> bool:
    return node.metric("everlease_config_revision") == SECOND
