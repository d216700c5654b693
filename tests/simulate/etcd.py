"""A cluster of etcd members in one process: one history, and members that are slow, hung, cut off, full or gone.

Law: it may be as nasty as etcd is, and never nastier: what was answered is in the history for good (but for a restored
snapshot), one request has one revision, a watch tells complete revisions in order; everything else may happen. What
is decided by whom in raft is left out: a request commits where a leader has a majority, or waits, or is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.api import BadRequest, Compacted, KeyValue, Unavailable
from everlease.store.mvcc import Mvcc
from everlease.store.txn import MAX_TXN_OPS
from simulate import messages
from simulate.loop import SimulatedLoop
from simulate.members import HUNG, Answer, Call, Events, Member, Refused, Watcher

NO_LEADER: Final = (2.0, 4.0)
"""Seconds without a leader after which a member ends watches that ask for `hasleader`."""

ELECTION: Final = (1.0, 2.0)
"""Seconds without a leader until another one is elected: etcd's default timers."""

COMMIT: Final = (0.001, 0.004)
"""Seconds for an entry to reach a majority's disks."""

APPLY: Final = (0.0002, 0.002)
"""Seconds until another member has applied it, too."""


class Cluster:
    """members: by name. committed(revision, events with what was there before) is called at each commit."""

    def __init__(self, loop: SimulatedLoop, chance: Random, names: Iterable[str], nested_pass: bool = True) -> None:
        self.loop = loop
        self.chance = chance
        self.members = {name: Member(name, number + 1) for number, name in enumerate(names)}
        self.mvcc = Mvcc(MAX_TXN_OPS)
        self.id = 0xE7CD
        self.term = 1
        self.nested_pass = nested_pass
        self.leader: Member | None = next(iter(self.members.values()))
        self.committed: Callable[[int, Events], None] = lambda _revision, _events: None
        self.noted: Callable[[str], None] | None = None
        self._at_once: dict[str, Callable[[Member], Any]] = {
            "status": self._status,
            "disk": lambda member: (member.fsyncs, member.fsyncing, member.quota),
            "members": lambda _: frozenset(each.number for each in self.members.values()),
        }
        self._waiting: list[tuple[Member, Call]] = []
        self._limbo: list[tuple[Member, Call]] = []
        self._electing = False
        self._last = 0.0

    def note(self, words: str) -> None:
        """For the trace."""
        if self.noted is not None:
            self.noted(words)

    # --- raft, as far as it can be seen from outside --------------------------------------------------------------

    def reconsider(self) -> None:
        """Something about the members has changed: the leader may not lead any more, or one may be elected."""
        if self.leader is not None and not (self.leader.works and self._majority()):
            self.note(f"etcd: {self.leader.name} does not lead any more")
            self.leader = None
            for member in self.members.values():
                self._watch_for_leader(member)
        if self.leader is None and not self._electing and self._majority():
            self._electing = True
            self.loop.outside(self.chance.uniform(*ELECTION), self._elect)

    def _majority(self) -> bool:
        return 2 * sum(member.works for member in self.members.values()) > len(self.members)

    def _elect(self) -> None:
        self._electing = False
        able = [member for member in self.members.values() if member.works]
        if self.leader is None and 2 * len(able) > len(self.members):
            self.lead(self.chance.choice(able))

    def lead(self, member: Member) -> None:
        """Make a member the leader. What was proposed and not committed may be committed now, or is lost."""
        self.leader = member
        self.term += 1
        self.note(f"etcd: {member.name} leads, term {self.term}")
        limbo, self._limbo = self._limbo, []
        for where, call in limbo:
            if self.chance.random() < 0.5:
                self._commit(where, call)
        waiting, self._waiting = self._waiting, []
        for where, call in waiting:
            self._propose(where, call)

    def _watch_for_leader(self, member: Member) -> None:
        """`hasleader`: a member that knows of no leader ends its watches. One whose disk hangs knows nothing new."""
        self.loop.outside(self.chance.uniform(*NO_LEADER), self._end_leaderless, member)

    def _end_leaderless(self, member: Member) -> None:
        if self.lacks_leader(member) and not member.frozen:
            watchers, member.watchers = member.watchers, []
            for watcher in watchers:
                watcher.tell(Refused("UNAVAILABLE", "etcdserver: no leader"))

    def lacks_leader(self, member: Member) -> bool:
        """Whether it has noticed, or is about to, that it hears no leader."""
        return member.alive and member.disk < HUNG and (self.leader is None or member.apart)

    def separated(self, member: Member) -> None:
        """It hears no other member any more."""
        self._watch_for_leader(member)
        self.reconsider()

    # --- requests -------------------------------------------------------------------------------------------------

    def take(self, member: Member, call: Call) -> None:
        """A request has reached a member."""
        if not member.alive:
            call.answer(Refused("UNAVAILABLE", "connection refused"))
        elif member.frozen:
            member.backlog.append(call)
        elif call.kind in self._at_once:
            call.answer(self._at_once[call.kind](member))
        elif call.kind == "defragment":
            self._defragment(member, call)
        elif call.kind == "move":
            self._move(member, call)
        elif call.kind == "range" and member.stale_at:
            call.answer(self._read(call, member.stale_at))
        else:
            self._propose(member, call)

    def _propose(self, member: Member, call: Call) -> None:
        leader = self.leader
        if call.given_up or not member.alive:
            return
        if leader is None or not member.works:
            hung = call.kind == "txn" and member.alive and not member.apart and self.chance.random() < 0.5
            (self._limbo if hung else self._waiting).append((member, call))
            return
        delay = self.chance.uniform(*COMMIT) + (self._fsync() if call.kind != "range" else 0.0)
        self._last = at = max(self.loop.time() + delay, self._last)
        call.proposed = True
        self.loop.outside(at - self.loop.time(), self._arrive, leader, member, call)

    def _fsync(self) -> float:
        """A leader writes its own entry beside sending it, and etcd 3.4 tells its clients when it has it, too."""
        assert self.leader is not None
        others = sorted(member.disk for member in self.members.values() if member.works and member is not self.leader)
        needed = len(self.members) // 2
        return max(self.leader.disk, others[needed - 1] if needed else 0.0)

    def _arrive(self, leader: Member, member: Member, call: Call) -> None:
        if self.leader is None:  # it fell while the entry was on its way: maybe a majority has it, maybe not
            self._limbo.append((member, call))
        elif self.leader is not leader and self.chance.random() < 0.5:
            return  # the next leader did not have it
        elif call.kind == "range":
            self._tell(member, call, self._read(call, self.mvcc.revision))
        else:
            self._commit(member, call)

    def _commit(self, member: Member, call: Call) -> None:
        if call.kind == "compact":
            self._tell(member, call, self._compact(call.request))
        elif call.kind == "txn":
            self._tell(member, call, self._txn(member, call.request))
        elif call.kind == "disarm":
            self._disarm(call.request)
            self._tell(member, call, None)
        elif call.kind == "range":
            self._tell(member, call, self._read(call, self.mvcc.revision))

    def _tell(self, member: Member, call: Call, answer: Any) -> None:
        """The member answers when it has applied the entry; one that is stopped by then, when it runs again."""
        lag = 0.0 if member is self.leader else self.chance.uniform(*APPLY) + min(member.disk, 5.0)
        self.loop.outside(lag, self._tell_now, member, call, answer)

    def _tell_now(self, member: Member, call: Call, answer: Any) -> None:
        if member.alive and not member.frozen:
            call.answer(answer)

    def _txn(self, member: Member, request: bytes) -> Any:
        if self._lacks_space(member, request):
            return Refused("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded")
        before = self.mvcc.revision
        try:
            answer = self.mvcc.txn(request)
        except BadRequest as bad:
            return Refused("INVALID_ARGUMENT", str(bad))
        self._head(self.mvcc.revision).fill(answer.header)
        if self.mvcc.revision > before:
            self._written()
        return answer.SerializeToString()

    def _written(self) -> None:
        mvcc = self.mvcc
        events = messages.since(mvcc.log, mvcc.revision)
        self.committed(mvcc.revision, [(event, mvcc.at(event.key, mvcc.revision - 1)) for event in events])
        for member in self.members.values():
            lag = 0.0 if member is self.leader else self.chance.uniform(*APPLY) + min(member.disk, 5.0)
            self.loop.outside(lag, self._apply, member, mvcc)
            member.fsyncs, member.fsyncing = member.fsyncs + 1, member.fsyncing + min(member.disk, 5.0) + 0.002

    def _lacks_space(self, member: Member, request: bytes) -> bool:
        """A member over its quota refuses what it is asked itself; what comes by another one it applies, and raises
        its alarm, which stops the puts of all."""
        over = [each for each in self.members.values() if each.full or each.size >= each.quota]
        if not over or not messages.puts(pb.TxnRequest.FromString(request), self.nested_pass):
            return False
        if member in over:
            member.full = True
        for each in over:
            self.loop.outside(self.chance.uniform(0.002, 0.02), self._raise, each)
        return self.alarmed()

    def _raise(self, member: Member) -> None:
        if member.works and member.size >= member.quota and not member.full:
            member.full = True
            self.note(f"etcd: {member.name} raises its alarm")

    def _compact(self, request: pb.CompactionRequest) -> Any:
        try:
            self.mvcc.compact(request.revision)
        except (Compacted, Unavailable) as refused:
            return Refused("OUT_OF_RANGE", f"etcdserver: {refused}")
        self.note(f"etcd: compacted to {request.revision}")
        for member in self.members.values():
            member.in_use = min(member.in_use, 100 << 20)
        answer = pb.CompactionResponse()
        self._head(self.mvcc.revision).fill(answer.header)
        return answer

    def _status(self, member: Member) -> pb.StatusResponse:
        leader = 0
        if not self.lacks_leader(member):
            leader = self.leader.number if self.leader is not None else member.number
        full = [each.number for each in self.members.values() if each.full]
        return messages.status(member, self._head(member.applied), leader, full)

    def _defragment(self, member: Member, call: Call) -> None:
        """The member answers nobody while it rewrites its database."""
        self.note(f"etcd: {member.name} is defragmented")
        self.freeze(member)

        def end() -> None:
            if member.alive:
                member.size = member.in_use
                call.answer(None)
            if member.frozen:
                self.thaw(member)

        self.loop.outside(self.chance.uniform(0.1, 0.8), end)

    def _disarm(self, number: int) -> None:
        for member in self.members.values():
            if member.number == number and member.full:
                member.full = False
                self.note(f"etcd: the alarm of {member.name} is disarmed")

    def _move(self, member: Member, call: Call) -> None:
        target = next((each for each in self.members.values() if each.number == call.request), None)
        if member is not self.leader or target is None or not target.works:
            call.answer(Refused("FAILED_PRECONDITION", "etcdserver: not leader"))
            return
        self.lead(target)
        call.answer(None)

    def _read(self, call: Call, revision: int) -> Any:
        return messages.read(self.mvcc, call.request, self._head(revision))

    def _head(self, revision: int) -> messages.Head:
        return messages.Head(self.id, revision, self.term)

    def alarmed(self) -> bool:
        """One full member stops the puts of all (F7)."""
        return any(member.full for member in self.members.values())

    # --- watches --------------------------------------------------------------------------------------------------

    def watch(self, member: Member, request: pb.WatchCreateRequest, tell: Answer) -> Watcher | None:
        """Begin one; `tell` gets WatchResponses, or Refused at its end. None: not begun."""
        if not member.alive:
            tell(Refused("UNAVAILABLE", "connection refused"))
            return None
        if member.frozen:
            return None
        created = pb.WatchResponse(created=True)
        self._head(member.applied).fill(created.header)
        tell(created)
        start = request.start_revision or member.applied + 1
        watcher = Watcher(request.key, request.range_end, start, tell)
        member.watchers.append(watcher)
        self._feed(member, watcher)
        if self.lacks_leader(member):
            self._watch_for_leader(member)
        return watcher

    def _apply(self, member: Member, mvcc: Mvcc) -> None:
        if mvcc is not self.mvcc or not member.works:
            return
        member.applied = mvcc.revision
        member.stale_at = 0
        for watcher in list(member.watchers):
            self._feed(member, watcher)

    def _feed(self, member: Member, watcher: Watcher) -> None:
        """Tell a watcher all that its member has applied by now."""
        if watcher.stuck or watcher.next > member.applied:
            return
        if watcher.next < self.mvcc.compacted:
            cancelled = pb.WatchResponse(canceled=True, compact_revision=self.mvcc.compacted)
            watcher.tell(cancelled)
            self.end(watcher)
            return
        events = [
            each
            for each in messages.since(self.mvcc.log, watcher.next)
            if each.revision <= member.applied and watcher.start <= each.key < watcher.end
        ]
        watcher.next = member.applied + 1
        if events:
            for part, more in self._fragments(events):
                watcher.tell(messages.news(part, more, self._head(member.applied)))

    def _fragments(self, events: list[KeyValue]) -> Iterable[tuple[list[KeyValue], bool]]:
        if len(events) > 1 and self.chance.random() < 0.2:
            cut = self.chance.randrange(1, len(events))
            return ((events[:cut], True), (events[cut:], False))
        return ((events, False),)

    def end(self, watcher: Watcher) -> None:
        """It is not told any more."""
        for member in self.members.values():
            if watcher in member.watchers:
                member.watchers.remove(watcher)

    # --- what happens to members ----------------------------------------------------------------------------------

    def kill(self, member: Member) -> None:
        """kill -9: connections break, what was on its way to it is lost."""
        member.alive = False
        for watcher in member.watchers:
            watcher.tell(Refused("UNAVAILABLE", "connection reset"))
        member.watchers.clear()
        member.backlog.clear()
        self.reconsider()

    def start(self, member: Member) -> None:
        """It is back, and catches up."""
        member.alive = True
        self.catch_up(member)

    def freeze(self, member: Member) -> None:
        """SIGSTOP, or a machine that hangs: connections stay, nothing answers."""
        member.frozen = True
        self.reconsider()

    def thaw(self, member: Member) -> None:
        """SIGCONT: what came in meanwhile is read now; what its sender gave up on may be done all the same."""
        member.frozen = False
        backlog, member.backlog = member.backlog, []
        member.stale_at = member.applied  # reads that came before are answered as of then (etcd issue 20418)
        for call in backlog:
            self.comes_late(call)
            if not call.given_up:
                self.take(member, call)
        self.catch_up(member)

    def comes_late(self, call: Call) -> None:
        """A request and the news that its client has given it up come at once: it may be done all the same."""
        if call.kind == "txn" and self.chance.random() < 0.5:
            call.given_up = False

    def catch_up(self, member: Member) -> None:
        """It hears the others again."""
        self.reconsider()
        if self.leader is not None and member.works:
            mine = [each for each in self._waiting if each[0] is member]
            self._waiting = [each for each in self._waiting if each[0] is not member]
            for _, call in mine:
                self._propose(member, call)
        self.loop.outside(self.chance.uniform(0.01, 0.2), self._apply, member, self.mvcc)

    def restore(self, revision: int, cluster: int) -> None:
        """Every member begins again from a snapshot as of `revision`; cluster: the id from now on."""
        self.mvcc = self.mvcc.upto(revision)
        self.id = cluster
        self._waiting.clear()
        self._limbo.clear()
        for member in self.members.values():
            self.kill(member)
            member.applied = revision
            member.full = False
