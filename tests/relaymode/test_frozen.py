"""A pod stands still (SIGSTOP): how long its clients wait, by form of Service. The figures of docs/kubernetes.md.

A client asks again after 4 s, as RFC 2131 section 4.1 wants it; `-s` shows the figures.
"""

from __future__ import annotations

import sys
import time

import pytest

from cluster.crowd import Crowd
from lab.nodes import Node
from lab.packet_client import PacketClient
from relaymode.fabric import ONE_EACH, ONE_FOR_ALL, PODS, Fabric, readiness
from relaymode.forms import one_each, one_for_all
from relaymode.kubernetes import Kubelet

pytestmark = [pytest.mark.root, pytest.mark.etcd, pytest.mark.slow]

SPAN = 15.0
"""Seconds over which clients are switched on."""


class Wave:
    """Clients that are switched on one after the other, from the moment on at which something happens."""

    def __init__(self, fabric: Fabric, label: str, number: int, count: int = 75) -> None:
        self._crowd = Crowd(PacketClient(fabric.client(label)), count, number)
        self._label = label

    def warm(self) -> None:
        """A few clients first, so that relay, flows and nodes know each other."""
        few = Crowd(self._crowd.talker, 12, 100 + self._crowd.guests[0].mac[2])
        few.boot(within=1)
        few.run(few.all_bound, 60)

    def pass_by(self, timeout: float = 90) -> tuple[float, float, float]:
        """(seconds until the last one that had to ask twice began, longest wait, share that had to ask twice)."""
        began = time.time()
        first: dict[bytes, float] = {}
        self._crowd.boot(within=SPAN)
        plan = {guest.mac: guest.due for guest in self._crowd.guests}
        self._crowd.run(self._crowd.all_bound, timeout)
        first.update(plan)
        waits = {ack.mac: ack.at - first[ack.mac] for ack in self._crowd.acks}
        late = [mac for mac, wait in waits.items() if wait > 2]
        until = max((first[mac] - began for mac in late), default=0.0)
        told = (until, max(waits.values()), len(late) / len(waits))
        sys.stderr.write(
            f"\n{self._label}: affected for {told[0]:.1f} s, longest wait {told[1]:.1f} s, {told[2]:.0%} late\n"
        )
        return told


def pod_of(nodes: list[Node], address: str) -> Node:
    """The replica with an address."""
    return nodes[PODS.index(address)]


def test_with_a_service_each_the_others_answer_at_the_next_asking_at_the_latest(fabric: Fabric) -> None:
    nodes = fabric.deploy(ONE_EACH)
    with one_each(fabric):
        wave = Wave(fabric, "one-each", 11)
        wave.warm()
        nodes[0].pause()
        affected, longest, _ = wave.pass_by()
        nodes[0].resume()
    assert affected < 3
    assert longest < 6


@pytest.mark.parametrize("answer", ["all", "owner"])
def test_with_one_service_readiness_and_forgotten_flows_bring_the_others_in(fabric: Fabric, answer: str) -> None:
    nodes = fabric.deploy(ONE_FOR_ALL, [f"--answer={answer}"])
    with one_for_all(fabric) as form, Kubelet(fabric.workers, form.proxies[0], readiness(ONE_FOR_ALL)) as kubelet:
        wave = Wave(fabric, f"one-for-all-{answer}", 12 + (answer == "owner"))
        wave.warm()
        frozen = pod_of(nodes, form.proxies[0].pinned())
        frozen.pause()
        affected, longest, late = wave.pass_by()
        frozen.resume()
    assert [ready for _, _, ready in kubelet.turned][:1] == [False]
    if answer == "all":
        assert affected < 5
        assert longest < 12
    else:
        assert late > 0.2


def test_with_one_service_whose_flows_are_kept_nobody_is_served_while_the_relay_asks(fabric: Fabric) -> None:
    nodes = fabric.deploy(ONE_FOR_ALL)
    with one_for_all(fabric, forgets=False) as form, Kubelet(fabric.workers, form.proxies[0], readiness(ONE_FOR_ALL)):
        wave = Wave(fabric, "kept", 14, count=4)
        wave.warm()
        frozen = pod_of(nodes, form.proxies[0].pinned())
        frozen.pause()
        crowd = Crowd(PacketClient(fabric.client("in-vain")), 4, 15)
        crowd.boot(within=1)
        end = time.time() + 25
        crowd.run(lambda: time.time() > end, 60)
        assert crowd.acks == []
        frozen.resume()
        crowd.run(crowd.all_bound, 60)
