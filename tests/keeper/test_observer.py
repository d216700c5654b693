"""What the keeper sees: looks at scripted members through an in-memory store."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from admin.furnished import furnish
from everlease.runtime.keeper import Keeper
from everlease.runtime.keeper.facts import Facts
from everlease.runtime.keeper.observer import DISKS_EVERY, OLD, Observer
from everlease.store.api import BatchResult, NoSpace, StoreError, Unavailable
from everlease.store.keeping import Tenure, encode
from everlease.store.memory import MemoryStore
from everlease.store.txn import Leaf, single
from everlease.store.upkeep import Disk, MemberStatus
from keeper.scripted import Scripted

MIB = 1 << 20


class Members(MemoryStore):
    """One state behind three endpoints; each takes its time, or fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.takes = {"a": 0.004, "b": 0.004, "c": 0.004}
        self.failures: dict[str, StoreError] = {}

    def rank(self) -> list[str]:
        return list(self.takes)

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        name = member or "a"
        if name in self.failures:
            raise self.failures[name]
        self.now += self.takes[name]
        return await super().batch(request, deadline, name)


def status(endpoint: str, number: int, **more: object) -> MemberStatus:
    usual = MemberStatus(endpoint, number, "3.4.23", 100 * MIB, 60 * MIB, 0, 1, 500, 300)
    return replace(usual, **more)  # type: ignore[arg-type]


class Scene:
    """Three members; number 1, behind endpoint a, leads."""

    def __init__(self) -> None:
        self.store = Members()
        self.upkeep = Scripted(ids=frozenset({1, 2, 3}))
        self.upkeep.statuses = {name: status(name, number) for number, name in enumerate("abc", 1)}
        self.observer = Observer(self.store, self.upkeep, lambda: self.store.now)

    async def look(self, *, closely: bool = False) -> Facts:
        return await self.observer.look(closely=closely)


async def test_a_look_tells_every_member_who_leads_and_how_long_commits_took() -> None:
    scene = Scene()
    facts = await scene.look()
    assert [(member.endpoint, member.id, member.leads, member.answers) for member in facts.members] == [
        ("a", 1, True, True),
        ("b", 2, False, True),
        ("c", 3, False, True),
    ]
    assert all(member.commits == pytest.approx((0.004,), abs=0.01) for member in facts.members)
    assert (facts.ids, facts.head) == (frozenset({1, 2, 3}), 300)
    assert facts.now - facts.proved_at < 0.1


async def test_a_member_that_does_not_commit_does_not_answer_whatever_its_status_says() -> None:
    scene = Scene()
    await scene.look()
    scene.store.failures["b"] = Unavailable("DEADLINE_EXCEEDED")
    facts = await scene.look()
    assert [member.answers for member in facts.members] == [True, False, True]
    assert facts.members[1].commits == ()


async def test_a_member_that_says_that_it_is_full_has_answered_and_proves_nothing() -> None:
    scene = Scene()
    for name in "abc":
        scene.store.failures[name] = NoSpace("mvcc: database space exceeded")
    facts = await scene.look()
    assert all(member.answers and not member.commits for member in facts.members)
    assert facts.proved_at < 0


async def test_a_member_that_never_answered_is_there_without_an_id() -> None:
    scene = Scene()
    del scene.upkeep.statuses["c"]
    facts = await scene.look()
    assert (facts.members[2].endpoint, facts.members[2].id, facts.members[2].answers) == ("c", 0, False)


async def test_two_endpoints_of_one_member_are_one_member() -> None:
    scene = Scene()
    scene.upkeep.statuses["c"] = status("c", 2)
    scene.store.failures["b"] = Unavailable("b")
    facts = await scene.look()
    assert [(member.endpoint, member.id, member.answers) for member in facts.members] == [
        ("a", 1, True),
        ("c", 2, True),
    ]


async def test_alarms_are_those_of_the_member_that_has_applied_most() -> None:
    scene = Scene()
    raised = frozenset({(3, "NOSPACE")})
    scene.upkeep.statuses["b"] = status("b", 2, applied=400, alarms=raised)
    assert (await scene.look()).full() == frozenset()
    scene.upkeep.statuses["b"] = status("b", 2, applied=600, alarms=raised)
    assert (await scene.look()).full() == {3}


async def test_a_quota_is_measured_then_told_then_configured() -> None:
    scene = Scene()
    scene.observer.quota = 700 * MIB
    scene.upkeep.disks["a"] = Disk(1, 0.001, 900 * MIB)
    scene.upkeep.statuses["a"] = status("a", 1, quota=5)
    scene.upkeep.statuses["b"] = status("b", 2, quota=800 * MIB)
    facts = await scene.look()
    assert [member.quota // MIB for member in facts.members] == [900, 800, 700]
    assert facts.quota == 700 * MIB
    assert facts.fullness == pytest.approx(100 / 700)


async def test_disks_are_read_at_every_look_only_while_commits_are_slow() -> None:
    scene = Scene()
    scene.upkeep.disks["a"] = Disk(100, 0.2)
    await scene.look()
    scene.upkeep.disks["a"] = Disk(110, 3.2)
    assert (await scene.look()).members[0].fsync is None
    assert (await scene.look(closely=True)).members[0].fsync == pytest.approx(0.3)
    scene.store.now += DISKS_EVERY
    scene.upkeep.disks["a"] = Disk(120, 3.3)
    assert (await scene.look()).members[0].fsync == pytest.approx(0.01)


async def test_a_disk_that_did_nothing_or_a_member_that_was_started_again_is_not_measured_wrongly() -> None:
    scene = Scene()
    for disk in (Disk(100, 0.2), Disk(110, 3.2), Disk(110, 3.2)):
        scene.upkeep.disks["a"] = disk
        facts = await scene.look(closely=True)
    assert facts.members[0].fsync == pytest.approx(0.3)
    scene.upkeep.disks["a"] = Disk(5, 0.01)
    assert (await scene.look(closely=True)).members[0].fsync is None


async def test_old_commits_say_nothing_and_those_of_another_leader_neither() -> None:
    scene = Scene()
    for _ in range(3):
        facts = await scene.look()
    assert len(facts.members[0].commits) == 3
    scene.store.now += OLD
    assert len((await scene.look()).members[0].commits) == 1
    scene.observer.moved()
    assert len((await scene.look()).members[0].commits) == 1


# --- a whole turn -----------------------------------------------------------------------------------------------------


class Full(MemoryStore):
    """Refuses every put until its alarm was taken back, nested ones too, as newer versions of etcd do."""

    room = False

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        if b"holder" in request and not self.room:
            raise NoSpace("mvcc: database space exceeded")
        return await super().batch(request, deadline, member)


async def test_an_office_that_fell_vacant_while_puts_are_refused_is_taken_all_the_same() -> None:
    store = Full()
    rooms = furnish(store=store)
    stale = encode(Tenure("dead", "gone", 7, moves=((rooms.clock.now() - 30, 9),)))
    store.room = True
    await store.batch(single(Leaf({}, [(rooms.keys.keeper + b"holder", stale)])), 1.0)
    store.room = False
    now = [1000.0]
    rooms.clock.boot = lambda: now[0]
    upkeep = Scripted(ids=frozenset({1}))
    upkeep.statuses["memory"] = status("memory", 1, alarms=frozenset({(1, "NOSPACE")}))
    disarm = upkeep.disarm

    async def disarmed(endpoint: str, member: int, deadline: float) -> None:
        await disarm(endpoint, member, deadline)
        store.room = True

    upkeep.disarm = disarmed  # type: ignore[method-assign]
    keeper = Keeper(rooms, upkeep)
    await keeper.turn()
    assert not rooms.condition.mine
    now[0] += 10
    await keeper.turn()
    assert rooms.condition.mine
    assert upkeep.done[:2] == [("compact", 300), ("disarm", 1)]
    await keeper.turn()
    assert rooms.condition.trouble.startswith("memory has used up its quota")
    await keeper.close()


class FullFirst(Full):
    """The member that is asked first is the full one: it refuses for itself, also when its alarm was taken back."""

    def rank(self) -> list[str]:
        return ["full", "roomy"]

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        if b"holder" in request and member != "roomy":
            raise NoSpace("mvcc: database space exceeded")
        return await super().batch(request, deadline, member)


async def test_a_vacant_office_is_taken_through_a_member_that_has_room() -> None:
    store = FullFirst()
    rooms = furnish(store=store)
    upkeep = Scripted(ids=frozenset({1, 2}))
    upkeep.statuses = {
        "full": status("full", 1, size=2000 * MIB, alarms=frozenset({(1, "NOSPACE")})),
        "roomy": status("roomy", 2, alarms=frozenset({(1, "NOSPACE")})),
    }
    disarm = upkeep.disarm

    async def disarmed(endpoint: str, member: int, deadline: float) -> None:
        await disarm(endpoint, member, deadline)
        store.room = True

    upkeep.disarm = disarmed  # type: ignore[method-assign]
    keeper = Keeper(rooms, upkeep)
    await keeper.turn()
    assert rooms.condition.mine
    await keeper.close()


async def test_what_fails_is_counted_and_tried_ever_more_rarely() -> None:
    rooms = furnish()
    now = [1000.0]
    rooms.clock.boot = lambda: now[0]
    upkeep = Scripted(ids=frozenset({1}), failure=Unavailable("PERMISSION_DENIED"))
    upkeep.statuses["memory"] = status("memory", 1, alarms=frozenset({(1, "NOSPACE")}))
    keeper = Keeper(rooms, upkeep)
    tries = []
    for _ in range(60):
        before = len(upkeep.done)
        await keeper.turn()
        await keeper.idle()
        if len(upkeep.done) > before:
            tries.append(now[0])
        now[0] += 1
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 16
    assert rooms.counters.upkeep["compact", "failed"] == len(tries)
    await keeper.close()
