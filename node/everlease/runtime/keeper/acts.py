"""Does what was decided: one call or a few, each with its deadline, and whether it worked.

The law of this file: a member is stopped only by whoever put its name into the fence, by compare; and the fence is
taken away only when that member has answered a read again. A fence that another process left behind is taken over after
`ABANDONED` seconds, if every member answers: then nobody is being stopped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar

from everlease.runtime.clock import ClusterClock
from everlease.runtime.keeper.facts import Compact, Defragment, Facts, MoveLeader
from everlease.store.api import BatchResult, Compacted, KeyValue, NoSpace, Store, Unavailable
from everlease.store.keeping import Stopped, encode
from everlease.store.txn import Leaf, single
from everlease.store.upkeep import Upkeep

T = TypeVar("T")

DEADLINE: Final = 5.0
COMPACTING: Final = 60.0
"""Seconds for a compaction to free what it released; it goes on when nobody waits."""

ABANDONED: Final = 10.0
LATE: Final = 6.0
"""Seconds for the fence to be put, after which the process must have been stopped: it may be another's by now."""

TRIES: Final = 5
"""A put right after `disarm` comes before the full member has raised its alarm again; nearly always."""

NOTHING: Final = single(Leaf({b"\0": 0}))
"""A transaction that compares and writes nothing: a nested one, so that etcd takes it for a write all the same."""


class Acts:
    """The keeper's hands. identity: (node, boot id); key: of the fence; boot, wall: clocks, seconds."""

    def __init__(
        self, identity: tuple[str, str], store: Store, upkeep: Upkeep, key: bytes, clock: ClusterClock
    ) -> None:
        self._name, self._boot_id = identity
        self._store = store
        self._upkeep = upkeep
        self._key = key
        self._clock = clock
        self._seen = (0, 0.0)

    async def compact(self, step: Compact, facts: Facts) -> None:
        """Through a member that answers. Raises Unavailable."""
        with suppress(Compacted):  # by another keeper, or by etcd itself: done
            await self._upkeep.compact(self._somebody(facts), step.revision, COMPACTING)

    async def disarm(self, ids: Iterable[int], facts: Facts) -> None:
        """One alarm after the other. Raises Unavailable."""
        for member in ids:
            await self._upkeep.disarm(self._somebody(facts), member, DEADLINE)

    async def move(self, step: MoveLeader) -> None:
        """Ask the leader itself; what it answers counts less than who leads afterwards. Raises Unavailable."""
        try:
            await self._upkeep.move_leader(step.leader.endpoint, step.target.id, DEADLINE)
        except Unavailable:
            if (await self._upkeep.status(step.target.endpoint, DEADLINE)).leader != step.target.id:
                raise

    async def defragment(self, step: Defragment, facts: Facts) -> None:
        """Fence, stop, wait until it is back, take the fence away. Raises Unavailable, NoSpace."""
        revision = await self._fence(step.member.id, facts)
        try:
            await self._upkeep.defragment(step.member.endpoint, step.seconds)
        finally:
            with suppress(NoSpace):  # an answer, too
                await self._store.batch(NOTHING, step.seconds, step.member.endpoint)
            await self._unfence(revision)

    async def insist(self, put: Callable[[str], Awaitable[T]], facts: Facts) -> T:
        """Put also while puts are refused: right after the alarm was taken back, through a member that has room.

        put: is given the member's endpoint. Raises Unavailable, NoSpace.
        """
        roomy = min(facts.members, key=lambda member: (not member.answers, member.fullness)).endpoint
        for _ in range(TRIES - 1):
            try:
                return await put(roomy)
            except NoSpace:
                await self.disarm(sorted(facts.full()), facts)
        return await put(roomy)

    def _somebody(self, facts: Facts) -> str:
        answering = [member.endpoint for member in facts.members if member.answers]
        return next((name for name in self._store.rank() if name in answering), self._store.rank()[0])

    # --- the fence ----------------------------------------------------------------------------------------------------

    async def _fence(self, member: int, facts: Facts) -> int:
        """Put the member's name there; the record's revision."""
        record = encode(Stopped(member, self._name, self._boot_id, self._clock.now()))
        leaf = Leaf({self._key: 0}, [(self._key, record)])

        async def put(member: str) -> tuple[float, BatchResult]:
            return self._clock.boot(), await self._store.batch(single(leaf), DEADLINE, member)

        sent, answer = await self.insist(put, facts)
        found = answer.results[0].found
        if not answer.results[0].succeeded:
            await self._take_away(found[0] if found else None, facts)
            raise Unavailable("a member is being defragmented already")
        if self._clock.boot() - sent > LATE:
            await self._unfence(answer.revision)
            raise Unavailable("this process was stopped between fence and defragmentation")
        return answer.revision

    async def _take_away(self, fence: KeyValue | None, facts: Facts) -> None:
        """A fence of somebody else: after a while, if every member answers, it fences nothing."""
        revision, now = fence.revision if fence else 0, self._clock.boot()
        if revision != self._seen[0]:
            self._seen = (revision, now)
        elif now - self._seen[1] >= ABANDONED and all(member.answers for member in facts.members):
            await self._unfence(revision)

    async def _unfence(self, revision: int) -> None:
        await self._store.batch(single(Leaf({self._key: revision}, deletes=[self._key])), DEADLINE)
