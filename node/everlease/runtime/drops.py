"""Packets that got no answer, told by reason: how many since the last line, and one of them as an example.

The law of this file: a reason has one line, and the next one not before `FIRST` seconds, twice as long each time while
it goes on; what is nobody's loss has none; no line names a client. The packet path pays a look into a set.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from everlease import logs
from everlease.runtime.counters import Counters
from everlease.runtime.exchange import Exchange
from everlease.store.records import dotted
from everlease.wire.v4 import MESSAGE_NAMES

LOOK: Final = 5.0
FIRST, LONGEST = 60.0, 3600.0
"""Seconds between two looks, and between two lines of one reason."""

LOSSES: Final = (
    "stale", "no_subnet", "no_address", "conflict", "overload", "unavailable", "not_fresh", "clock", "rate_limit",
    "malformed", "bad_relay", "bad_checksum", "loop", "circuit_rate", "link_rate", "decline_rate", "release_rate",
    "probation_full", "lease_limit", "queue_full",
)  # fmt: skip
"""Reasons that somebody may have to do something about; the others are another node's work, or policy."""


@dataclass(slots=True)
class _Told:
    count: int = 0
    at: float = 0.0
    pause: float = 0.0


class Drops:
    """wanted: reasons of which an example is; examples: those found. `run` it."""

    def __init__(self, counters: Counters) -> None:
        self.wanted: set[str] = set(LOSSES)
        self.examples: dict[str, Exchange] = {}
        self._counters = counters
        self._told = {reason: _Told() for reason in LOSSES if reason in counters.dropped}

    def keep(self, reason: str, exchange: Exchange) -> None:
        """The first packet that was dropped for a reason since its last line."""
        self.wanted.discard(reason)
        self.examples[reason] = exchange

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            self.look(asyncio.get_running_loop().time())

    def look(self, now: float) -> None:
        """Write what is due. now: seconds of a clock that does not step."""
        for reason, told in self._told.items():
            more = self._counters.dropped[reason] - told.count
            if more and now >= told.at + told.pause:
                since = round(now - told.at, 1) if told.at else None
                logs.get().warning("packets dropped", reason=reason, count=more, seconds=since, **self._example(reason))
                self._told[reason] = _Told(told.count + more, now, min(2 * told.pause or FIRST, LONGEST))
            elif not more and now >= told.at + 2 * told.pause:
                told.pause = 0.0

    def _example(self, reason: str) -> dict[str, Any]:
        self.wanted.add(reason)
        exchange = self.examples.pop(reason, None)
        if exchange is None:
            return {}
        packet = exchange.packet
        return {
            "message": MESSAGE_NAMES.get(packet.message_type, str(packet.message_type)),
            "link": exchange.endpoint.label or "",
            "relay": dotted(packet.giaddr),
        }
