"""The node's heartbeat: presence committed by the path that serves clients, and what follows from time passing.

The law of this file: a node's presence is the proof that it can commit, so it goes through the same queue, batches and
fences as a lease; and a name belongs to one running process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil
from typing import Final

from everlease import __version__
from everlease.errors import ConfigError
from everlease.runtime.committer import COMMITTED, REFUSED, URGENT, Ticket
from everlease.runtime.lifeline import STOPPED
from everlease.runtime.rooms import Rooms
from everlease.store import records, txn
from everlease.store.api import BatchResult, KeyValue
from everlease.store.view import Peer

TICK: Final = 0.05
"""Seconds between two looks at the clock: twenty of them are the gap that makes a node doubt what it believes."""

DOUBT: Final = 1.0
"""Seconds without a commit after which the members are asked what is wrong with them."""


class Pulse:
    """Runs for as long as the node does. `taken` is set to another process's boot id when it has our name."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._boot = rooms.clock.boot
        self._key = rooms.keys.node(rooms.name)
        self._sending = False
        self._put_at = 0.0
        self._revision = 0
        self._version = 0
        self._adopted_at = 0.0
        self._rollbacks = 0
        self._asking: asyncio.Task[None] | None = None
        self.taken = asyncio.Event()
        rooms.lifeline.comparing = True
        rooms.committer.fences = self.fences
        rooms.committer.confirmed = self._confirmed

    # --- the name -----------------------------------------------------------------------------------------------------

    async def claim(self) -> None:
        """Take the name, once nobody else moves under it. Raises ConfigError if somebody does."""
        membership = self._rooms.membership
        before = self._rooms.view.nodes.get(self._rooms.name)
        if before is None:
            return
        end = self._boot() + 3 * max(before.presence.period, membership.period)
        while self._boot() < end and before.presence.state != STOPPED:
            await asyncio.sleep(TICK)
            now = self._rooms.view.nodes.get(self._rooms.name)
            if now is not None and now.presence.sequence != before.presence.sequence:
                raise ConfigError(
                    f"--name {self._rooms.name}: another running node has this name "
                    f"({_where(now)}); stop it, or choose another name"
                )
        self._adopt(before.revision, before.version)

    def _adopt(self, revision: int, version: int) -> None:
        self._revision, self._version = revision, version
        self._adopted_at, self._rollbacks = self._boot(), self._rooms.store.freshness.rollbacks

    # --- the beat -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self.tick(self._boot())
            await asyncio.sleep(0 if self._rooms.view.advance(self._rooms.clock.reuse_now()) else TICK)

    def tick(self, now: float) -> None:
        """What is due at `now` (CLOCK_BOOTTIME)."""
        rooms = self._rooms
        rooms.lifeline.beat(now)
        if rooms.lifeline.comparing:
            self.compare_clocks(now)
        if now > rooms.membership.due:
            rooms.membership.judge(now)
        if now - self._put_at < rooms.membership.period:
            return
        rooms.membership.judge(now)
        self.compare_clocks(now)
        rooms.lifeline.evaluate(now)
        self.send(now)
        if now - rooms.lifeline.committed_at > DOUBT and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask_the_members())

    def compare_clocks(self, now: float) -> None:
        """Follow the other nodes' clocks, and say whether the own one may be trusted.

        The first time all of them are waited for: against one other a clock that is hours ahead is the later of two,
        and stamps.
        """
        rooms = self._rooms
        was_comparing = rooms.lifeline.comparing
        config, others = rooms.configuration.current, rooms.membership.offsets(now)
        waits = (was_comparing or not others) and rooms.membership.has_unheard(now)
        if config is None or not rooms.lifeline.fresh(now) or waits:
            return
        rooms.clock.follow(others, rooms.view.newest_grant)
        rooms.lifeline.trust(rooms.clock.doubt(config.cluster.clock_margin))
        if was_comparing:
            rooms.lifeline.evaluate(now)

    async def _ask_the_members(self) -> None:
        """Why nothing is committed: there may be an election without end, or no space left to write to."""
        store, asked_at = self._rooms.store, self._boot()
        leaderless = await store.has_no_leader()
        reports = [store.report(member) for member in store.rank()]
        full = any(report is not None and "NOSPACE" in report.alarms for report in reports)
        self._rooms.lifeline.learned(asked_at, self._boot(), leaderless=leaderless, full=full)

    # --- presence -----------------------------------------------------------------------------------------------------

    def hurry(self) -> None:
        """Something that others act upon has changed: say so at the next tick."""
        self._put_at = 0.0

    def send(self, now: float) -> None:
        """Commit the next presence, unless one is still on its way."""
        if self._sending:
            return
        self._sending, self._put_at = True, now
        rooms = self._rooms
        if self._rollbacks != rooms.store.freshness.rollbacks and not rooms.committer.held:
            self._begin_anew()
        config = rooms.configuration.current
        presence = rooms.membership.presence(rooms.view.revision, config.revision if config else 0, __version__)
        leaf = txn.put(self._key, records.encode(presence), self._revision)
        ticket = Ticket(leaf, URGENT, 0, now, lambda outcome: self._settled(ticket, outcome))
        rooms.committer.enter(ticket)

    def _settled(self, ticket: Ticket, outcome: int) -> None:
        self._sending = False
        if outcome == COMMITTED:
            self._adopt(ticket.revision, self._version + 1)
        elif outcome == REFUSED:
            self._refused(next((each for each in ticket.found if each.key == self._key), None))

    def _refused(self, found: KeyValue | None) -> None:
        """Our record was deleted (we begin anew), or it is ours from an unknown try, or another has our name."""
        self._put_at = 0.0
        if found is None or found.value is None:
            self._adopt(0, 0)
        elif found.revision >= self._revision:  # the same one, too: its version may have been counted from a lost one
            self._adopt(found.revision, found.version)
            if records.decode_presence(found.value).boot != self._rooms.membership.boot_id:
                self.taken.set()

    def fences(self, config: int) -> txn.Fences:
        """The two fences of a batch that leaves now."""
        rooms = self._rooms
        window = max(2, ceil(txn.WINDOW_SECONDS / rooms.membership.period))
        return txn.Fences(rooms.keys.config_current, config, self._key, self._version, window)

    def refenced(self, found: Sequence[KeyValue]) -> None:
        """A batch was fenced: take over what the store says of our presence."""
        mine = next((each for each in found if each.key == self._key), None)
        self._refused(mine)

    def _confirmed(self, result: BatchResult, sent: float) -> None:
        if not result.fenced:
            self._rooms.lifeline.committed(self._boot())
        elif sent > self._adopted_at:
            self._look_for_rollback(result)

    def _begin_anew(self) -> None:
        """After a rollback our presence is what the view has of it now; until then our batches are fenced."""
        mine = self._rooms.view.nodes.get(self._rooms.name)
        if mine is None:
            self._adopt(0, 0)
        else:
            self._adopt(mine.revision, mine.version)

    def _look_for_rollback(self, result: BatchResult) -> None:
        """Our own presence, older than it was before the batch left: the store has forgotten what it confirmed.

        Its revision alone may not show that, when others have written much since it was restored.
        """
        mine = next((each for each in result.found if each.key == self._key), None)
        if mine is None or mine.revision >= self._revision:
            return
        freshness = self._rooms.store.freshness
        if freshness.rollbacks == self._rollbacks:
            freshness.contradict(result.revision, result.cluster)


def _where(peer: Peer) -> str:
    return f"boot id {peer.presence.boot}, admin API at {peer.presence.admin or 'an unknown address'}"
