"""An upkeep that says what a test wrote down, and writes down what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from everlease.store.api import Unavailable
from everlease.store.snapshots import Sink
from everlease.store.upkeep import Disk, MemberStatus


@dataclass
class Scripted:
    """statuses, disks: by endpoint, what is not there does not answer; failure: raised by everything that acts."""

    statuses: dict[str, MemberStatus] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)
    ids: frozenset[int] = frozenset()
    failure: Exception | None = None
    done: list[tuple[object, ...]] = field(default_factory=list)

    def _do(self, *what: object) -> None:
        self.done.append(what)
        if self.failure is not None:
            raise self.failure

    async def status(self, endpoint: str, deadline: float) -> MemberStatus:
        if endpoint not in self.statuses:
            raise Unavailable(endpoint)
        return self.statuses[endpoint]

    async def disk(self, endpoint: str, deadline: float) -> Disk:
        if endpoint not in self.disks:
            raise Unavailable(endpoint)
        return self.disks[endpoint]

    async def members(self, endpoint: str, deadline: float) -> frozenset[int]:
        return self.ids

    async def compact(self, endpoint: str, revision: int, deadline: float) -> None:
        self._do("compact", revision)

    async def defragment(self, endpoint: str, deadline: float) -> None:
        self._do("defragment", endpoint)

    async def disarm(self, endpoint: str, member: int, deadline: float) -> None:
        self._do("disarm", member)

    async def move_leader(self, leader: str, target: int, deadline: float) -> None:
        self._do("move", leader, target)

    async def snapshot(self, endpoint: str, sink: Sink, name: str) -> int:
        raise Unavailable(endpoint)

    def close(self) -> None:
        """Nothing."""
