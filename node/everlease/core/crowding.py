"""Whether one circuit holds as many leases as it may."""

from __future__ import annotations

from everlease.core.identity import NOWHERE, circuit_of
from everlease.core.query import Query

_RELAY_INFORMATION = 82


def is_crowded(query: Query) -> bool:
    """Whether the client's circuit has no room for another binding. Who is plugged in nowhere is never one too many."""
    most = query.situation.config.limits.leases_per_circuit
    if not most:
        return False
    packet = query.packet
    circuit = circuit_of(packet.giaddr, packet.options.get(_RELAY_INFORMATION, b"") if query.place.relay else b"")
    if circuit == NOWHERE:
        return False
    return query.situation.view.circuit_leases(query.space, circuit, query.situation.now) >= most
