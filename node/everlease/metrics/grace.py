"""How long the service lasts without its store: what an operator has left when the quorum is lost.

The law of this file: told is what the worst-placed client that behaves as RFC 2131 section 4.4.5 says can count on: one
that was about to renew, with half of the shortest lifetime left, and the grace that is committed beyond it.
"""

from __future__ import annotations

from math import inf

from everlease.core.lifecycle import grace_of
from everlease.core.model import Config
from everlease.runtime.rooms import Rooms


def left(rooms: Rooms, now: float) -> float:
    """Seconds until the first client that renews loses its address, counted from the last confirmed commit.

    Infinite without a configuration. now: CLOCK_BOOTTIME.
    """
    config = rooms.configuration.current
    if config is None:
        return inf
    return max(span(config) - (now - rooms.lifeline.committed_at), 0.0)


def span(config: Config) -> float:
    """Seconds for which a client that is about to renew keeps its address without a commit."""
    extends = config.cluster.on_quorum_loss != "strict"
    parameters = [config.parameters, *(subnet.parameters for subnet in config.subnets.values())]
    lifetimes = [each.valid_lifetime for each in parameters if each.valid_lifetime is not None]
    shortest = min(lifetimes, default=0)
    return shortest / 2 + (grace_of(shortest, config.cluster.grace) if extends else 0)
