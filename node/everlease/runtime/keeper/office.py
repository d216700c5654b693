"""Who keeps: one record, and its sequence judged by our own clock.

The law of this file: the record is taken and held by compare-and-put, and is stale when it has not changed for `STALE`
seconds by the clock of whoever looks. Two keepers at once would do some work twice, and nothing worse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everlease.store.api import KeyValue, Store
from everlease.store.keeping import Tenure, decode, encode
from everlease.store.txn import Leaf, single

STALE: Final = 6.0
"""Seconds without a change after which the keeper is taken for dead; it writes every second."""

DEADLINE: Final = 2.0
LEAVING: Final = 0.5
"""A node that stops has little time; without this another keeps a few seconds later."""


class Office:
    """The record of the keeper, as this node last saw it. boot: CLOCK_BOOTTIME in seconds.

    tenure: what it says, None = nobody keeps; mine: this process holds it.
    """

    def __init__(self, name: str, boot_id: str, store: Store, key: bytes, boot: Callable[[], float]) -> None:
        self.tenure: Tenure | None = None
        self.mine = False
        self._name = name
        self._boot_id = boot_id
        self._store = store
        self._key = key
        self._boot = boot
        self._revision = 0
        self._sequence = 0
        self._changed_at = boot()

    async def read(self) -> int:
        """See who keeps; the newest revision of the store. Raises Unavailable."""
        page = await self._store.get_range(self._key, self._key + b"\0", deadline=DEADLINE)
        self._saw(page.records[0] if page.records else None)
        return page.revision

    def _saw(self, record: KeyValue | None) -> None:
        revision = record.revision if record else 0
        if revision != self._revision:
            self._revision, self._changed_at = revision, self._boot()
        self.tenure = decode(Tenure, record.value) if record else None
        self.mine = self.tenure is not None and self.tenure.boot == self._boot_id

    def vacant(self) -> bool:
        """Whether this node should take the office: nobody has it, or whoever has does not move."""
        return not self._revision or (not self.mine and self._boot() - self._changed_at >= STALE)

    async def put(self, words: Tenure, member: str | None = None) -> bool:
        """Take the office, or hold it, saying `words` of the store (node, boot and sequence are filled in).

        False: somebody else was faster, or has taken it. Raises Unavailable, NoSpace; then nothing has changed.
        """
        self._sequence += 1
        mine = Tenure(
            self._name, self._boot_id, self._sequence, words.quota, words.fullness, words.trouble, words.moves
        )
        leaf = Leaf({self._key: self._revision}, [(self._key, encode(mine))])
        answer = await self._store.batch(single(leaf), DEADLINE, member)
        if answer.results[0].succeeded:
            self._saw(KeyValue(self._key, leaf.puts[0][1], answer.revision))
            return True
        self._saw(next(iter(answer.results[0].found), None))
        return self.mine  # an earlier try whose answer was lost

    async def leave(self) -> None:
        """Let another node have it at once. Raises Unavailable."""
        if self.mine:
            self.mine = False
            await self._store.batch(single(Leaf({self._key: self._revision}, deletes=[self._key])), LEAVING)
