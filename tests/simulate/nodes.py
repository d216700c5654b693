"""Everlease nodes as processes of the simulation: `everlease.node` as it is, but for sockets, threads and admin API.

Law: everything that a node does runs in its `Owner`'s context, so that it can be stopped and killed; what it has sent
by then is on its way.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import cast

from everlease.config.aside import Aside
from everlease.config.load import load
from everlease.core.model import Config
from everlease.errors import ConfigError, StoreError
from everlease.node import Host, Node
from everlease.runtime.clock import ClusterClock
from everlease.runtime.counters import Counters
from everlease.settings import Settings
from everlease.store.etcd import EtcdStore
from everlease.store.upkeep import Upkeep
from simulate.channel import Path, connect
from simulate.loop import Owner
from simulate.upkeep import SimulatedUpkeep
from simulate.wires import Endpoint, Relay, Wire
from simulate.world import EPOCH, Clocks, World

RESTARTS_AFTER = 0.5
"""Seconds until the service manager starts again what has ended."""


class Compiler:
    """`config.aside.Aside` without a process."""

    async def load(self, text: str, *, revision: int = 0, mod_revision: int = 0) -> Config:
        config: Config = pickle.loads(_compiled(text))
        object.__setattr__(config, "revision", revision)
        object.__setattr__(config, "mod_revision", mod_revision)
        return config

    async def close(self) -> None:
        """Nothing to end."""


@lru_cache(64)
def _compiled(text: str) -> bytes:
    return pickle.dumps(load(text))


class Machine:
    """A host with one node: its clocks, its place on each wire, and the process that runs now."""

    def __init__(self, world: World, name: str, addresses: Mapping[Wire, tuple[int, int]]) -> None:
        self.world = world
        self.name = name
        self.clocks = Clocks(boot=world.chance.uniform(10, 1e5), wall=world.chance.uniform(-0.1, 0.1))
        self.runs = 0
        self.sent: Callable[[Endpoint, bytes], None] = lambda _endpoint, _payload: None
        self.node: Node | None = None
        self.owner: Owner | None = None
        self.endpoints: dict[str, Endpoint] = {}
        self.down: set[str] = set()
        self.keeps = True
        self._addresses = addresses
        self._paths = {member: world.path(name, member) for member in world.etcd.members}

    @property
    def paths(self) -> list[Path]:
        """Its ways to the members of etcd."""
        return list(self._paths.values())

    @property
    def addresses(self) -> list[int]:
        """Its own, on every wire."""
        return [address for address, _ in self._addresses.values()]

    @property
    def state(self) -> str:
        """What the node says of itself; "dead" without a process."""
        if self.node is None or self.owner is None or self.owner.dead:
            return "dead"
        return "frozen" if self.owner.frozen else self.node.rooms.lifeline.state

    def view(self) -> dict[int, tuple[bytes, int, int]]:
        """What the node believes: (client, end, state) by address."""
        assert self.node is not None
        rows = self.node.rooms.view.rows("default")
        return {address: (row.client, row.expires_at, row.state) for address, row in rows.items()}

    def used_in_the_end(self) -> int:
        """Addresses that the node would not give away when everything on record has long ended."""
        assert self.node is not None
        view = self.node.rooms.view
        while view.advance(EPOCH + self.world.now + 1e6):
            pass
        return sum(view.used(subnet) for subnet in (1, 2))

    def boot(self) -> float:
        return self.world.now + self.clocks.boot

    def wall(self) -> float:
        return EPOCH + self.world.now + self.clocks.error(self.world.now)

    # --- the process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a process, unless one is there."""
        if self.owner is not None and not self.owner.dead:
            return
        self.runs += 1
        self.owner = Owner(self.name)
        self.world.note(f"{self.name}: started, run {self.runs}")
        self.world.loop.call_soon(self._furnish, self.owner, context=self.owner.context)

    def _furnish(self, owner: Owner) -> None:
        world = self.world
        clock = ClusterClock(self.boot, self.wall)
        store = EtcdStore(list(self._paths), connect=connect(self._paths), clock=world.loop.time)
        upkeep = SimulatedUpkeep(self._paths) if self.keeps else None
        host = Host(store, clock, cast(Aside, Compiler()), f"{self.name}-{self.runs}", cast(Upkeep | None, upkeep))
        settings = Settings(name=self.name, etcd=tuple(self._paths), listens=((1, 67),))
        node = self.node = Node(settings, Counters(), host)
        node.rooms.lifeline.told.append(lambda state, reason: world.note(f"{self.name}: {state} ({reason})"))
        self._plug_in(node)
        world.loop.create_task(self._live(node, owner))

    def _plug_in(self, node: Node) -> None:
        for wire, (address, length) in self._addresses.items():
            label = None if isinstance(wire, Relay) else wire.name
            endpoint = Endpoint(self.name, label, address, length, wire, self.boot, self._ring, self.sent)
            old = self.endpoints.get(wire.name)
            if old is not None:
                endpoint.deaf, endpoint.mute, old.dead = old.deaf, old.mute, True
            self.endpoints[wire.name] = wire.nodes[self.name] = endpoint
        self.tell_links()

    def tell_links(self) -> None:
        """What the kernel says of carrier reaches the node."""
        if self.node is None:
            return
        links: dict[str, list[int]] = {}
        places: dict[str, str] = {}
        for wire, (address, _) in self._addresses.items():
            place = "" if isinstance(wire, Relay) else wire.name
            if place:
                places[place] = place
            if wire.name not in self.down:
                links.setdefault(place, []).append(address)
        self.node.rooms.membership.serve(links, places)
        self.node.pulse.hurry()

    def _ring(self, endpoint: Endpoint) -> None:
        node, owner = self.node, self.owner
        if node is not None and owner is not None:
            self.world.loop.call_soon(node.rooms.responder.drain, endpoint, context=owner.context)

    async def _live(self, node: Node, owner: Owner) -> None:
        try:
            await node.join(None)
            self.world.note(f"{self.name}: joined")
            await node.until_stopped()
        except (ConfigError, StoreError) as told:
            self.world.note(f"{self.name}: ends: {told}")
        await node.close()
        self.kill()
        self.world.loop.outside(RESTARTS_AFTER, self.start)

    def kill(self) -> None:
        """kill -9, or the end of the process."""
        if self.owner is not None:
            self.world.loop.kill(self.owner)
        for endpoint in self.endpoints.values():
            endpoint.dead = True
        for path in self.paths:
            for watch in list(path.watches):
                watch.cancel()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.owner is not None and not self.owner.dead:
            self.world.loop.freeze(self.owner)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.owner is not None and self.owner.frozen:
            self.world.loop.thaw(self.owner)
