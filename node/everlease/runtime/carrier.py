"""Carries one batch to etcd: a deadline for each try, a second member when the first is slow, again while unknown.

The law of this file: a try that timed out is *unknown*, never failed. The same changes with the same nonces go out
again, so that a change that had been applied is recognised by its own record; after `PATIENCE` they are given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

from everlease.runtime.counters import Counters
from everlease.store.api import BadRequest, BatchResult, NoSpace, Store, Unavailable

PATIENCE: Final = 5.0
"""Seconds after its start that a change is tried; a reply is worth nothing later (clients ask again after 4 s)."""

DEADLINE: Final = 1.0
"""Seconds for one try. A proposal forwarded to a leader that was killed hangs for as long as it may."""

HEDGE_AFTER: Final = 0.25
"""Seconds without an answer after which another member gets the batch, too: it is idempotent by its nonces."""

HEDGE_SHARE: Final = 0.1
_HEDGES_SAVED: Final = 8.0
_PAUSES: Final = (0.02, 0.05, 0.1, 0.25)


class Carrier:
    """Sends batches. boot: CLOCK_BOOTTIME in seconds."""

    def __init__(self, store: Store, counters: Counters, boot: Callable[[], float]) -> None:
        self._store = store
        self._counters = counters
        self._boot = boot
        self.hedges = _HEDGES_SAVED
        counters.know_members(store.rank())

    async def carry(self, request: Callable[[], bytes], started: float) -> BatchResult:
        """Send until there is an answer. `request` makes the bytes of each try, for the fences move on.

        started: CLOCK_BOOTTIME of the oldest change. Raises BadRequest, NoSpace; Unavailable when given up.
        """
        tries = 0
        while True:
            before = self._boot()
            try:
                result = await self._try(request())
            except (BadRequest, NoSpace):
                self._counters.committed("", "refused", self._boot() - before)
                raise
            except Unavailable:
                self._counters.committed("", "unknown", self._boot() - before)
                pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
                if self._boot() + pause - started > PATIENCE:
                    raise
                await asyncio.sleep(pause)
                tries += 1
                continue
            outcome = "fenced" if result.fenced else "committed"
            self._counters.committed(result.member, outcome, self._boot() - before)
            return result

    async def _try(self, request: bytes) -> BatchResult:
        self.hedges = min(self.hedges + HEDGE_SHARE, _HEDGES_SAVED)
        term, member = self._store.term(), self._store.rank()[0]
        first = self._send(request, member)
        try:
            done, _ = await asyncio.wait((first,), timeout=HEDGE_AFTER)
        except asyncio.CancelledError:
            first.cancel()
            raise
        if done:
            return await first
        return await self._insist(request, first, member, term)

    def _send(self, request: bytes, member: str) -> asyncio.Future[BatchResult]:
        return asyncio.ensure_future(self._store.batch(request, DEADLINE, member))

    async def _insist(self, request: bytes, first: asyncio.Future[BatchResult], member: str, term: int) -> BatchResult:
        """Another member gets it too, and a leader that was elected meanwhile: the old one's followers lost it.

        The first answer counts; an error only when none of them answered.
        """
        tries: set[asyncio.Future[BatchResult]] = {first, *self._hedge(request, member)}
        election = asyncio.ensure_future(self._store.elected(term))
        waiting: set[asyncio.Future[Any]] = {*tries, election}
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if election in done:
                    tries.add(again := self._send(request, election.result()))
                    waiting.add(again)
                answered = [each for each in tries & done if not isinstance(each.exception(), Unavailable)]
                if answered or not waiting & tries:
                    return await (answered[0] if answered else first)
        finally:
            election.cancel()
            for each in tries:
                each.cancel()

    def _hedge(self, request: bytes, slow: str) -> Iterator[asyncio.Future[BatchResult]]:
        other = next((name for name in self._store.rank() if name != slow), None)
        if other is None or self.hedges < 1:
            return
        self.hedges -= 1
        self._counters.hedged(slow)
        yield self._send(request, other)
