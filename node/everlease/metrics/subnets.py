"""What is told of each subnet: what became of its addresses, and how they change hands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from everlease.core.actions import CHANGE_NAMES, DECLINE, GRANT, RELEASE, RENEW
from everlease.metrics.shapes import PAUSE, V4, counter, gauge
from everlease.metrics.usage import Usages
from everlease.runtime.rooms import Rooms

CHANGES: Final = {kind: CHANGE_NAMES[kind] for kind in (GRANT, RENEW, RELEASE, DECLINE)}
"""Kind of change -> label value."""


def subnets(rooms: Rooms, usages: Usages) -> Iterator[Metric]:
    """Nothing without a configuration. A subnet that the configuration names no more is not told of any more."""
    config = rooms.configuration.current
    if config is None:
        return
    for _ in usages.prepare(config):
        yield PAUSE
    numbers = list(config.subnets)
    states = (
        ({"subnet": str(number), **V4, "state": state}, count)
        for number in numbers
        for state, count in usages.of(rooms.view, number).states()
    )
    yield from gauge("everlease_pool_addresses", "Addresses of a subnet by what became of them.", states)
    words = "Addresses of a subnet's pools that no reservation keeps, taken or free."
    sizes = (({"subnet": str(number), **V4}, usages.dynamic(number)) for number in numbers)
    yield from gauge("everlease_pool_dynamic_addresses", words, sizes)
    made, relayed = rooms.counters.changes, rooms.counters.relayed
    changes = (
        ({"subnet": str(number), **V4, "change": name}, made.get((number, kind), 0))
        for number in numbers
        for kind, name in CHANGES.items()
    )
    yield from counter("everlease_lease_changes", "Bindings that this node has changed for their clients.", changes)
    behind = (({"subnet": str(number), **V4}, relayed.get(number, 0)) for number in numbers)
    yield from counter("everlease_lease_changes_relayed", "Those whose clients asked through a relay.", behind)
