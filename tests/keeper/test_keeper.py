"""Keepers on three real members: full quotas, slow disks, dead keepers. The bounds are those that are promised."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from everlease.lab.etcd import EtcdCluster
from everlease.lab.processes import Process
from everlease.runtime.keeper.leadership import SLOW_COMMIT
from everlease.runtime.keeper.office import STALE
from everlease.store.api import Compacted
from keeper.stage import Keeping, fill, keeping, until, writes

pytestmark = pytest.mark.etcd

HEALED = 15.0
"""Seconds within which a full member and a slow leader are dealt with, without a person."""

SMALL = 16 << 20
FSYNC = ("-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:delay_enter=300000")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def cluster(start_etcd: Callable[..., EtcdCluster]) -> EtcdCluster:
    return start_etcd(members=3)


@pytest.fixture
def one_small(tmp_path: Path) -> Iterator[EtcdCluster]:
    """Three members, of which the last has a quota of 16 MiB."""
    cluster = EtcdCluster(tmp_path / "etcd", 3)
    cluster.members[2].flags = (f"--quota-backend-bytes={SMALL}",)
    with cluster:
        yield cluster


def run(stack: AsyncExitStack, *keepers: Keeping) -> list[asyncio.Task[None]]:
    """Let them keep until the test ends."""
    tasks = [asyncio.create_task(each.keeper.run()) for each in keepers]
    for task in tasks:
        stack.callback(task.cancel)
    return tasks


def done(each: Keeping, action: str) -> int:
    return each.rooms.counters.upkeep[action, "done"]


# --- who keeps --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_of_two_one_keeps_and_a_dead_one_is_replaced(stack: AsyncExitStack, cluster: EtcdCluster) -> None:
    first, second = [await keeping(stack, cluster.endpoints, name) for name in ("n1", "n2")]
    tasks = run(stack, first, second)
    kept = {first: tasks[0], second: tasks[1]}

    async def agreed() -> bool:
        words = {each.rooms.condition.keeper for each in kept}
        return len(words) == 1 and words != {""} and sum(each.rooms.condition.mine for each in kept) == 1

    await until(agreed)
    keeper, other = (first, second) if first.rooms.condition.mine else (second, first)
    await asyncio.sleep(STALE)
    assert keeper.rooms.condition.mine  # nobody else takes what is held
    kept[keeper].cancel()  # as if it were killed: it does not leave
    died = time.monotonic()
    async with asyncio.timeout(3 * STALE):
        while not other.rooms.condition.mine:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert time.monotonic() - died > STALE / 2


async def test_a_keeper_that_closes_hands_the_office_over_at_once(stack: AsyncExitStack, cluster: EtcdCluster) -> None:
    first, second = [await keeping(stack, cluster.endpoints, name) for name in ("n1", "n2")]
    await first.turn_until(lambda: first.rooms.condition.mine)
    await first.keeper.close()
    await second.keeper.turn()
    assert second.rooms.condition.mine


async def test_the_members_own_quota_is_measured(stack: AsyncExitStack, one_small: EtcdCluster) -> None:
    keeper = await keeping(stack, one_small.endpoints)
    await keeper.turn_until(lambda: keeper.rooms.condition.quota)
    assert keeper.rooms.condition.quota == SMALL
    assert 0 < keeper.rooms.condition.fullness < 0.5


# --- F7: the quota of one member is used up ---------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_full_member_is_healed_while_two_keepers_run_and_the_other_nodes_know_why(
    stack: AsyncExitStack, one_small: EtcdCluster
) -> None:
    first, second = [await keeping(stack, one_small.endpoints, name) for name in ("n1", "n2")]
    await first.turn_until(lambda: first.rooms.condition.quota)
    await fill(first.store)
    assert not await writes(second.store)
    began, words = time.monotonic(), set()
    run(stack, first, second)

    async def healed() -> bool:
        words.add(second.rooms.condition.trouble)
        return await writes(second.store)

    await until(healed)
    assert time.monotonic() - began < HEALED
    assert any("NOSPACE" in told and one_small.endpoints[2] in told for told in words)
    await until(lambda: calm(second))
    assert [done(first, action) for action in ("compact", "defragment", "disarm")] == [1, 1, 1]
    statuses = [await first.upkeep.status(endpoint, 5.0) for endpoint in one_small.endpoints]
    assert statuses[2].size < SMALL / 2
    assert all(not status.alarms for status in statuses)


async def calm(each: Keeping) -> bool:
    return not each.rooms.condition.trouble and each.rooms.condition.fullness < 0.5


@pytest.mark.slow
async def test_an_alarm_that_returns_is_not_fought_in_a_tight_loop(
    stack: AsyncExitStack, one_small: EtcdCluster
) -> None:
    keeper = await keeping(stack, one_small.endpoints)
    await keeper.turn_until(lambda: keeper.rooms.condition.quota)
    await fill_with_living_data(keeper)
    run(stack, keeper)
    await until(lambda: gave_up(keeper))
    disarmed = done(keeper, "disarm")
    await asyncio.sleep(5)
    assert done(keeper, "disarm") == disarmed <= 2
    assert "too large for the quota" in keeper.rooms.condition.trouble


async def gave_up(keeper: Keeping) -> bool:
    await writes(keeper.store)  # what raises the alarm again
    return "returned" in keeper.rooms.condition.trouble


async def fill_with_living_data(keeper: Keeping) -> None:
    """Many keys, not many revisions of one: compaction wins nothing back."""
    for number in range(1000):
        if not await keeper.put(b"/living/%d" % number, 100_000):
            return
    raise AssertionError("the quota was never used up")


# --- F10: the leader's disk is slow -----------------------------------------------------------------------------------


@pytest.mark.alone
async def test_leadership_leaves_a_slow_disk_and_writes_are_quick_again(
    stack: AsyncExitStack, cluster: EtcdCluster, tmp_path: Path
) -> None:
    keeper = await keeping(stack, cluster.endpoints)
    run(stack, keeper)
    await until(lambda: calm(keeper))
    slow = cluster.leader()
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(cluster.process(slow).pid), *FSYNC]
    delays = Process(strace, tmp_path / "strace.log")
    stack.callback(delays.kill)
    began = time.monotonic()

    async def quick() -> bool:
        """Five writes in a row as if nothing were slow, after some that were."""
        seconds = [await timed(keeper) for _ in range(5)]
        slowed.extend(each for each in seconds if each > SLOW_COMMIT)
        return bool(slowed) and max(seconds) < SLOW_COMMIT

    slowed: list[float] = []
    await until(quick)
    assert time.monotonic() - began < HEALED
    assert cluster.leader() != slow
    await asyncio.sleep(3)  # and it stays
    assert cluster.leader() != slow
    assert done(keeper, "move_leader") == 1


async def timed(keeper: Keeping) -> float:
    """Seconds that a write took; one that was lost while the leader changed took for ever."""
    started = time.monotonic()
    return time.monotonic() - started if await writes(keeper.store) else math.inf


# --- in peace ---------------------------------------------------------------------------------------------------------


async def test_a_hollow_member_is_defragmented_one_after_the_other_and_the_service_goes_on(
    stack: AsyncExitStack, one_small: EtcdCluster
) -> None:
    keeper = await keeping(stack, one_small.endpoints)
    await keeper.turn_until(lambda: keeper.rooms.condition.quota)
    for _ in range(125):  # 12.5 of 16 MiB, nearly all of it history
        assert await keeper.put(b"/filler", 100_000)
    head = (await keeper.upkeep.status(one_small.endpoints[0], 5.0)).revision
    await keeper.upkeep.compact(one_small.endpoints[0], head, 5.0)
    run(stack, keeper)
    failed = 0
    async with asyncio.timeout(30):
        while not done(keeper, "defragment"):
            failed += not await writes(keeper.store)
            await asyncio.sleep(0.05)
    assert failed == 0
    assert (await keeper.upkeep.status(one_small.endpoints[2], 5.0)).size < SMALL / 4
    assert done(keeper, "disarm") == 0


@pytest.mark.slow
async def test_a_member_that_is_nearly_full_has_its_history_compacted_before_it_is_full(
    stack: AsyncExitStack, one_small: EtcdCluster
) -> None:
    keeper = await keeping(stack, one_small.endpoints)
    run(stack, keeper)
    began = (await keeper.upkeep.status(one_small.endpoints[0], 5.0)).revision
    for _ in range(800):  # 32 MB of history through a quota of 16 MiB
        assert await keeper.put(b"/filler", 40_000)
        await asyncio.sleep(0.02)
    with pytest.raises(Compacted):
        await keeper.store.get_range(b"/", b"0", revision=began)
    assert done(keeper, "compact") >= 2
    assert done(keeper, "disarm") == 0
