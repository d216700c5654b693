"""Who keeps: one record on the in-memory store, clocks that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from everlease.runtime.keeper.office import STALE, Office
from everlease.store.api import BatchResult, NoSpace, Unavailable
from everlease.store.keeping import Tenure
from everlease.store.memory import MemoryStore
from everlease.store.txn import Leaf, single

KEY = b"/everlease/x/keeper/holder"
WORDS = Tenure("", "", 0, trouble="a member is nearly full")


@dataclass
class Clock:
    now: float = 1000.0

    def boot(self) -> float:
        return self.now


@dataclass
class Town:
    """Several nodes' offices on one store; each node has a clock of its own."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clocks: dict[str, Clock] = field(default_factory=dict)

    def office(self, name: str, run: int = 1, store: MemoryStore | None = None) -> Office:
        clock = self.clocks.setdefault(name, Clock(1000.0 * (1 + len(self.clocks))))
        return Office(name, f"{name}-{run}", store or self.store, KEY, clock.boot)

    def wait(self, seconds: float) -> None:
        for clock in self.clocks.values():
            clock.now += seconds


async def test_an_empty_office_is_taken_by_the_first_and_only_by_one() -> None:
    town = Town()
    first, second = town.office("n1"), town.office("n2")
    for each in (first, second):
        await each.read()
        assert each.vacant()
    assert await first.put(WORDS)
    assert not await second.put(WORDS)
    assert (first.mine, second.mine) == (True, False)
    assert second.tenure is not None
    assert (second.tenure.node, second.tenure.trouble) == ("n1", "a member is nearly full")


async def test_a_keeper_that_goes_on_writing_stays_however_wrong_its_clock_is() -> None:
    town = Town()
    keeper, other = town.office("n1"), town.office("n2")
    town.clocks["n1"].now = 9e9
    assert await keeper.put(WORDS)
    for _ in range(30):
        town.wait(STALE / 2)
        assert await keeper.put(WORDS)
        await other.read()
        assert not other.vacant()


async def test_a_dead_keeper_is_replaced_after_six_seconds_and_notices_when_it_wakes() -> None:
    town = Town()
    dead, heir = town.office("n1"), town.office("n2")
    assert await dead.put(WORDS)
    await heir.read()
    town.wait(STALE - 0.1)
    await heir.read()
    assert not heir.vacant()
    town.wait(0.1)
    await heir.read()
    assert heir.vacant()
    assert await heir.put(WORDS)
    assert not await dead.put(WORDS)
    assert not dead.mine
    town.wait(STALE / 2)
    await dead.read()
    assert not dead.vacant()


async def test_a_keeper_that_leaves_lets_another_in_at_once() -> None:
    town = Town()
    first, second = town.office("n1"), town.office("n2")
    assert await first.put(WORDS)
    await second.read()
    await first.leave()
    await second.read()
    assert second.vacant()
    assert await second.put(WORDS)
    await first.leave()  # not its own any more
    await second.read()
    assert second.mine


async def test_the_same_name_in_a_new_process_is_another_keeper() -> None:
    town = Town()
    old, new = town.office("n1"), town.office("n1", run=2)
    assert await old.put(WORDS)
    await new.read()
    assert not new.mine
    assert not new.vacant()


class Lossy(MemoryStore):
    """Applies a batch, and loses the answer, as often as it is told to."""

    lost = 0

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        answer = await super().batch(request, deadline, member)
        if self.lost:
            self.lost -= 1
            raise Unavailable("the answer was lost")
        return answer


async def test_an_own_put_whose_answer_was_lost_is_recognised() -> None:
    store = Lossy()
    town = Town(store)
    office = town.office("n1")
    assert await office.put(WORDS)
    store.lost = 1
    with pytest.raises(Unavailable):
        await office.put(WORDS)
    assert await office.put(WORDS)
    assert await office.put(WORDS)
    assert office.mine


class Refusing(MemoryStore):
    """A store that is full: puts are refused."""

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        raise NoSpace("mvcc: database space exceeded")


async def test_a_keeper_that_cannot_put_for_want_of_space_is_the_keeper_still() -> None:
    town = Town()
    office = town.office("n1")
    assert await office.put(WORDS)
    office._store = Refusing()
    with pytest.raises(NoSpace):
        await office.put(WORDS)
    assert office.mine


async def test_a_record_that_cannot_be_read_is_taken_over_when_it_does_not_move() -> None:
    town = Town()
    await town.store.batch(single(Leaf({}, [(KEY, b"junk")])), 1.0)
    office = town.office("n1")
    await office.read()
    assert not office.vacant()
    town.wait(STALE)
    assert office.vacant()
    assert await office.put(WORDS)
