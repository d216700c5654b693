"""How fast a node reads for its administrators while it answers clients: what one list costs, no packet shall wait for.

The law of this file: all who list share one allowance of the loop's time; it is spent first and waited for afterwards,
so that a short list is answered at once. A node that hears few packets has all the time in the world; one whose loop is
late, because of its packets or because others have its core, gives less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SHARE: Final = 0.04
"""Of a busy node's loop: half a millisecond in 12; some 4,400 rows a second."""

LEAST: Final = SHARE / 2
"""While the loop is late: a million rows in eight minutes, for after ten the revision of a list may be compacted."""

UNSEEN: Final = 1.7
"""What rows cost in all, by what is measured here: etcd's answer before, gRPC afterwards."""

SAVED: Final = 0.5
"""Seconds whose allowance may be spent at once: one page."""

BUSY: Final = 200.0
"""Packets a second from which a node has better things to do."""

LATE: Final = 0.005
"""Seconds by which a timer of the loop may be late before less is given."""

_LOOK_EVERY: Final = 0.1
_RISE: Final = 1.1


class Pace:
    """received: packets so far; clock: monotonic, seconds; spent: processor time of the loop's thread, seconds."""

    def __init__(
        self, received: Callable[[], int], clock: Callable[[], float], spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._received = received
        self._clock = clock
        self._spent = spent
        self._paid_until = self._looked_at = clock()
        self._count = received()
        self._share = SHARE
        self.busy = False

    async def turn(self) -> None:
        """Let the loop turn, and wait until what was done before is paid for."""
        now = self._clock()
        self._look(now)
        rest = self._paid_until - SAVED - now if self.busy else 0.0
        await asyncio.sleep(max(rest, 0.0))
        if rest > 0:
            late = self._clock() - now - rest > LATE
            self._share = max(self._share / 2, LEAST) if late else min(self._share * _RISE, SHARE)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Work in one piece: what it takes is paid for at the next turns."""
        begun = self._spent()
        yield
        cost = (self._spent() - begun) * UNSEEN
        self._paid_until = max(self._paid_until, self._clock()) + cost / self._share

    def _look(self, now: float) -> None:
        passed = now - self._looked_at
        if passed < _LOOK_EVERY:
            return
        count = self._received()
        was_busy, self.busy = self.busy, count - self._count > BUSY * passed
        if self.busy and not was_busy:
            self._paid_until = now  # what was read in quiet times is no debt
        self._looked_at, self._count = now, count
