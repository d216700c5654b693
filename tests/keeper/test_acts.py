"""The keeper's hands on an in-memory store: the fence, and puts while puts are refused."""

from __future__ import annotations

import pytest

from everlease.runtime.clock import ClusterClock
from everlease.runtime.keeper.acts import ABANDONED, LATE, NOTHING, Acts
from everlease.runtime.keeper.facts import Compact, Defragment, MoveLeader
from everlease.store.api import BatchResult, Compacted, NoSpace, Unavailable
from everlease.store.keeping import Stopped, decode, encode
from everlease.store.memory import MemoryStore
from everlease.store.txn import Leaf, single
from everlease.store.upkeep import MemberStatus
from keeper.looks import look, member
from keeper.scripted import Scripted

KEY = b"/everlease/x/keeper/stopped"
FACTS = look()
STEP = Defragment(FACTS.members[2], 40.0)


class Town:
    """One store, one clock, and keepers on it."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.hands = Scripted()
        self.now = 1000.0
        self.clock = ClusterClock(lambda: self.now, lambda: self.now)

    def acts(self, name: str = "n1") -> Acts:
        return Acts((name, f"{name}-boot"), self.store, self.hands, KEY, self.clock)

    async def fence(self) -> Stopped | None:
        page = await self.store.get_range(KEY, KEY + b"\0")
        return decode(Stopped, page.records[0].value) if page.records else None

    async def leave_fence(self, name: str) -> None:
        """As a process that was killed leaves it."""
        await self.store.batch(single(Leaf({}, [(KEY, encode(Stopped(2, name, "gone", 0.0)))])), 1.0)


async def test_the_fence_names_the_member_while_it_is_stopped_and_is_gone_afterwards() -> None:
    town, seen = Town(), []

    async def stop(endpoint: str, deadline: float) -> None:
        seen.append((endpoint, await town.fence()))

    town.hands.defragment = stop  # type: ignore[method-assign]
    await town.acts().defragment(STEP, FACTS)
    ((endpoint, fence),) = seen
    assert endpoint == "m3"
    assert fence is not None
    assert (fence.member, fence.node) == (3, "n1")
    assert await town.fence() is None


async def test_only_one_member_is_stopped_at_a_time_by_two_keepers() -> None:
    town, refused = Town(), []

    async def stop(endpoint: str, deadline: float) -> None:
        with pytest.raises(Unavailable, match="already"):
            await town.acts("n2").defragment(STEP, FACTS)
        refused.append(endpoint)

    town.hands.defragment = stop  # type: ignore[method-assign]
    await town.acts("n1").defragment(STEP, FACTS)
    assert refused == ["m3"]


async def test_the_fence_goes_also_when_the_member_refused() -> None:
    town = Town()
    town.hands.failure = Unavailable("permission denied")
    with pytest.raises(Unavailable, match="permission"):
        await town.acts().defragment(STEP, FACTS)
    assert await town.fence() is None


class Deaf(MemoryStore):
    """A member of it does not answer."""

    deaf = False

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        if self.deaf and member is not None:
            raise Unavailable(member)
        return await super().batch(request, deadline, member)


async def test_the_fence_stays_while_the_stopped_member_does_not_answer() -> None:
    store = Deaf()
    town = Town(store)

    async def stop(endpoint: str, deadline: float) -> None:
        store.deaf = True
        raise Unavailable("no answer within 40 s")

    town.hands.defragment = stop  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await town.acts().defragment(STEP, FACTS)
    assert await town.fence() is not None


async def test_a_fence_that_was_left_behind_is_taken_away_after_a_while_if_every_member_answers() -> None:
    town = Town()
    await town.leave_fence("n9")
    acts = town.acts()

    async def attempt(facts: object = FACTS) -> bool:
        try:
            await acts.defragment(STEP, facts)  # type: ignore[arg-type]
        except Unavailable:
            return False
        return True

    assert not await attempt()
    town.now += ABANDONED - 1
    assert not await attempt()
    assert await town.fence() is not None
    assert not await attempt(look(member(2, answers=False)))
    town.now += 1
    assert not await attempt(look(member(2, answers=False)))  # it may be the one that is being stopped
    assert await town.fence() is not None
    assert not await attempt()  # takes it away
    assert await town.fence() is None
    assert await attempt()


async def test_a_process_that_was_stopped_on_its_way_stops_nobody() -> None:
    class Frozen(MemoryStore):
        async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
            answer = await super().batch(request, deadline, member)
            town.now += LATE + 1
            return answer

    town = Town(Frozen())
    with pytest.raises(Unavailable, match="was stopped"):
        await town.acts().defragment(STEP, FACTS)
    assert town.hands.done == []
    assert await town.fence() is None


class Full(MemoryStore):
    """Refuses puts until its alarm was taken back; as newer versions of etcd do with nested ones, too."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 0

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        if b"stopped" in request and self.room <= 0 and b"n1-boot" in request:
            raise NoSpace("mvcc: database space exceeded")
        self.room -= 1
        return await super().batch(request, deadline, member)


async def test_the_fence_is_put_in_the_moment_after_an_alarm_was_taken_back() -> None:
    store = Full()
    town = Town(store)
    disarm = town.hands.disarm

    async def disarmed(endpoint: str, member: int, deadline: float) -> None:
        await disarm(endpoint, member, deadline)
        store.room = 1 if len(town.hands.done) > 1 else 0  # the first time the alarm was faster

    town.hands.disarm = disarmed  # type: ignore[method-assign]
    await town.acts().defragment(STEP, look(full=(3,)))
    assert town.hands.done == [("disarm", 3), ("disarm", 3), ("defragment", "m3")]


async def test_a_leader_that_hands_over_and_does_not_say_so_has_handed_over() -> None:
    town = Town()
    town.hands.failure = Unavailable("no answer within 5 s")
    step = MoveLeader(FACTS.members[0], FACTS.members[1], "it is slow")
    with pytest.raises(Unavailable):
        await town.acts().move(step)
    town.hands.statuses["m2"] = MemberStatus("m2", 2, "3.4.23", 1, 1, 0, 2, 7, 7)
    await town.acts().move(step)
    assert town.hands.done == [("move", "m1", 2)] * 2


async def test_what_another_has_compacted_is_compacted() -> None:
    town = Town()
    town.hands.failure = Compacted("OUT_OF_RANGE: compacted")
    await town.acts().compact(Compact(7, "every minute"), FACTS)
    assert town.hands.done == [("compact", 7)]


async def test_looking_writes_nothing() -> None:
    town = Town()
    before = town.store.revision
    await town.store.batch(NOTHING, 1.0)
    assert town.store.revision == before
