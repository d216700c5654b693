"""One seed's cast: etcd, nodes, wires, clients and the administrator; and what one may do to them.

Law: nothing here decides when something happens; `faults` and `plan` do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random

from everlease.errors import StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import records, txn
from everlease.store.configuration import Documents
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from simulate.channel import Path, connect
from simulate.documents import Setting, document
from simulate.guests import Guest, show
from simulate.judge import Judge
from simulate.members import Call, Member
from simulate.nodes import Machine
from simulate.wires import Quality, Relay, Wire
from simulate.world import EPOCH, World

KEEPALIVE = 13.0
"""Seconds after which gRPC gives up a stream on which nothing comes back (10 s, and 3 s for the answer)."""

OFFICE, BRANCH = 0x0A4D0000, 0x0A4E0000
RELAY = BRANCH + 1
FIRST = 100


class Scene:
    """bad_clock: the one machine whose wall clock may go wrong; first_revision: of the document's, never undone."""

    def __init__(self, world: World, setting: Setting) -> None:
        self.world = world
        self.setting = setting
        self.judge = Judge(world, setting.margin)
        world.etcd.committed = self.judge.committed
        world.etcd.nested_pass = setting.nested_pass
        self.office = Wire(world, "office", Quality())
        names = "abcde"[: setting.nodes]
        self.branch = Relay(world, "branch", Quality(), RELAY, frozenset(names[: setting.served]))
        self.wires: list[Wire] = [self.office, self.branch]
        self.machines = [self._machine(name, number) for number, name in enumerate(names)]
        self.bad_clock = world.chance.choice(self.machines)
        self.guests = [self._guest(number) for number in range(setting.guests)]
        self.first_revision = 0
        self.was_restored = False
        self._revision = 0
        paths = {member: world.path("admin", member) for member in world.etcd.members}
        self._store = EtcdStore(list(paths), connect=connect(paths), clock=world.loop.time)
        self._keys = Keys()
        self._documents = Documents(self._store, self._keys)
        self._busy: set[asyncio.Task[None]] = set()
        self.show = show

    def _machine(self, name: str, number: int) -> Machine:
        addresses: dict[Wire, tuple[int, int]] = {
            self.office: (OFFICE + 2 + number, 24),
            self.branch: (BRANCH + 0x10000 + number, 32),
        }
        machine = Machine(self.world, name, addresses)
        machine.sent, machine.keeps = self.judge.sent, self.setting.keeper
        return machine

    def _guest(self, number: int) -> Guest:
        wire = self.branch if number % 3 == 2 else self.office
        manner = self.setting.manners[number % len(self.setting.manners)]
        guest = Guest(self.world, b"\x02\0\0\0\0" + bytes((number + 1,)), wire, manner)
        self.judge.know(guest)
        return guest

    def addresses(self) -> dict[str, list[int]]:
        """Of each node, on links and for relays."""
        return {machine.name: machine.addresses for machine in self.machines}

    async def begin(self, text: str = "") -> None:
        """etcd holds the first document, the setting's if none is given; nobody runs yet."""
        await self._documents.publish(text or document(self.setting), 0, "admin", "", EPOCH)
        self._revision = 1
        self.first_revision = self.world.etcd.mvcc.revision

    # --- the network ----------------------------------------------------------------------------------------------

    def cut(self, paths: Sequence[Path], *, deaf: bool = True, mute: bool = True) -> None:
        for path in paths:
            path.deaf, path.mute = deaf, mute
            self.world.loop.outside(KEEPALIVE, path.expire)

    def mend(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.mend()

    def keepalive(self, member: Member) -> None:
        """Streams to a member that is stopped end on the nodes' side."""
        for machine in self.machines:
            for path in machine.paths:
                if path.member is member:
                    self.world.loop.outside(KEEPALIVE, path.expire)

    def isolate(self, member: Member) -> None:
        """From the other members."""
        member.apart = True
        self.world.etcd.separated(member)

    def rejoin(self, member: Member) -> None:
        member.apart = False
        self.world.etcd.catch_up(member)

    # --- the administrator ----------------------------------------------------------------------------------------

    def compact(self) -> None:
        """To the head."""
        etcd = self.world.etcd
        if etcd.leader is not None:
            request = pb.CompactionRequest(revision=etcd.mvcc.revision)
            etcd.take(etcd.leader, Call("compact", request, lambda _answer: None))

    def restore(self, revision: int, cluster: int) -> None:
        """A snapshot of that revision; what came after never happened."""
        self.world.etcd.restore(revision, cluster)
        self.was_restored = True
        self.judge.rolled_back()

    def publish(self, setting: Setting) -> None:
        self._do(self._publish(document(setting)))

    async def _publish(self, text: str) -> None:
        current, _ = await self._documents.current()
        if current is not None:
            await self._documents.publish(text, current.revision, "admin", "", EPOCH + self.world.now)

    def reserve(self, address: int, mac: bytes) -> None:
        """By the API: a key of its own."""
        subnet = 1 if address < BRANCH else 2
        record = records.ReservationRecord("hw-address", "01" + mac.hex(), subnet, address=records.dotted(address))
        leaf = txn.put(self._keys.reservation("default", address), records.encode(record), 0)
        self._do(self._put(leaf))

    async def _put(self, leaf: txn.Leaf) -> None:
        await self._store.batch(txn.single(leaf), 2.0)

    def _do(self, work: object) -> None:
        task = self.world.loop.create_task(_try(work))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    # --- in the end -----------------------------------------------------------------------------------------------

    def disagreements(self) -> list[str]:
        """I22: nodes whose view is not what etcd holds."""
        truth = {address: (lease.client, lease.expires_at, lease.state) for address, lease in self.judge.leases.items()}
        return [
            f"{machine.name} sees {_differences(view, truth)}"
            for machine in self.machines
            if (view := machine.view()) != truth
        ]

    def never_ending(self) -> list[str]:
        """I16: addresses that would not be free when everybody has been gone for long."""
        return [f"{machine.name}: {used} addresses" for machine in self.machines if (used := machine.used_in_the_end())]

    # --- choices --------------------------------------------------------------------------------------------------

    def other_document(self, chance: Random) -> Setting:
        return self.setting.changed(chance)

    def some_address(self, chance: Random) -> int:
        return chance.choice((OFFICE, BRANCH)) + FIRST + chance.randrange(self.setting.pool)

    def some_mac(self, chance: Random) -> bytes:
        return chance.choice(self.guests).mac


async def _try(work: object) -> None:
    with suppress(StoreError):
        await work


def _differences(view: Mapping[int, object], truth: Mapping[int, object]) -> str:
    return ", ".join(
        f"{show(address)} {view.get(address)} for {truth.get(address)}"
        for address in sorted({*view, *truth})
        if view.get(address) != truth.get(address)
    )
