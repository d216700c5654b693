"""How the rooms hang together: what a change in one means for the others, and how a node leaves.

The law of this file: every consequence of a new configuration is drawn in one place and in one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from everlease.core.model import Config
from everlease.runtime.gate import Gate
from everlease.runtime.lifeline import DRAINING
from everlease.runtime.pulse import Pulse
from everlease.runtime.restorer import longest_lifetime
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.records import read_current
from everlease.store.view import Peer

ANNOUNCED: Final = 0.15
"""Seconds in which this node still answers when its announcement has come back: so have the others' watches it."""

TOLD_WITHIN: Final = 1.0
"""Seconds in which an announcement comes back, if it does: a store that takes no commits tells nobody."""

LINGER: Final = 2.0
"""Seconds after the announcement for what is sent to an address that other nodes have too: health checks and routers
need that long to lead it elsewhere."""

POLL: Final = 0.02

LEAVE_WITHIN: Final = 3.0
"""Seconds for what is in flight; the promise is to be gone within 5."""

NO_CONFIGURATION: Final = "no configuration in the store: run `everlease config apply FILE`, or give --config-file"


LOADING: Final = "the leases are being read from the store"


class Settlement:
    """Connects view, configuration, committer, membership and lifeline. loading: the view is not complete yet.

    identifier: what this node answers with wherever it serves, 0 = a link's own address.
    """

    def __init__(self, rooms: Rooms, pulse: Pulse, gate: Gate, identifier: int = 0) -> None:
        self._rooms = rooms
        self._pulse = pulse
        self._gate = gate
        self._identifier = identifier
        self.loading = True
        self._stopping = False
        self._leaving: asyncio.Task[None] | None = None
        rooms.view.on_presence = self._on_presence
        rooms.view.on_config = rooms.configuration.notice
        rooms.view.on_drain = self._on_drain
        rooms.view.on_coming = rooms.configuration.ahead.announce
        rooms.configuration.ahead.told = self._on_ahead
        rooms.configuration.switched = self._on_configuration
        rooms.committer.refenced = self._on_fence
        rooms.membership.news = pulse.hurry
        rooms.lifeline.told.append(lambda _state, _reason: pulse.hurry())

    def prefixes(self) -> list[tuple[str, int, int]]:
        """What the loader needs to know of the configuration."""
        return prefixes_of(self._rooms.configuration.current)

    def lacks(self) -> str:
        """What this node cannot begin without, "" = nothing."""
        configuration = self._rooms.configuration
        if configuration.current is None:
            return configuration.error or NO_CONFIGURATION
        return LOADING if self.loading else ""

    def _on_presence(self, name: str, peer: Peer | None) -> None:
        self._rooms.membership.observe(name, peer, self._rooms.clock.boot())

    def _on_configuration(self) -> None:
        rooms, configuration = self._rooms, self._rooms.configuration
        config = configuration.current
        if config is not None:
            self._adopt(config)
        rooms.committer.switch(configuration.mod_revision, configuration.seen)
        rooms.lifeline.refused = configuration.error
        rooms.lifeline.waiting_for = self.lacks()
        rooms.lifeline.evaluate(rooms.clock.boot())

    def _on_ahead(self) -> None:
        self._rooms.membership.ahead = self._rooms.configuration.ahead.done
        self._pulse.hurry()

    def _adopt(self, config: Config) -> None:
        rooms = self._rooms
        rooms.view.configure(config.cluster.clock_margin, config.cluster.grace)
        rooms.lifeline.extends = config.cluster.on_quorum_loss == "extend-known"
        rooms.membership.remember = longest_lifetime(config)
        self._gate.limit(config.limits)
        rooms.view.counts_circuits = config.limits.leases_per_circuit > 0

    def _on_fence(self, found: Sequence[KeyValue]) -> None:
        """A batch was refused as a whole: what the store says instead is news, maybe faster than the watch."""
        key = self._rooms.keys.config_current
        record = next((each for each in found if each.key == key), None)
        if record is not None and record.value is not None:
            self._rooms.configuration.notice(read_current(record.value), record.revision)
        self._pulse.refenced(found)

    def _on_drain(self, name: str, drained: bool) -> None:
        if name != self._rooms.name or self._stopping:
            return
        served = self._rooms.lifeline.ready()
        self._announce(f"drained; `everlease cluster resume {name}` ends it" if drained else "")
        self._gate.closed = drained and not served  # who has not begun hands nothing over
        if drained:
            self._leaving = asyncio.get_running_loop().create_task(self._hand_over())

    async def _hand_over(self) -> None:
        await self._until_told()
        self._gate.closed = bool(self._rooms.lifeline.draining)
        self._gate.shared = self._shared() if self._gate.closed else 0
        if self._gate.shared:
            asyncio.get_running_loop().call_later(LINGER, self._cease)

    def _shared(self) -> int:
        """The identifier, if others answer with it as well: nobody's but ours is not led elsewhere, wait as we may."""
        return self._identifier if self._rooms.membership.shares(self._identifier) else 0

    def _cease(self) -> None:
        self._gate.shared = 0

    def _announce(self, why: str) -> None:
        self._rooms.lifeline.draining = why
        self._rooms.lifeline.evaluate(self._rooms.clock.boot())
        self._pulse.hurry()

    async def _until_told(self) -> None:
        """The others know that this node leaves, or cannot be told."""
        for _ in range(int(TOLD_WITHIN / POLL)):
            mine = self._rooms.view.nodes.get(self._rooms.name)
            if mine is not None and mine.presence.state == DRAINING:
                break
            await asyncio.sleep(POLL)
        await asyncio.sleep(ANNOUNCED)

    async def drain(self) -> None:
        """Announce, let the others own the buckets, answer what is in flight, say goodbye."""
        rooms = self._rooms
        end = rooms.clock.boot() + LEAVE_WITHIN
        self._stopping, served = True, rooms.lifeline.ready()
        self._announce("asked to stop")
        if served:
            await self._until_told()
        self._gate.closed, self._gate.shared = True, self._shared()
        if self._gate.shared:
            await asyncio.sleep(LINGER)
            self._cease()
        await self._settle(end)
        rooms.lifeline.stopped = True
        rooms.lifeline.evaluate(rooms.clock.boot())
        self._pulse.send(rooms.clock.boot())
        await self._settle(end)

    async def _settle(self, end: float) -> None:
        committer = self._rooms.committer
        for _ in range(int((end - self._rooms.clock.boot()) / POLL)):
            if not committer.length:
                return
            await asyncio.sleep(POLL)


def prefixes_of(config: Config | None) -> list[tuple[str, int, int]]:
    """(space, first address, last address) of each subnet."""
    return [
        (subnet.space, subnet.prefix, subnet.prefix | (0xFFFFFFFF >> subnet.length if subnet.length < 32 else 0))
        for subnet in (config.subnets.values() if config else ())
    ]
