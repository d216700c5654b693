"""etcd's contract in memory, for tests: one member that never fails by itself.

Law: it behaves as etcd does where `store` relies on it (tests/store/test_contract.py runs the same suite on both); what
a transaction does is `store.mvcc`'s.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from everlease.store import txn
from everlease.store.api import BatchResult, Compacted, Page, Report, WatchBatch
from everlease.store.freshness import Freshness
from everlease.store.mvcc import Mvcc


class MemoryStore:
    """cluster: its id; name: what `BatchResult.member` says."""

    def __init__(self, cluster: int = 1, name: str = "memory", max_txn_ops: int = txn.MAX_TXN_OPS) -> None:
        self.freshness = Freshness()
        self._cluster = cluster
        self._name = name
        self._mvcc = Mvcc(max_txn_ops)
        self._news = asyncio.Condition()

    @property
    def revision(self) -> int:
        """Of the last write."""
        return self._mvcc.revision

    @property
    def compacted(self) -> int:
        """The oldest revision that is still there."""
        return self._mvcc.compacted

    def rank(self) -> list[str]:
        """The only member."""
        return [self._name]

    def is_up(self, member: str) -> bool:
        """Always."""
        return True

    def latency(self, member: str) -> float:
        """None worth telling."""
        return 0.0

    def report(self, member: str) -> Report | None:
        """It has no words."""
        return None

    def term(self) -> int:
        """There are no elections."""
        return 0

    async def elected(self, since: int) -> str:
        """Never."""
        await asyncio.Event().wait()
        return self._name

    def certificate_ends(self) -> float:
        """It needs none."""
        return math.inf

    async def has_no_leader(self, deadline: float = 1.0) -> bool:
        """It leads itself."""
        return False

    # --- Store -----------------------------------------------------------------------------------------------------

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        """Apply one TxnRequest."""
        floor, before = self.freshness.revision, self.revision
        answer = self._mvcc.txn(request)
        if self.revision > before:
            async with self._news:
                self._news.notify_all()
        answer.header.cluster_id, answer.header.revision = self._cluster, self.revision
        self.freshness.committed(floor, self.revision, self._cluster)
        return txn.parse(answer.SerializeToString(), self._name)

    async def get_range(
        self, start: bytes, end: bytes, *, revision: int = 0, limit: int = 0, deadline: float = 5.0
    ) -> Page:
        """Keys in [start, end) at one revision."""
        at = revision or self.revision
        records, more = self._mvcc.get_range(start, end, at, limit)
        self.freshness.is_current(self.freshness.revision, self.revision, self._cluster)
        return Page(records, at, self._cluster, more)

    async def watch(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[WatchBatch]:
        """Events from `revision` on, one batch per revision."""
        if revision < self.compacted:
            raise Compacted("mvcc: required revision has been compacted", self.compacted)
        log, position = self._mvcc.log, 0
        while True:
            if position == len(log):
                async with self._news:
                    await self._news.wait()
                continue
            first = log[position]
            batch = []
            while position < len(log) and log[position].revision == first.revision:
                event = log[position]
                position += 1
                if event.revision >= revision and start <= event.key < end:
                    batch.append(event)
            if batch:
                yield WatchBatch(batch, first.revision, self._cluster)

    async def compact(self, revision: int, deadline: float = 10.0) -> None:
        """Forget everything before `revision`."""
        self._mvcc.compact(revision)

    async def close(self) -> None:
        """Nothing to let go of."""
