"""One seed from its beginning to its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import structlog

from faults.history.model import History
from simulate.documents import document
from simulate.etcd import Cluster
from simulate.faults import Fault
from simulate.guests import OFF, Guest
from simulate.history import Recorder
from simulate.loop import Stuck
from simulate.members import QUOTA
from simulate.nodes import Machine
from simulate.plan import Entry, Life, Plan, plan_of
from simulate.scene import Scene
from simulate.world import World

RECOVERS_WITHIN = 60.0
"""Seconds after the last fault has ended in which every client has an address again, and every node serves."""

AGREES_WITHIN = 3.0


@dataclass(slots=True)
class Outcome:
    """What came out of a seed. seconds: of simulated time; violations: (time, invariant, words)."""

    seed: int
    seconds: float
    violations: list[tuple[float, str, str]]
    trace: list[str]
    counts: dict[str, int] = field(default_factory=dict)
    history: History | None = None


NOTHING: Final[frozenset[Any]] = frozenset()


def run(
    seed: int,
    *,
    tracing: bool = False,
    without: frozenset[int] = NOTHING,
    only: frozenset[str] = NOTHING,
    recorder: Recorder | None = None,
) -> Outcome:
    """Run a seed. without: numbers of the plan's faults to leave out; only: ids of those to choose from."""
    plan = plan_of(seed, only)
    plan = replace(plan, entries=tuple(each for number, each in enumerate(plan.entries) if number not in without))
    random.seed(seed)  # nonces
    world = World(seed, tracing, recorder=recorder)
    _log_to(world)
    world.loop.start()
    scene = Scene(world, plan.setting)
    if recorder is not None:
        recorder.begin(scene.addresses(), document(plan.setting), {scene.office.name: "office", scene.branch.name: ""})
    asyncio.set_event_loop(world.loop)
    try:
        world.loop.run_until_complete(_live(scene, plan))
    except Stuck as stuck:
        world.violate("loop", str(stuck))
    finally:
        asyncio.set_event_loop(None)
        world.loop.close()
        structlog.reset_defaults()
    history = recorder.history(world) if recorder is not None else None
    return Outcome(seed, world.now, world.violations, world.trace, scene.judge.counts, history)


def _log_to(world: World) -> None:
    def line(_logger: object, _method: str, event: dict[str, object]) -> object:
        words = " ".join(f"{key}={value}" for key, value in sorted(event.items()) if key not in ("event", "exc_info"))
        world.note(f"log: {event.get('event')} {words}")
        raise structlog.DropEvent

    level = 0 if world.tracing else 50
    structlog.configure(processors=[line], wrapper_class=structlog.make_filtering_bound_logger(level))


async def _live(scene: Scene, plan: Plan) -> None:
    world = scene.world
    world.note(f"seed {world.seed}: {plan.setting}")
    await scene.begin()
    for machine in scene.machines:
        world.loop.outside(world.chance.uniform(0, 0.3), machine.start)
    for guest in scene.guests:
        world.loop.outside(world.chance.uniform(0.2, 3.0), guest.start)
    faults = [_schedule(scene, entry) for entry in plan.entries]
    for life in plan.lives:
        world.loop.outside(life.at, _act, scene, life)
    await _until(scene, lambda: world.now >= plan.until)
    for fault in faults:
        fault()
    _mend(scene)
    if not await _until(scene, lambda: _recovered(scene), RECOVERS_WITHIN):
        world.violate("I18", f"not recovered {RECOVERS_WITHIN:.0f} s after the last fault: {_state(scene)}")
    if not await _until(scene, lambda: not scene.disagreements(), AGREES_WITHIN):
        world.violate("I22", "; ".join(scene.disagreements()))
    for words in scene.never_ending():
        world.violate("I16", words)


async def _until(scene: Scene, done: Callable[[], bool], within: float = 3600.0) -> bool:
    """Let time pass; False: it is not so within so many seconds. Ends at once when something must not be."""
    world = scene.world
    end = world.now + within
    while not done():
        if world.violations or world.now > end:
            return bool(world.violations)
        await asyncio.sleep(0.25)
        for owner, error, words in world.loop.failed:
            world.violate("fault", f"{owner}: {words}: {error!r}")
    return True


def _schedule(scene: Scene, entry: Entry) -> Callable[[], None]:
    """Arrange for a fault; returns what ends it at last, whether or not it has begun."""
    world = scene.world
    fault: Fault = entry.make(scene, Random(entry.seed))
    world.note(f"plan: {fault.id} {entry.begin:.2f}..{entry.end:.2f} {fault.words}")
    running = ended = False

    def begin() -> None:
        nonlocal running
        running = True
        _tell(world, fault, begins=True)
        fault.begin()

    def end() -> None:
        nonlocal ended
        if running and not ended:
            ended = True
            _tell(world, fault, begins=False)
            fault.end()

    world.loop.outside(entry.begin, begin)
    world.loop.outside(entry.end, end)
    return end


def _tell(world: World, fault: Fault, *, begins: bool) -> None:
    world.note(f"** {fault.id} {'begins' if begins else 'ends'}: {fault.words}")
    if world.recorder is not None:
        world.recorder.fault(world, fault.id, fault.words, begins=begins)


def _act(scene: Scene, life: Life) -> None:
    guest: Guest = scene.guests[life.guest]
    if life.what == "decline":
        if guest.uses(guest.address):
            guest.decline()
        return
    scene.world.note(f"{guest.name}: {life.what}")
    getattr(guest, life.what)()
    if life.what in ("release", "leave"):
        scene.world.loop.outside(scene.world.chance.uniform(2.5, 6.0), _return, guest)


def _return(guest: Guest) -> None:
    if guest.state == OFF:
        guest.start()


def _mend(scene: Scene) -> None:
    """Whatever is still amiss (two faults may have met on one part) is mended."""
    etcd: Cluster = scene.world.etcd
    scene.world.note("** everything is mended")
    for member in etcd.members.values():
        member.disk, member.apart = 0.0, False
        if not scene.setting.keeper:
            member.full, member.quota = False, QUOTA
        if not member.alive:
            etcd.start(member)
        if member.frozen:
            etcd.thaw(member)
        etcd.catch_up(member)
    for machine in scene.machines:
        machine.thaw()
        machine.start()
        for path in machine.paths:
            path.let_go()
            path.mend()
    for guest in scene.guests:
        if guest.state == OFF:
            guest.start()


def _recovered(scene: Scene) -> bool:
    if scene.world.etcd.alarmed() or not all(map(_serves, scene.machines)):
        return False
    # After a restored snapshot who has no address waits until all that may be missing has ended (architecture.md).
    return all(guest.uses(guest.address) or scene.was_restored for guest in scene.guests)


def _serves(machine: Machine) -> bool:
    """It serves, or waits until time has passed the stamps of a clock that was ahead (architecture.md, clocks)."""
    ahead = machine.node is not None and "a lease was granted" in machine.node.rooms.lifeline.reason
    return machine.state == "serving" or ahead


def _state(scene: Scene) -> str:
    nodes = [f"{machine.name} {machine.state}" for machine in scene.machines]
    lacking = [f"{guest.name} {guest.state}" for guest in scene.guests if not guest.uses(guest.address)]
    return ", ".join(nodes + lacking)


__all__ = ["Outcome", "run"]
