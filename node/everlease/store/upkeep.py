"""What the keeper asks of etcd, and what it gets back: values and a protocol (`store.maintenance` is the real one).

Law: nothing here serves a client, and nothing here is repeated by itself; every call has a deadline in seconds, goes to
one named endpoint, and raises Unavailable when its outcome is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from everlease.store.snapshots import Sink

NOSPACE = "NOSPACE"
"""The alarm of a member whose quota is used up: it refuses the writes of the whole cluster until it is disarmed."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member's own words. size, in_use, quota: bytes of its database, 0 = not told (quota: etcd 3.6 and newer).

    leader: member id, 0 = none; applied: raft entries; revision: of its newest write; alarms: (member id, kind) of all
    members.
    """

    endpoint: str
    id: int
    version: str
    size: int
    in_use: int
    quota: int
    leader: int
    applied: int
    revision: int
    learner: bool = False
    alarms: frozenset[tuple[int, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """A member as the cluster's list has it; name "" = it has never been started."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disk:
    """What a member's /metrics say of its disk. fsyncs: how many of its log since it started, and their seconds.

    quota: bytes, 0 = not told.
    """

    fsyncs: float
    seconds: float
    quota: int = 0


class Upkeep(Protocol):
    """Calls to named endpoints. Every method may raise Unavailable; nothing else unless it says so."""

    async def status(self, endpoint: str, deadline: float) -> MemberStatus:
        """How the member at this endpoint is; answered also by one that cannot commit."""

    async def disk(self, endpoint: str, deadline: float) -> Disk:
        """What the member measured of its disk."""

    async def members(self, endpoint: str, deadline: float) -> frozenset[int]:
        """The ids of everybody in the cluster, learners too."""

    async def roster(self, endpoint: str, deadline: float) -> tuple[MemberInfo, ...]:
        """The cluster's list of members, learners too."""

    async def alarms(self, endpoint: str, deadline: float) -> tuple[tuple[int, str], ...]:
        """What members have raised: (id, NOSPACE or CORRUPT)."""

    async def compact(self, endpoint: str, revision: int, deadline: float) -> None:
        """Forget what was before `revision`, and wait until the space may be used again. Raises Compacted."""

    async def defragment(self, endpoint: str, deadline: float) -> None:
        """Give back what is not in use; the member answers nobody meanwhile."""

    async def disarm(self, endpoint: str, member: int, deadline: float) -> None:
        """Take back the NOSPACE alarm of a member (id)."""

    async def move_leader(self, leader: str, target: int, deadline: float) -> None:
        """Ask the member that leads (endpoint) to hand over to another (id)."""

    async def snapshot(self, endpoint: str, sink: Sink, name: str) -> int:
        """Stream the database as it is now into a sink, under a name; its bytes. Raises OSError of the sink, too."""

    def close(self) -> None:
        """Take no more work, and end what is on its way."""
