"""A document on its way into force: compiled aside, told apart from the one before, put there by compare.

The law of this file: a document with a problem changes nothing and is told all of its problems; nothing is applied over
a revision that its author did not mean, nor beside a reservation of the API that it contradicts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure

from everlease.admin.answers import DOMAIN, Refusal, await_view, not_found
from everlease.admin.made import Guarded, guarded
from everlease.admin.managed import Verdict, judge, refusal
from everlease.admin.orphans import Orphans, orphans
from everlease.config.aside import compile_aside, retire, run
from everlease.config.chores import edited, text_diff
from everlease.config.diff import changes
from everlease.config.problems import InvalidDocument, Problem
from everlease.core.model import Config
from everlease.runtime.rooms import Rooms
from everlease.store.configuration import Conflict, Documents, digest_of
from everlease.store.records import BadRecord, Current

MOST_LINES: Final = 200
"""Lines of an answer; a change of 10,000 subnets has one cause."""

DETAIL_BYTES: Final = 4096
"""gRPC takes 8 KB of metadata by default, and details are metadata."""

LONGEST_WORDS: Final = 500
"""Characters of an author and of a comment."""

LARGE: Final = 200_000
"""Characters of a document that nodes compile before it is in force: smaller ones take half a second."""

PATIENCE: Final = 45.0
"""Seconds for the slowest node to do so; then it is put in force all the same."""

_PERIOD: Final = 0.1

ATTEMPTS: Final = 3
"""Reservations may be made while a document is compared with them."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A document that somebody wants in force. expected: the revision that must be, None = whatever is.

    etag: of the revision that must be in force, "" = any. dry: say what would change, and write nothing.
    """

    document: str
    author: str
    comment: str = ""
    manager: str = ""
    expected: int | None = None
    etag: str = ""
    dry: bool = False
    force: bool = False


@dataclass(slots=True)
class Outcome:
    """What it changes, or would. before, after: the revisions in force; after is before where nothing was written."""

    before: Current | None
    after: Current | None = None
    lines: list[str] = field(default_factory=list)
    count: int = 0
    orphans: Orphans = field(default_factory=Orphans)

    @property
    def applied(self) -> bool:
        """Whether there is a new revision."""
        return self.after is not None and self.after != self.before


class Applying:
    """Takes one document at a time: whatever is done with one takes a process of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._compiling = asyncio.Lock()

    async def compiled(self, document: str) -> Config:
        """The document compiled. Raises InvalidDocument."""
        async with self._compiling:
            return await compile_aside(document)

    async def text_diff(self, old: str, new: str, names: tuple[str, str]) -> str:
        """A unified diff of two documents. Raises ConfigError."""
        async with self._compiling:
            return await text_diff(old, new, names)

    async def edited(self, text: str, subnet: int, pool: int, state: str) -> str:
        """A document with another state of a subnet, or of its pool. Raises ConfigError with the reason if not."""
        async with self._compiling:
            return await edited(text, subnet, pool, state)

    async def text(self, of: Current) -> str:
        """The document of a revision. Raises Refusal."""
        if of.revision and not of.chunks:
            raise not_found(f"the document of configuration revision {of.revision} is no longer kept")
        try:
            return await self._rooms.configuration.documents.fetch(of.revision)
        except BadRecord as bad:
            raise Refusal(Code.DATA_LOSS, str(bad)) from bad

    async def apply(self, wish: Wish) -> Outcome:
        """Compare-and-put, or a dry run. Raises Refusal."""
        before, _ = await self._rooms.configuration.documents.current()
        expected = _expected(wish, before)
        keep = await self._managed(wish)
        if before is not None:
            await_view(self._rooms)  # whose leases it would orphan
        try:
            config = await self.compiled(wish.document)
        except InvalidDocument as bad:
            raise invalid_document(bad.problems) from bad
        outcome = Outcome(before, before)
        try:
            await self._compare(config, outcome)
            if not (wish.dry or keep or await self._in_force(wish, before)):
                if outcome.orphans.total and not wish.force:
                    raise _orphaning(outcome.orphans)
                outcome.after = await self._publish(wish, expected, config)
            elif wish.dry:
                (await guarded(self._rooms, config)).check(force=wish.force)
        finally:
            await run(retire(config))
        return outcome

    async def differences(self, old: Config | None, new: Config) -> tuple[list[str], int]:
        """The first lines that say what is different, and how many there are."""
        lines: list[str] = []
        count = 0
        for line in changes(old, new):
            if line is None:
                await asyncio.sleep(0)
                continue
            count += 1
            if count <= MOST_LINES:
                lines.append(line)
        return lines, count

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _managed(self, wish: Wish) -> bool:
        """Whether a manager's document is to be left as it is. Raises Refusal."""
        if not wish.manager:
            return False
        history = await self._rooms.configuration.documents.history()
        verdict = judge(wish.manager, digest_of(wish.document), history, force=wish.force)
        if verdict is Verdict.REFUSE:
            raise Refusal(Code.ABORTED, refusal(wish.manager, history[-1]))
        return verdict is Verdict.KEEP

    async def _in_force(self, wish: Wish, before: Current | None) -> bool:
        """Whether it is the very text in force already, and as good as the caller's own."""
        if before is None or not before.revision or wish.manager not in {"", before.manager}:
            return False
        return await self.text(before) == wish.document

    async def _compare(self, new: Config, outcome: Outcome) -> None:
        """What it would change, for whom."""
        old = self._rooms.configuration.current
        outcome.lines, outcome.count = await self.differences(old, new)
        for _ in orphans(old, new, self._rooms.view, outcome.orphans):
            await asyncio.sleep(0)

    async def _publish(self, wish: Wish, expected: int, config: Config) -> Current:
        if len(wish.document) >= LARGE:
            (await guarded(self._rooms, config)).check(force=wish.force)  # before everybody is set to work
            await self._foretell(wish, expected)
        for _ in range(ATTEMPTS):
            made = await guarded(self._rooms, config)
            made.check(force=wish.force)
            try:
                return await self._put(wish, expected, made)
            except Conflict as other:
                if other.revision != expected:
                    raise conflict(other.revision) from other
        raise Refusal(Code.ABORTED, "reservations are being made without a pause; nothing was changed: try again")

    async def _foretell(self, wish: Wish, expected: int) -> None:
        """Let every node that serves compile a large document before it is in force: then none of them pauses."""
        rooms = self._rooms
        try:
            coming = await rooms.configuration.documents.lay_down(wish.document, expected)
        except Conflict as other:
            raise conflict(other.revision) from other
        for _ in range(int(PATIENCE / _PERIOD)):
            others = [peer.presence.ahead for name, peer in rooms.view.nodes.items() if self._waited_for(name)]
            if all(done == coming.digest for done in (rooms.configuration.ahead.done, *others)):
                return
            await asyncio.sleep(_PERIOD)

    def _waited_for(self, name: str) -> bool:
        return name != self._rooms.name and name in self._rooms.membership.eligible

    async def _put(self, wish: Wish, expected: int, made: Guarded) -> Current:
        rooms = self._rooms
        documents = Documents(rooms.store, rooms.keys, made.expect)
        return await documents.publish(
            wish.document, expected, wish.author, wish.comment, rooms.clock.now(), manager=wish.manager
        )


def _expected(wish: Wish, before: Current | None) -> int:
    """The revision that must still be in force when the document goes there. Raises Refusal."""
    present = before.revision if before else 0
    for name in ("author", "comment", "manager"):
        if len(getattr(wish, name)) > LONGEST_WORDS:
            raise Refusal(Code.INVALID_ARGUMENT, f"{name}: at most {LONGEST_WORDS} characters")
    if not wish.force:
        other = wish.expected is not None and wish.expected != present
        if other or (wish.etag and wish.etag != (before.digest if before else "")):
            raise conflict(present)
    return present


def invalid_document(problems: list[Problem]) -> Refusal:
    """As many violations as the details take; the message says how many there are."""
    detail = BadRequest()
    for each in problems:
        detail.field_violations.add(field=each.path, description=f"line {each.line}: {each.message}")
        if detail.ByteSize() > DETAIL_BYTES:
            del detail.field_violations[-1]
            break
    count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
    return Refusal(Code.INVALID_ARGUMENT, f"the document has {count}; nothing was changed", [detail])


def conflict(revision: int) -> Refusal:
    """ABORTED: another revision is in force than the one that was meant."""
    info = ErrorInfo(reason="CONFLICT", domain=DOMAIN, metadata={"revision": str(revision)})
    words = f"revision {revision} is in force" if revision else "no configuration is in force yet"
    return Refusal(Code.ABORTED, f"{words}, which is not the one that was expected; nothing was changed", [info])


def _orphaning(found: Orphans) -> Refusal:
    detail = PreconditionFailure()
    for line in found.lines()[:20]:
        detail.violations.add(type="ORPHANS", subject="", description=line)
    words = f"{found.total} live leases would lose their place; nothing was changed"
    return Refusal(Code.FAILED_PRECONDITION, f"{words} (apply it with force to do it all the same)", [detail])
