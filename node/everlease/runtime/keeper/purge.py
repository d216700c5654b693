"""What nobody needs any more: records of nodes that are gone, and old configuration documents.

The law of this file: everything is deleted by compare, so that what came back to life stays. A dead node's record
stays for as long as a client may still ask for it by its server identifier; a document for as long as a node decides
with it, and the newest ones always; what the history says of a document stays longer than the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from everlease.runtime.restorer import longest_lifetime
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import range_end
from everlease.store.records import UNREADABLE, Current, encode, read_current
from everlease.store.txn import Leaf, single
from everlease.store.view import Peer

SILENT: Final = 600.0
"""Seconds for which this node itself must have seen no sign of life, whatever the clocks say."""

LEAST, MOST = 3600.0, 30 * 86400.0
"""Seconds that a dead node's record stays: the longest lifetime that a client was told, within these bounds."""

DOCUMENTS: Final = 20
"""Newest configuration documents that stay whatever their size: to look at, to compare, to go back to."""

CHUNKS: Final = 100
"""Of the newest documents, that stay: a document of ordinary size is one, and all of them are 50 MB at most."""

NOTES: Final = 1000
"""Newest revisions of which the history tells author, time and comment: 300 KB."""

DEADLINE: Final = 5.0


def dead_nodes(
    nodes: Mapping[str, Peer], seen_at: Mapping[str, float], boot: float, now: float, keep: float
) -> list[str]:
    """Names of those whose record may go. seen_at, boot: CLOCK_BOOTTIME; now: cluster time; keep: seconds."""
    return sorted(
        name
        for name, since in seen_at.items()
        if name in nodes and boot - since >= SILENT and now - nodes[name].presence.clock >= keep
    )


def old_documents(chunks: Mapping[int, int], used: Iterable[int]) -> list[int]:
    """Revisions whose document may go, the oldest first. chunks: of each; used: by nodes, and the one in force."""
    kept: set[int] = set(used)
    held = 0
    for place, revision in enumerate(sorted(chunks, reverse=True)):
        held += chunks[revision]
        if place < DOCUMENTS or held <= CHUNKS:
            kept.add(revision)
    return sorted(revision for revision, count in chunks.items() if count and revision not in kept)


def old_notes(chunks: Mapping[int, int]) -> list[int]:
    """Revisions that the history forgets, the oldest first: those whose document has gone, beyond the newest."""
    newest = sorted(chunks)
    return [revision for revision in newest[:-NOTES] if not chunks[revision]]


def keep_nodes(longest: float) -> float:
    """Seconds that a dead node's record stays. longest: lifetime that a client may have been told."""
    return min(max(longest, LEAST), MOST)


class Purge:
    """Deletes both, with one read and one transaction for each."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def nodes(self) -> list[str]:
        """Remove dead nodes' records; their names. Raises Unavailable, NoSpace."""
        rooms = self._rooms
        gone: list[str] = []
        seen_at = {name: member.seen_at for name, member in rooms.membership.members.items()}
        keep = keep_nodes(longest_lifetime(rooms.configuration.current))
        for name in dead_nodes(rooms.view.nodes, seen_at, rooms.clock.boot(), rooms.clock.now(), keep):
            key = rooms.keys.node(name)
            if await self._delete({key: rooms.view.nodes[name].revision}, [key]):
                gone.append(name)
        return gone

    async def documents(self) -> list[int]:
        """Remove old documents, and what the history has said of them for long; the revisions that lost something.

        Raises Unavailable, NoSpace.
        """
        rooms = self._rooms
        current, in_force = await self._read_current()
        notes = {number: note for note in await self._list(rooms.keys.config_history) if (number := _number(note.key))}
        told = {number: read_current(note.value or b"") for number, note in notes.items()}
        chunks = {number: each.chunks for number, each in told.items()}
        used = {peer.presence.config for peer in rooms.view.nodes.values()} | {current.revision if current else 0}
        gone: list[int] = []
        for revision in old_documents(chunks, used):
            if not await self._forget_document(notes[revision], told[revision], revision, in_force):
                return gone
            gone.append(revision)
        for revision in old_notes(chunks):
            if not await self._delete({notes[revision].key: notes[revision].revision}, [notes[revision].key]):
                break
            gone.append(revision)
        return gone

    async def _forget_document(self, note: KeyValue, told: Current, revision: int, in_force: int) -> bool:
        """Delete the chunks, the last of them together with a note that says so: cut short, it is done again."""
        expect = {self._rooms.keys.config_current: in_force, note.key: note.revision}
        chunks = [chunk.key for chunk in await self._list(self._rooms.keys.config_doc(revision))]
        *before, last = list(_parts(chunks)) or [[]]
        for part in before:
            if not await self._delete(expect, part):
                return False
        if told is UNREADABLE:  # nobody can read it, so nobody misses it
            return await self._delete(expect, [note.key, *last])
        leaf = Leaf(dict(expect), [(note.key, encode(replace(told, chunks=0)))], last)
        return (await self._rooms.store.batch(single(leaf), DEADLINE)).results[0].succeeded

    async def _read_current(self) -> tuple[Current | None, int]:
        key = self._rooms.keys.config_current
        page = await self._rooms.store.get_range(key, key + b"\0", deadline=DEADLINE)
        record = page.records[0] if page.records else None
        return (read_current(record.value or b""), record.revision) if record else (None, 0)

    async def _list(self, prefix: bytes) -> list[KeyValue]:
        return list((await self._rooms.store.get_range(prefix, range_end(prefix), deadline=DEADLINE)).records)

    async def _delete(self, expect: dict[bytes, int], keys: list[bytes]) -> bool:
        leaf = Leaf(dict(expect), deletes=keys)
        return (await self._rooms.store.batch(single(leaf), DEADLINE)).results[0].succeeded


def _number(key: bytes) -> int:
    """The revision that a note's key names; 0 for another key."""
    word = key.rsplit(b"/", 1)[-1]
    return int(word) if word.isdigit() else 0


def _parts(keys: list[bytes]) -> Iterator[list[bytes]]:
    """Pieces that fit into etcd's default of 128 operations."""
    for start in range(0, len(keys), 100):
        yield keys[start : start + 100]
