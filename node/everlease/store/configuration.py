"""The cluster configuration in etcd: documents as written, in compressed chunks, and the one revision in force.

Law: chunks first, `config/current` last, in one transaction that compares `current` and every chunk; so a document is
either whole or not there, and of two who publish at once one is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from everlease.errors import StoreError
from everlease.store.api import Store, Unavailable
from everlease.store.keys import Keys, range_end
from everlease.store.records import BadRecord, Current, decode_current, encode, read_current
from everlease.store.txn import Leaf, single

CHUNK = 512 << 10
"""Bytes: a third of etcd's default request limit (1.5 MiB)."""

DEADLINE = 5.0

ATTEMPTS = 3
"""Two who write the chunks of the same revision at once may both be refused, with nothing in force: again, then."""


class Conflict(StoreError):
    """Somebody else published meanwhile. `revision`: what is in force now, 0 = nothing."""

    reason = "conflict"

    def __init__(self, revision: int) -> None:
        super().__init__(f"revision {revision} is in force now")
        self.revision = revision


class Documents:
    """Configuration documents of one cluster. Every method may raise Unavailable."""

    def __init__(self, store: Store, keys: Keys, also: Mapping[bytes, int] = MappingProxyType({})) -> None:
        """also: keys, and the mod revisions that they must have when a document is put in force."""
        self._store = store
        self._keys = keys
        self._also = also

    async def current(self) -> tuple[Current | None, int]:
        """(the revision in force or None, mod revision of `config/current` or 0); UNREADABLE for a broken record."""
        key = self._keys.config_current
        page = await self._store.get_range(key, key + b"\0")
        if not page.records:
            return None, 0
        record = page.records[0]
        return read_current(record.value or b""), record.revision

    async def publish(
        self, text: str, expect_revision: int, author: str, comment: str, now: float, *, manager: str = ""
    ) -> Current:
        """Put a document in force if `expect_revision` (0 = none) still is; the new revision. Raises Conflict.

        now: seconds UTC, for the history; so are author, comment and manager. When the answer is lost, what is in force
        afterwards decides.
        """
        parts, digest = await asyncio.to_thread(_packed, text)
        for _ in range(ATTEMPTS):
            before, mod_revision = await self.current()
            revision = before.revision if before else 0
            if revision != expect_revision:
                break
            number = revision + 1 if revision else await self._unused()
            after = Current(number, len(parts), author, comment, now, digest, manager, _recovery(before))
            if await self._put_in_force(await self._put_chunks(after, mod_revision, parts), after):
                return after
        raise Conflict(revision)

    async def lay_down(self, text: str, expect_revision: int) -> Current:
        """Say which document comes next, so that nodes can read it before it is in force. Raises Conflict."""
        parts, digest = await asyncio.to_thread(_packed, text)
        before, mod_revision = await self.current()
        if (before.revision if before else 0) != expect_revision:
            raise Conflict(before.revision if before else 0)
        number = expect_revision + 1 if expect_revision else await self._unused()
        coming = Current(number, len(parts), digest=digest)
        for place, part in enumerate(parts):
            await self._put(self._keys.config_chunk(number, place), part, mod_revision)
        await self._put(self._keys.config_coming, encode(coming), mod_revision)
        return coming

    async def reinstate(self, text: str, record: Current) -> Current:
        """Put what a backup says was in force in force again, under its number, where nothing is. Raises Conflict."""
        parts, digest = await asyncio.to_thread(_packed, text)
        after = msgspec.structs.replace(record, chunks=len(parts), digest=digest)
        before, mod_revision = await self.current()
        if before is None and await self._put_in_force(await self._put_chunks(after, mod_revision, parts), after):
            return after
        raise Conflict(before.revision if before is not None else 0)

    async def recover(self, until: float) -> Current:
        """Say with the revision in force until when a recovery lasts (cluster time; 0 = it is over). Raises Conflict.

        Whatever was decided before, and is not committed yet, is refused by the fence, and decided again.
        """
        for _ in range(ATTEMPTS):
            before, mod_revision = await self.current()
            if before is None or not before.revision:
                break
            after = msgspec.structs.replace(before, recover_until=until)
            leaf = Leaf({self._keys.config_current: mod_revision}, [(self._keys.config_current, encode(after))])
            if before == after or await self._put_in_force(leaf, after):
                return after
        raise Conflict(before.revision if before is not None else 0)

    async def _unused(self) -> int:
        """The next number where nothing readable is in force, whatever was there before."""
        history = await self.history()
        return history[-1].revision + 1 if history else 1

    async def _put_chunks(self, after: Current, mod_revision: int, parts: list[bytes]) -> Leaf:
        """Write the chunks; the transaction that is still to come, which compares every one of them."""
        leaf = Leaf({self._keys.config_current: mod_revision, **self._also})
        for number, part in enumerate(parts):
            key = self._keys.config_chunk(after.revision, number)
            leaf.expect[key] = await self._put(key, part, mod_revision)
        note = self._keys.config_note(after.revision)
        leaf.expect[note] = 0
        leaf.puts += [(self._keys.config_current, encode(after)), (note, encode(after))]
        leaf.deletes.append(self._keys.config_coming)
        return leaf

    async def _put(self, key: bytes, value: bytes, mod_revision: int) -> int:
        """Write one chunk, whatever an attempt before may have left there; its mod revision.

        Not any more once something else is in force: the chunk may be part of that. The transaction to come will fail.
        """
        leaf = Leaf({self._keys.config_current: mod_revision}, [(key, value)])
        return (await self._store.batch(single(leaf), DEADLINE)).revision

    async def _put_in_force(self, leaf: Leaf, after: Current) -> bool:
        try:
            return (await self._store.batch(single(leaf), DEADLINE)).results[0].succeeded
        except Unavailable:
            if (await self.current())[0] == after:
                return True
            raise

    async def fetch(self, revision: int) -> str:
        """The text of a revision, as it was written. Raises BadRecord if it is not there, or not whole."""
        if not revision:
            raise BadRecord("`config/current` is no record of ours; `everlease config apply FILE --force` mends that")
        wanted = await self.note(revision)
        if wanted is None:
            raise BadRecord(f"there is no configuration revision {revision}")
        return await self.text(wanted)

    async def text(self, wanted: Current) -> str:
        """The text of a revision whose entry is known. Raises BadRecord if it is not there, or not whole."""
        prefix = self._keys.config_doc(wanted.revision)
        page = await self._store.get_range(prefix, range_end(prefix))
        packed = b"".join(record.value or b"" for record in page.records[: wanted.chunks])
        return await asyncio.to_thread(_unpacked, packed, wanted)

    async def note(self, revision: int) -> Current | None:
        """What the history says of a revision; None if it never was. `chunks` 0: its document is no longer kept."""
        key = self._keys.config_note(revision)
        page = await self._store.get_range(key, key + b"\0")
        return decode_current(page.records[0].value or b"") if page.records else None

    async def history(self) -> list[Current]:
        """Every revision that was ever in force, oldest first."""
        prefix = self._keys.config_history
        page = await self._store.get_range(prefix, range_end(prefix))
        return [decode_current(record.value or b"") for record in page.records]


def _recovery(before: Current | None) -> float:
    """A recovery lasts as long as it lasts, whatever the configuration."""
    return before.recover_until if before is not None else 0.0


def _packed(text: str) -> tuple[list[bytes], str]:
    """A document's compressed chunks, and the digest of what it says."""
    raw = text.encode()
    packed = zlib.compress(raw, 6)
    return [packed[at : at + CHUNK] for at in range(0, len(packed), CHUNK)], digest_of(text)


def digest_of(text: str) -> str:
    """SHA-256 of a document, as its history entry has it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _unpacked(packed: bytes, wanted: Current) -> str:
    try:
        raw = zlib.decompress(packed)
    except zlib.error as bad:
        raise BadRecord(f"configuration revision {wanted.revision} is damaged: {bad}") from bad
    if hashlib.sha256(raw).hexdigest() != wanted.digest:
        raise BadRecord(f"configuration revision {wanted.revision} is damaged: its digest differs")
    return raw.decode()
