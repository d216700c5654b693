"""A backup as it comes from a client, put back into this cluster: what may come first, and what must come last.

The law of this file: where no configuration is in force nobody is served, so there the leases come first and the
configuration last, only when the file has proved to be whole, and with it the recovery that it needs. Where one is in
force it stays, and the recovery comes first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from google.rpc.code_pb2 import Code

from everlease.admin.answers import Refusal, invalid
from everlease.admin.reservation_messages import identity_of
from everlease.backup import lines
from everlease.backup.restoring import (
    CONFIGURATION_DIFFERS,
    Ground,
    LeaseItem,
    ReservationItem,
    Restoring,
    Tally,
)  # fmt: skip
from everlease.backup.rules import Times
from everlease.config.problems import InvalidDocument
from everlease.core.lifecycle import MAX_GRACE
from everlease.core.model import Config
from everlease.runtime.restorer import longest_lifetime
from everlease.runtime.rooms import Rooms
from everlease.store.configuration import Conflict
from everlease.store.keys import range_end
from everlease.store.records import BadRecord, Current, decode_current, decode_lease, undotted

GATHERED: Final = 100
"""Leases, or reservations, that are put back together: one transaction."""

DEADLINE: Final = 5.0

Compile = Callable[[str], Awaitable[Config]]


@dataclass(slots=True)
class Wish:
    """What the caller wants. recovery: None = if the cluster holds no lease yet."""

    validate_only: bool = False
    recovery: bool | None = None


@dataclass(slots=True)
class Outcome:
    """What has become of it. until: of the recovery, cluster time, 0 = there is none; config_revision: put in force."""

    tally: Tally
    saved_at: str = ""
    config_revision: int = 0
    until: float = 0.0


class Restore:
    """One file's way into the cluster. Every method may raise Unavailable and NoSpace."""

    def __init__(self, rooms: Rooms, wish: Wish, compiled: Compile) -> None:
        self._rooms = rooms
        self._wish = wish
        self._compiled = compiled
        ground = Ground(rooms.store, rooms.keys, rooms.view, self._times, identity_of)
        self._into = Restoring(ground, wish.validate_only)
        self._leases: list[LeaseItem] = []
        self._reservations: list[ReservationItem] = []
        self._text: list[str] = []
        self._record: Current | None = None
        self._before: Current | None = None
        self._empty = False
        self._recovers = False

    async def run(self, chunks: AsyncIterator[bytes]) -> Outcome:
        """Take it all. Raises Refusal: DATA_LOSS where the file is damaged."""
        reader = lines.Reader()
        try:
            async for chunk in chunks:
                for line in reader.feed(chunk):
                    await self._take(line)
            await self._flush()
            reader.finish()
        except lines.Damaged as bad:
            raise _damaged(str(bad)) from bad
        except (BadRecord, ValueError) as bad:
            raise _damaged(f"line {reader.number}: {bad}") from bad
        if reader.header is None:
            raise _damaged("the file has no head")
        outcome = Outcome(self._into.tally, reader.header.saved_at)
        await self._configure(outcome)
        return outcome

    def _times(self) -> Times:
        clock, config = self._rooms.clock, self._into.config
        return Times(clock.now(), clock.reuse_now(), config.cluster.clock_margin if config is not None else 0.0)

    # --- line by line -------------------------------------------------------------------------------------------------

    async def _take(self, line: lines.Line) -> None:
        if isinstance(line, lines.Lease):
            self._leases.append((line.space, undotted(line.address), decode_lease(bytes(line.record))))
        elif isinstance(line, lines.Reservation):
            self._reservations.append((line.space, line.key, bytes(line.record)))
        elif isinstance(line, lines.Header):
            await self._begin(line)
        elif isinstance(line, lines.Configuration):
            self._record = decode_current(bytes(line.record))
        elif isinstance(line, lines.Document):
            self._text.append(line.text)
        elif isinstance(line, lines.Drain):
            await self._into.drain(line.node, bytes(line.record), self._empty)
        elif isinstance(line, lines.Unreadable):
            self._into.tally.unreadable += 1
        if max(len(self._leases), len(self._reservations)) >= GATHERED:
            await self._flush()

    async def _flush(self) -> None:
        reservations, self._reservations = self._reservations, []
        leases, self._leases = self._leases, []
        await self._into.reservations(reservations)
        await self._into.leases(leases)

    async def _begin(self, header: lines.Header) -> None:
        """What is there, and whether addresses may be somebody's though nothing says so."""
        rooms = self._rooms
        self._before, _ = await rooms.configuration.documents.current()
        self._into.config = rooms.configuration.current
        self._empty = await self._holds_nothing()
        automatic = self._empty and header.revision > 0
        self._recovers = automatic if self._wish.recovery is None else self._wish.recovery
        if self._recovers and self._before is not None and not self._wish.validate_only:
            await self._recover(0)

    async def _holds_nothing(self) -> bool:
        """Whether there is no lease at all."""
        if len(self._rooms.view):
            return False
        start = self._rooms.keys.watched + b"leases/"
        page = await self._rooms.store.get_range(start, range_end(start), limit=1, deadline=DEADLINE)
        return not page.records

    # --- configuration and recovery -----------------------------------------------------------------------------------

    async def _configure(self, outcome: Outcome) -> None:
        """The last step: the configuration where there was none, and how long the recovery lasts."""
        if self._before is not None:
            self._compare(self._before)
            if self._recovers:
                outcome.until = await self._recover(self._into.tally.longest)
            return
        if self._record is None:
            if self._recovers:
                raise invalid("recovery", "there is no configuration to recover under: apply one first")
            return
        text = "".join(self._text)
        config = await self._checked(text)
        outcome.config_revision = self._record.revision
        if self._recovers:
            outcome.until = self._until(max(longest_lifetime(config), self._into.tally.longest))
        if not self._wish.validate_only:
            await self._reinstate(text, outcome.until)

    def _compare(self, before: Current) -> None:
        if self._record is not None and self._record.digest != before.digest:
            words = (
                f"revision {before.revision} is in force and stays; the file has {self._record.revision}, another text"
            )
            self._into.tally.conflict(CONFIGURATION_DIFFERS, f"configs/{self._record.revision}", words)

    async def _checked(self, text: str) -> Config:
        try:
            return await self._compiled(text)
        except InvalidDocument as bad:
            first = bad.problems[0]
            words = f"its configuration does not compile (line {first.line} of it: {first.message})"
            raise Refusal(Code.FAILED_PRECONDITION, f"{words}; leases and reservations are there") from bad

    async def _reinstate(self, text: str, until: float) -> None:
        assert self._record is not None
        record = Current(
            revision=self._record.revision,
            chunks=0,
            author=self._record.author,
            comment=self._record.comment,
            applied_at=self._record.applied_at,
            manager=self._record.manager,
            recover_until=until,
        )
        try:
            await self._rooms.configuration.documents.reinstate(text, record)
        except Conflict as other:
            raise _raced() from other

    async def _recover(self, longest: int) -> float:
        """Let the recovery last until nobody can hold what no record shows; never shorter than it was said to."""
        documents = self._rooms.configuration.documents
        current, _ = await documents.current()
        known = current.recover_until if current is not None else 0.0
        least = self._until(max(longest_lifetime(self._into.config), longest))
        until = known if known > self._rooms.clock.now() and known >= least - MAX_GRACE else max(known, least)
        if until != known and not self._wish.validate_only:
            try:
                await documents.recover(until)
            except Conflict as other:
                raise _raced() from other
        return until

    def _until(self, longest: float) -> float:
        return float(int(self._rooms.clock.now() + longest + MAX_GRACE) + 1)


def _damaged(what: str) -> Refusal:
    return Refusal(Code.DATA_LOSS, f"the file is damaged: {what}")


def _raced() -> Refusal:
    return Refusal(Code.ABORTED, "somebody applied a configuration meanwhile: restore again")
