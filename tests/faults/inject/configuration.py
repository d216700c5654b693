"""Faults of knowledge: a node does not hear that the configuration has changed (F31)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from everlease.lab.processes import LabError
from faults.stage import Stage

RESERVED = "    reservations: [{hw-address: '02:00:00:00:00:01', address: 10.77.16.1}]\n"


@contextlib.contextmanager
def changed_behind(stage: Stage, number: int) -> Iterator[None]:
    """F31: a node stands still while another one takes a document that reserves an address."""
    others = [node for place, node in enumerate(stage.nodes) if place != number]
    stage.nodes[number].pause()
    changed = stage.lab.folder / "changed.yaml"
    before = stage.document.read_text()
    changed.write_text(before.replace("    link: office\n", f"    link: office\n{RESERVED}"))
    others[0].cli("config", "apply", str(changed))
    yield
    stage.nodes[number].resume()
    revisions = {node.metric("everlease_config_revision") for node in others}
    if revisions != {2.0}:
        raise LabError(f"the others have the configurations {revisions}")
