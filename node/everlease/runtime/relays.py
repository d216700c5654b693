"""Relays that this node hears, so that the others know who may be asked behind them.

The law of this file: an outsider can invent relays, so the table is bounded and the latest heard are kept.
"""

from __future__ import annotations

from typing import Final

MEMORY: Final = 600.0
"""Seconds for which a relay that fell silent is still told of."""

SETTLES: Final = 3
"""Periods from the first packet of a relay until whoever hears it as well has said so, and we have read it."""

TOLD: Final = 256
"""Relays that a presence names, the latest heard; 4 KB at most, because every node reads every presence."""


class Relays:
    """When each relay was heard last, and which are so new that nobody can know yet who else hears them."""

    def __init__(self) -> None:
        self._heard: dict[int, float] = {}
        self._new: dict[int, float] = {}

    def hear(self, relay: int, now: float) -> bool:
        """Note a packet; whether it is the relay's first."""
        is_new = relay not in self._heard
        if is_new:
            if len(self._heard) >= 2 * TOLD:
                del self._heard[oldest := min(self._heard, key=self._heard.__getitem__)]
                self._new.pop(oldest, None)
            self._new[relay] = now
        self._heard[relay] = now
        return is_new

    def latest(self) -> list[int]:
        """Those to tell of, the latest heard first."""
        return sorted(self._heard, key=self._heard.__getitem__, reverse=True)[:TOLD]

    def is_settled(self, relay: int) -> bool:
        """Whether every node knows by now who hears it (0, no relay: links are told of in advance)."""
        return relay not in self._new

    def forget(self, now: float, period: float, told_at: float) -> bool:
        """Drop the silent ones; whether some are settled that were not. told_at: since when everybody has told theirs.

        A node under load tells late: until it has, nobody takes it for one that does not hear.
        """
        for relay in [relay for relay, at in self._heard.items() if now - at > MEMORY]:
            del self._heard[relay]
        settled = [
            relay
            for relay, at in self._new.items()
            if now - at > SETTLES * period and told_at - at >= (SETTLES - 1) * period
        ]
        for relay in settled:
            del self._new[relay]
        return bool(settled)
