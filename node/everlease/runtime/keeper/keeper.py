"""The keeper's day: hold the office, look, decide, let one thing at a time be done, and say what it is.

The law of this file: the office is held while something long is being done; nothing new is begun meanwhile. What fails
is tried again ever more rarely; what is wrong is said once when it begins, and once when it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from everlease import logs
from everlease.errors import StoreError
from everlease.runtime.keeper import leadership, space
from everlease.runtime.keeper.acts import Acts
from everlease.runtime.keeper.admission import warn
from everlease.runtime.keeper.facts import Compact, Defragment, Disarm, Facts, MoveLeader, Step, Wait
from everlease.runtime.keeper.indexes import Indexes
from everlease.runtime.keeper.leadership import LeadershipMemory
from everlease.runtime.keeper.observer import Observer
from everlease.runtime.keeper.office import Office
from everlease.runtime.keeper.purge import Purge
from everlease.runtime.keeper.space import SpaceMemory
from everlease.runtime.keeper.trouble import Trouble, trouble_of
from everlease.runtime.lifeline import DRAINING
from everlease.runtime.rooms import Rooms
from everlease.store.api import DEFAULT_QUOTA, NoSpace, Unavailable
from everlease.store.keeping import Tenure
from everlease.store.upkeep import Upkeep
from everlease.store.versions import refusal

EVERY: Final = 1.0
"""Seconds between two looks of the keeper."""

AWAY_EVERY: Final = 2.0
"""Seconds between two looks of everybody else at who keeps."""

PURGE_EVERY: Final = 300.0

TOLD: Final = 10
"""Of what was removed, in one line of the log."""

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds until something that failed is tried again; doubles each time."""

ACTIONS: Final = {Compact: "compact", Defragment: "defragment", Disarm: "disarm", MoveLeader: "move_leader"}


class Keeper:
    """Every node has one, and at most one of them keeps. judged: versions of etcd of which all has been said."""

    def __init__(self, rooms: Rooms, upkeep: Upkeep) -> None:
        identity = (rooms.name, rooms.membership.boot_id)
        head = rooms.keys.keeper
        self._rooms = rooms
        self._boot = rooms.clock.boot
        self._office = Office(*identity, rooms.store, head + b"holder", self._boot)
        self._observer = Observer(rooms.store, upkeep, self._boot)
        self._acts = Acts(identity, rooms.store, upkeep, head + b"stopped", rooms.clock)
        self._purge = Purge(rooms)
        self._indexes = Indexes(rooms)
        self._space = SpaceMemory()
        self._leadership = LeadershipMemory()
        self._trouble = Trouble()
        self._doing: asyncio.Task[None] | None = None
        self._failures: dict[str, tuple[int, float]] = {}
        self._purged_at = self._boot()
        self._words = Tenure("", "", 0)
        self._closely = False
        self.judged: set[str] = set()

    async def run(self) -> None:
        """Keep, or look who does, until cancelled.

        A fault of ours in here ends the keeping of this node, not the node: one after the other would keep, and fall.
        """
        loop = asyncio.get_running_loop()
        keeping = loop.create_task(self._keep(), name="keeper")
        try:
            await asyncio.wait((keeping,))
            loop.call_exception_handler({"message": "the keeper has ended", "exception": keeping.exception()})
            await loop.create_future()
        finally:
            keeping.cancel()

    async def _keep(self) -> None:
        while True:
            await self.turn()
            every = EVERY if self._office.mine else AWAY_EVERY
            if self._doing is None or self._doing.done():
                await asyncio.sleep(every)
            else:
                await asyncio.wait((self._doing,), timeout=every)  # what was done shows at once

    async def idle(self) -> None:
        """Wait until nothing is being done any more."""
        if self._doing is not None:
            await asyncio.wait((self._doing,))

    async def close(self) -> None:
        """Leave what is being done, and the office to another node."""
        if self._doing is not None:
            self._doing.cancel()
            await asyncio.gather(self._doing, return_exceptions=True)
        with suppress(StoreError):
            await self._office.leave()

    # --- one turn -----------------------------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Hold the office or look who does; if it is ours, look at the store and begin what is to be done."""
        with suppress(Unavailable, NoSpace):  # then what was known last still holds
            await self._attend()
        self._rooms.condition.adopt(self._office.tenure, mine=self._office.mine)
        self._rooms.committer.room = self._rooms.condition.room()
        if self._office.mine and self._free():
            facts = await self._look()
            self._begin(self._decide(facts), facts)

    def _free(self) -> bool:
        """Whether nothing is being done; a fault of ours in what was is raised here."""
        doing = self._doing
        if doing is not None and doing.done():
            self._doing = None
            doing.result()
        return self._doing is None

    async def _attend(self) -> None:
        kept = self._office.mine
        if kept:
            await self._office.put(self._words)
        else:
            self._space.trail.note(self._boot(), await self._office.read())
            if self._office.vacant() and self._rooms.lifeline.state != DRAINING and not self._rooms.lifeline.draining:
                await self._claim()
        if self._office.mine and not kept:
            self._enter()
        elif kept and not self._office.mine:
            logs.get().info("keeps the store no longer", keeper=self._rooms.condition.keeper)

    async def _claim(self) -> None:
        """Take the office; where puts are refused, make room for that one first: nobody else does."""
        words = self._office.tenure or self._words
        try:
            await self._office.put(words)
        except NoSpace:
            facts = await self._look()
            await self._acts.compact(Compact(facts.head, "to take the office"), facts)
            await self._acts.insist(lambda roomy: self._office.put(words, roomy), facts)

    def _enter(self) -> None:
        """Begin to keep: what the last keeper moved counts as moved by us."""
        tenure, clock = self._office.tenure, self._rooms.clock
        ago = clock.now() - clock.boot()
        self._leadership.moves = [(at - ago, member) for at, member in tenure.moves] if tenure else []
        logs.get().info("keeps the store")

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _look(self) -> Facts:
        config = self._rooms.configuration.current
        self._observer.quota = (config.cluster.store_quota if config else None) or DEFAULT_QUOTA
        facts = await self._observer.look(closely=self._closely)
        self._closely = leadership.suspicious(facts)
        self._space.look(facts)
        for endpoint, version in self._observer.versions().items():
            if version not in self.judged:
                self.judged.add(version)
                self._judge(endpoint, version)
        return facts

    def _judge(self, endpoint: str, version: str) -> None:
        """A version that was not there at the start."""
        if refusal(version):
            logs.get().error("etcd must not be used", member=endpoint, reason=refusal(version))
        else:
            warn(version)

    def _decide(self, facts: Facts) -> Step | None:
        """Room first: without it there is no write that could be slow."""
        step = space.next_step(facts, self._space)
        if step is None or isinstance(step, Wait):
            step = leadership.next_step(facts, self._leadership) or step
        self._say(facts, step)
        return step

    def _say(self, facts: Facts, step: Step | None) -> None:
        """In the log once, in the record always, and to those whom this node's state concerns."""
        words = trouble_of(facts, step)
        self._trouble.look(facts, step)
        clock = self._rooms.clock
        ago = clock.now() - clock.boot()
        moves = tuple((at + ago, member) for at, member in self._leadership.moves)
        self._words = Tenure("", "", 0, facts.quota, round(facts.fullness, 3), words, moves)

    # --- doing --------------------------------------------------------------------------------------------------------

    def _begin(self, step: Step | None, facts: Facts) -> None:
        now = self._boot()
        if step is None or isinstance(step, Wait):
            if step is None and now - self._purged_at >= PURGE_EVERY:
                self._purged_at = now
                self._doing = asyncio.get_running_loop().create_task(self._purge_all(), name="keeper-purge")
            return
        action = ACTIONS[type(step)]
        if now >= self._failures.get(action, (0, 0.0))[1]:
            self._doing = asyncio.get_running_loop().create_task(self._do(action, step, facts), name=f"keeper-{action}")

    async def _do(self, action: str, step: Step, facts: Facts) -> None:
        started = self._boot()
        try:
            await self._perform(step, facts)
        except StoreError as failed:
            count = self._failures.get(action, (0, 0.0))[0]
            pause = min(FIRST_PAUSE * 2**count, LONGEST_PAUSE)
            self._failures[action] = (count + 1, self._boot() + pause)
            self._rooms.counters.upkeep[action, "failed"] += 1
            logs.get().warning("upkeep failed", action=action, reason=str(failed), again_in=pause, **_told(step))
        else:
            self._failures.pop(action, None)
            self._rooms.counters.upkeep[action, "done"] += 1
            level = logs.get().debug if isinstance(step, Compact) else logs.get().info
            level("upkeep", action=action, seconds=round(self._boot() - started, 3), **_told(step))

    async def _perform(self, step: Step, facts: Facts) -> None:
        """Raises Unavailable, NoSpace."""
        if isinstance(step, Compact):
            await self._acts.compact(step, facts)
            self._space.compacted_to(step.revision, self._boot())
        elif isinstance(step, Defragment):
            self._space.defragmented[step.member.id] = self._boot()
            await self._acts.defragment(step, facts)
        elif isinstance(step, Disarm):
            await self._acts.disarm(step.ids, facts)
            self._space.disarmed(self._boot())
        elif isinstance(step, MoveLeader):
            self._space.handed_at = self._boot()
            await self._acts.move(step)
            self._leadership.moved(step.leader.id, self._boot())
            self._observer.moved()

    async def _purge_all(self) -> None:
        purged: tuple[tuple[str, Callable[[], Awaitable[Sequence[object]]]], ...] = (
            ("remove_presence", self._purge.nodes),
            ("remove_document", self._purge.documents),
            ("remove_index", self._indexes.purge),
        )
        for action, purge in purged:
            try:
                gone = await purge()
            except StoreError as failed:
                self._rooms.counters.upkeep[action, "failed"] += 1
                logs.get().warning("upkeep failed", action=action, reason=str(failed))
            else:
                self._rooms.counters.upkeep[action, "done"] += len(gone)
                if gone:
                    logs.get().info("upkeep", action=action, count=len(gone), removed=gone[:TOLD])


def _told(step: Step) -> dict[str, object]:
    """What a line of the log says of a step."""
    if isinstance(step, Compact):
        return {"revision": step.revision, "because": step.reason}
    if isinstance(step, Defragment):
        return {"member": step.member.endpoint, "reclaimable": round(step.member.reclaimable, 2)}
    if isinstance(step, MoveLeader):
        return {"leader": step.leader.endpoint, "to": step.target.endpoint, "because": step.reason}
    return {}
