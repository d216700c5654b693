"""Reservations out of etcd: each with the entry that names its client, as they were when they were looked at.

The law of this file: a deletion that is sent again changes nothing more; what somebody changed in between is looked at
once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from everlease.admin.answers import Refusal
from everlease.admin.reservation_messages import identity_of
from everlease.admin.reserving import Reserving, changed, identity_of_record
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue, Result
from everlease.store.records import decode_reservation_record
from everlease.store.txn import Batch, Leaf

Named = tuple[str, bytes]
"""(space, last words of the key)."""


class Unreserving:
    """Takes them away, one or many at a time. Every method may raise Unavailable and NoSpace."""

    def __init__(self, rooms: Rooms, reserving: Reserving) -> None:
        self._rooms = rooms
        self._reserving = reserving

    async def one(self, space: str, word: bytes, known: KeyValue) -> int:
        """Take one away that is as `known`; etcd's revision. Raises Refusal: ABORTED."""
        record = decode_reservation_record(known.value or b"")
        index = self._rooms.keys.reserved_client(space, record.subnet, identity_of_record(record))
        leaf = Leaf({known.key: known.revision}, deletes=[known.key])
        entry = await self._reserving.read_key(index)
        if entry is not None and entry.value == word:
            leaf.expect[index] = entry.revision
            leaf.deletes.append(index)
        batch = self._reserving.begin()
        batch.add(leaf)
        results, revision = await self._reserving.send(batch)
        gone = any(each.key == known.key for each in results[0].found)
        if not results[0].succeeded and gone:
            raise changed()
        self._rooms.view.apply(KeyValue(known.key, None, revision))
        return revision

    async def many(self, wanted: Sequence[Named]) -> list[int | Refusal]:
        """Take each away by itself: etcd's revision when it was not there any more, or why it still is.

        They are deleted as this node's view has them; what it does not have, or no longer so, is looked at in etcd.
        """
        fates: list[int | Refusal] = []
        batch, taken = self._reserving.begin(), list[tuple[Named, bytes]]()
        for named in wanted:
            leaf = self._leaf(*named)
            if not batch.add(leaf):
                fates += await self._write(batch, taken)
                batch, taken = self._reserving.begin(), []
                batch.add(leaf)
            taken.append((named, next(iter(leaf.expect))))
        return fates + await self._write(batch, taken) if taken else fates

    def _leaf(self, space: str, word: bytes) -> Leaf:
        keys = self._rooms.keys
        key = keys.reservations(space) + word
        known = self._rooms.view.reservation_named(space, word)
        if known is None:
            return Leaf({key: 0})  # brings it back, if it is there
        index = keys.reserved_client(space, known.subnet, identity_of(known))
        return Leaf({key: known.revision, index: word}, deletes=[key, index])

    async def _write(self, batch: Batch, taken: Sequence[tuple[Named, bytes]]) -> list[int | Refusal]:
        results, revision = await self._reserving.send(batch)
        return [
            await self._fate(named, key, result, revision) for (named, key), result in zip(taken, results, strict=True)
        ]

    async def _fate(self, named: Named, key: bytes, result: Result, revision: int) -> int | Refusal:
        known = next((each for each in result.found if each.key == key), None)
        if known is None:
            self._rooms.view.apply(KeyValue(key, None, revision))
            return revision
        try:
            return await self.one(*named, known)
        except Refusal as refused:
            return refused
