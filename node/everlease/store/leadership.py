"""Who leads etcd, as its members say themselves.

Law: only a higher term is news: a member that hangs or was cut off goes on naming a leader that is none any more.
Whoever waits for a proposal that went to the old leader waits in vain: nobody else knows of it. Pure.
"""

from __future__ import annotations

from everlease.pb.etcd.v1 import etcd_pb2 as pb


class Leadership:
    """term: the highest one in which somebody is known to lead, 0 = not heard of yet."""

    __slots__ = ("_leader", "_named", "_names", "term")

    def __init__(self) -> None:
        self.term = 0
        self._leader = 0
        self._names: dict[int, str] = {}
        self._named: dict[str, int] = {}

    @property
    def leader(self) -> str:
        """The member that leads; "" when it is none of those that have been heard."""
        return self._names.get(self._leader, "")

    def heard(self, member: str, status: pb.StatusResponse) -> bool:
        """What a member said of itself. True: it names a newer leader than before, and none newer is known."""
        self._names[status.header.member_id] = member
        if not status.leader or status.raft_term < self.term:
            return False
        self.term, self._leader = status.raft_term, status.leader
        before, self._named[member] = self._named.get(member, 0), self.term
        return before < self.term
