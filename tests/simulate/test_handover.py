"""Nodes come back while clients ask for the first time, hundreds a second, and each first copy has an answer."""

from __future__ import annotations

import asyncio
from logging import CRITICAL
from random import Random

import pytest
import structlog

from everlease.wire import v4
from simulate.documents import Setting
from simulate.faults import Fault, Make, link_down, node_cut, node_frozen, node_killed
from simulate.run import RECOVERS_WITHIN
from simulate.scene import Scene
from simulate.world import World

DOCUMENT = """\
schema: 1
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, pools: [{range: 10.77.16.0-10.77.63.255}]}
"""
LATE = 0.1
"""Seconds by which one node may hear a client later than another: a wake-up of a busy machine."""

RATE = 250.0
GONE, BACK = 4.0, 9.0
ASKED = (8.9, 12.5)
"""Seconds in which clients ask: the fault was noticed long ago, and then it is over."""


class Caller:
    """A client that asks once. heard: OFFERs."""

    def __init__(self, scene: Scene, number: int) -> None:
        self.mac = b"\x02\0\0\x01" + number.to_bytes(2, "big")
        self.heard = 0
        self._wire = scene.office
        self._wire.clients[self.mac] = self

    def ask(self) -> None:
        self._wire.ask(v4.Packet(xid=1, chaddr=self.mac, flags=v4.BROADCAST_FLAG, options={53: bytes((v4.DISCOVER,))}))

    def hear(self, packet: v4.Packet, node: str) -> None:
        self.heard += packet.message_type == v4.OFFER


async def live(scene: Scene, make: Make, callers: list[Caller]) -> None:
    world = scene.world
    await scene.begin(DOCUMENT)
    for machine in scene.machines:
        machine.start()
    fault: Fault = make(scene, Random(world.seed))
    world.loop.outside(GONE, fault.begin)
    world.loop.outside(BACK, fault.end)
    for number, caller in enumerate(callers):
        world.loop.outside(ASKED[0] + number / RATE, caller.ask)
    scene.office.quality.late = LATE
    await asyncio.sleep(ASKED[1] + 1.0)
    assert [machine.state for machine in scene.machines] == ["serving"] * 3


@pytest.mark.parametrize("make", [node_killed, node_frozen, node_cut, link_down])
def test_while_a_node_comes_back_no_first_packet_is_nobodys(make: Make) -> None:
    twice = 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    for seed in range(6):
        world = World(seed)
        world.loop.start()
        scene = Scene(world, Setting(guests=0))
        callers = [Caller(scene, number) for number in range(int((ASKED[1] - ASKED[0]) * RATE))]
        asyncio.set_event_loop(world.loop)
        try:
            world.loop.run_until_complete(asyncio.wait_for(live(scene, make, callers), RECOVERS_WITHIN))
        finally:
            asyncio.set_event_loop(None)
            world.loop.close()
        assert [caller.mac.hex(":") for caller in callers if not caller.heard] == [], f"seed {seed}"
        twice += sum(caller.heard > 1 for caller in callers)
    structlog.reset_defaults()
    assert twice < 0.07 * 6 * len(callers)  # a third of all for half a second, and no longer
