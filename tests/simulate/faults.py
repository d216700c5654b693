"""What goes wrong: each fault begins and ends, on parts of the world that the seed chose (ids F1..F31 of the design).

Law: a fault does what its name says to the model and nothing else; at its end the part is as it was. What etcd, hosts
and wires make of it is their own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from simulate.members import HUNG, QUOTA, Member
from simulate.nodes import Machine
from simulate.scene import Scene
from simulate.wires import Wire


@dataclass(slots=True)
class Fault:
    """id: of the design; words: for people; begin, end: called once each."""

    id: str
    words: str
    begin: Callable[[], None]
    end: Callable[[], None]


Make = Callable[[Scene, Random], Fault]


def _member(scene: Scene, chance: Random) -> Member:
    """The first one leads in the beginning: half of the time it is the one."""
    members = list(scene.world.etcd.members.values())
    return members[0] if chance.random() < 0.5 else chance.choice(members)


def _machine(scene: Scene, chance: Random) -> Machine:
    return chance.choice(scene.machines)


# --- members of etcd ----------------------------------------------------------------------------------------------


def member_killed(scene: Scene, chance: Random) -> Fault:
    etcd, member = scene.world.etcd, _member(scene, chance)
    return Fault("F1", f"{member.name} is killed", lambda: etcd.kill(member), lambda: etcd.start(member))


def member_frozen(scene: Scene, chance: Random) -> Fault:
    etcd, member = scene.world.etcd, _member(scene, chance)

    def begin() -> None:
        etcd.freeze(member)
        scene.keepalive(member)

    number = "F2" if member is etcd.leader else "F3"
    return Fault(number, f"{member.name} is frozen", begin, lambda: etcd.thaw(member))


def member_isolated(scene: Scene, chance: Random) -> Fault:
    """From the others; and, half of the time, from the nodes, too."""
    member, wholly = _member(scene, chance), chance.random() < 0.5

    def begin() -> None:
        scene.isolate(member)
        if wholly:
            scene.cut([path for machine in scene.machines for path in machine.paths if path.member is member])

    def end() -> None:
        scene.mend([path for machine in scene.machines for path in machine.paths if path.member is member])
        scene.rejoin(member)

    return Fault("F4", f"{member.name} is isolated{' wholly' if wholly else ''}", begin, end)


def member_flaps(scene: Scene, chance: Random) -> Fault:
    """Cut off and back each second."""
    member = _member(scene, chance)
    over = False

    def off() -> None:
        if not over:
            scene.isolate(member)
            scene.world.loop.outside(1.0, on)

    def on() -> None:
        scene.rejoin(member)
        if not over:
            scene.world.loop.outside(1.0, off)

    def end() -> None:
        nonlocal over
        over = True
        scene.rejoin(member)

    return Fault("F5", f"{member.name} flaps", off, end)


def member_full(scene: Scene, chance: Random) -> Fault:
    member = _member(scene, chance)

    def begin() -> None:
        member.quota, member.full = member.size, True

    def end() -> None:
        if not scene.setting.keeper:
            member.full, member.quota = False, QUOTA  # by hand

    return Fault("F7", f"{member.name} has no space", begin, end)


def disk_hangs(scene: Scene, chance: Random) -> Fault:
    return _disk(scene, _member(scene, chance), "F9", HUNG)


def disk_slow(scene: Scene, chance: Random) -> Fault:
    member = _member(scene, chance)
    return _disk(scene, member, "F10" if member is scene.world.etcd.leader else "F11", chance.uniform(0.1, 0.6))


def _disk(scene: Scene, member: Member, number: str, seconds: float) -> Fault:
    etcd = scene.world.etcd

    def begin() -> None:
        member.disk = seconds
        etcd.reconsider()

    def end() -> None:
        member.disk = 0.0
        etcd.catch_up(member)

    return Fault(number, f"{member.name}'s disk takes {seconds:.2f} s", begin, end)


def no_quorum(scene: Scene, chance: Random) -> Fault:
    etcd = scene.world.etcd
    gone = chance.sample(list(etcd.members.values()), 2)
    kill = chance.random() < 0.5

    def begin() -> None:
        for member in gone:
            (etcd.kill if kill else etcd.freeze)(member)

    def end() -> None:
        for member in gone:
            (etcd.start if kill else etcd.thaw)(member)

    names = " and ".join(member.name for member in gone)
    return Fault("F24", f"{names} are {'killed' if kill else 'frozen'}: no quorum", begin, end)


def compaction(scene: Scene, chance: Random) -> Fault:
    """To the head, while one node's watch stands still."""
    machine = _machine(scene, chance)

    def begin() -> None:
        for path in machine.paths:
            path.hold()
        scene.world.loop.outside(1.0, scene.compact)

    def end() -> None:
        for path in machine.paths:
            path.let_go()

    return Fault("F16", f"compaction while {machine.name}'s watch stands still", begin, end)


def restored(scene: Scene, chance: Random) -> Fault:
    etcd, back = scene.world.etcd, chance.randint(30, 80)
    cluster = etcd.id if chance.random() < 0.5 else etcd.id + 1

    def begin() -> None:
        scene.restore(max(scene.first_revision, etcd.mvcc.revision - back), cluster)

    def end() -> None:
        for member in etcd.members.values():
            etcd.start(member)

    return Fault("F27", f"etcd is restored as it was {back} revisions ago", begin, end)


# --- nodes --------------------------------------------------------------------------------------------------------


def node_cut(scene: Scene, chance: Random) -> Fault:
    """From one member or from all; one way or both."""
    machine = _machine(scene, chance)
    paths = machine.paths if chance.random() < 0.5 else [chance.choice(machine.paths)]
    deaf, mute = chance.choice(((True, True), (True, False), (False, True)))
    ways = {(True, True): "both ways", (True, False): "there", (False, True): "back"}[deaf, mute]
    names = ", ".join(path.member.name for path in paths)
    begin: Callable[[], None] = lambda: scene.cut(paths, deaf=deaf, mute=mute)  # noqa: E731
    return Fault("F5", f"{machine.name} is cut off from {names}, {ways}", begin, lambda: scene.mend(paths))


def watch_stuck(scene: Scene, chance: Random) -> Fault:
    machine = _machine(scene, chance)

    def begin() -> None:
        for path in machine.paths:
            path.hold()

    def end() -> None:
        for path in machine.paths:
            path.let_go()

    return Fault("F15", f"{machine.name}'s watch stands still", begin, end)


def watch_slow(scene: Scene, chance: Random) -> Fault:
    machine, seconds = _machine(scene, chance), chance.uniform(0.3, 4.0)

    def set_to(delay: float) -> None:
        for path in machine.paths:
            path.watch_delay = delay

    return Fault("F15", f"{machine.name}'s watch is {seconds:.1f} s late", lambda: set_to(seconds), lambda: set_to(0.0))


def node_killed(scene: Scene, chance: Random) -> Fault:
    machine = _machine(scene, chance)
    return Fault("F20", f"{machine.name} is killed", machine.kill, machine.start)


def node_frozen(scene: Scene, chance: Random) -> Fault:
    machine = _machine(scene, chance)
    return Fault("F21", f"{machine.name} is frozen", machine.freeze, machine.thaw)


def clock_steps(scene: Scene, chance: Random) -> Fault:
    machine = scene.bad_clock
    step = chance.choice((-7200.0, 7200.0, -30.0, 30.0, chance.uniform(-4, 4)))

    def begin() -> None:
        machine.clocks.wall += step

    def end() -> None:
        machine.clocks.wall -= step

    return Fault("F22", f"{machine.name}'s wall clock steps by {step:.1f} s", begin, end)


def clock_drifts(scene: Scene, chance: Random) -> Fault:
    machine, drift = scene.bad_clock, chance.choice((-0.1, 0.1, 0.5))

    def begin() -> None:
        machine.clocks.drift, machine.clocks.drift_since = drift, scene.world.now

    def end() -> None:
        machine.clocks.drift = 0.0

    return Fault("F22", f"{machine.name}'s wall clock drifts by {drift:+.0%}", begin, end)


# --- clients' side ------------------------------------------------------------------------------------------------


def wire_bad(scene: Scene, chance: Random) -> Fault:
    wire: Wire = chance.choice(scene.wires)
    loss, twice, late = chance.choice(((0.3, 0.0, 0.02), (0.1, 0.3, 0.3), (0.0, 0.5, 1.0), (0.3, 0.1, 0.5)))

    def begin() -> None:
        wire.quality.loss, wire.quality.twice, wire.quality.late = loss, twice, late

    def end() -> None:
        wire.quality.loss, wire.quality.twice, wire.quality.late = 0.0, 0.0, 0.02

    return Fault("F23", f"{wire.name}: {loss:.0%} lost, {twice:.0%} twice, up to {late} s late", begin, end)


def client_side(scene: Scene, chance: Random) -> Fault:
    """Deaf, mute, or both, while its side to etcd is fine."""
    machine, wire = _machine(scene, chance), chance.choice(scene.wires)
    deaf, mute = chance.choice(((True, True), (True, False), (False, True)))

    def set_to(deaf: bool, mute: bool) -> None:
        endpoint = machine.endpoints[wire.name]
        endpoint.deaf, endpoint.mute = deaf, mute

    words = " and ".join(word for word, on in (("deaf", deaf), ("mute", mute)) if on)
    begin: Callable[[], None] = lambda: set_to(deaf, mute)  # noqa: E731
    return Fault("F29", f"{machine.name} is {words} on {wire.name}", begin, lambda: set_to(False, False))


def link_down(scene: Scene, chance: Random) -> Fault:
    """Carrier is lost, and the node is told."""
    machine, wire = _machine(scene, chance), scene.office

    def set_to(down: bool) -> None:
        endpoint = machine.endpoints[wire.name]
        endpoint.deaf = endpoint.mute = down
        (machine.down.add if down else machine.down.discard)(wire.name)
        machine.tell_links()

    return Fault("F29", f"{machine.name} has no carrier on {wire.name}", lambda: set_to(True), lambda: set_to(False))


# --- administration -----------------------------------------------------------------------------------------------


def configured(scene: Scene, chance: Random) -> Fault:
    """A new document, while one node's watch stands still."""
    machine, document = _machine(scene, chance), scene.other_document(chance)

    def begin() -> None:
        for path in machine.paths:
            path.hold()
        scene.publish(document)

    def end() -> None:
        for path in machine.paths:
            path.let_go()

    return Fault("F31", f"a new configuration, and {machine.name}'s watch stands still", begin, end)


def reserved(scene: Scene, chance: Random) -> Fault:
    """An address is reserved for one client, maybe while another has it, and a node's watch stands still."""
    machine, address, mac = _machine(scene, chance), scene.some_address(chance), scene.some_mac(chance)

    def begin() -> None:
        for path in machine.paths:
            path.hold()
        scene.reserve(address, mac)

    def end() -> None:
        for path in machine.paths:
            path.let_go()

    return Fault(
        "F31", f"{scene.show(address)} is reserved for {mac.hex(':')}; {machine.name}'s watch stands still", begin, end
    )


EVERY: Final[Sequence[tuple[str, Make, int]]] = (
    ("F1", member_killed, 3), ("F2", member_frozen, 4), ("F4", member_isolated, 3), ("F5", member_flaps, 1),
    ("F5", node_cut, 4), ("F7", member_full, 2), ("F9", disk_hangs, 3), ("F10", disk_slow, 2), ("F15", watch_stuck, 2),
    ("F15", watch_slow, 3), ("F16", compaction, 2), ("F20", node_killed, 5), ("F21", node_frozen, 6),
    ("F22", clock_steps, 2), ("F22", clock_drifts, 1), ("F23", wire_bad, 5), ("F24", no_quorum, 3),
    ("F27", restored, 3),
    ("F29", client_side, 4), ("F29", link_down, 2), ("F31", configured, 2), ("F31", reserved, 2),
)  # fmt: skip
"""Every fault with its id and how often it is chosen. A restored snapshot comes alone: who did not look meanwhile
cannot know that history went back."""
