"""How fast a node reads for its administrators while it answers clients: what one list costs, no packet shall wait for.

The law of this file: all who list share one allowance; it is spent first and waited for afterwards, so that a short
list is answered at once. A node that hears few packets has all the time in the world.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

RATE: Final = 5_000.0
"""Rows a second on a busy node, a million in 200 s: at 9 us each with everything, a twentieth of its loop."""

SAVED: Final = 0.2
"""Seconds of the allowance that may be spent at once: two pages."""

BUSY: Final = 200.0
"""Packets a second from which a node has better things to do."""

_LOOK_EVERY: Final = 0.1


class Pace:
    """received: packets so far; clock: monotonic, seconds."""

    def __init__(self, received: Callable[[], int], clock: Callable[[], float]) -> None:
        self._received = received
        self._clock = clock
        self._paid_until = self._looked_at = clock()
        self._count = received()
        self._is_busy = False

    async def turn(self) -> None:
        """Wait until what was read before is paid for."""
        now = self._clock()
        self._look(now)
        await asyncio.sleep(max(self._paid_until - SAVED - now, 0.0) if self._is_busy else 0.0)

    def read(self, rows: int) -> None:
        """So many rows have been read."""
        self._paid_until = max(self._paid_until, self._clock()) + rows / RATE

    def _look(self, now: float) -> None:
        passed = now - self._looked_at
        if passed < _LOOK_EVERY:
            return
        count = self._received()
        was_busy, self._is_busy = self._is_busy, count - self._count > BUSY * passed
        if self._is_busy and not was_busy:
            self._paid_until = now  # what was read in quiet times is no debt
        self._looked_at, self._count = now, count
