"""The faults that expose the planted bugs: a few seconds each, with a node, a store, and clients that ask.

Law: a scene does the same to every build; whether an answer comes is not its business. What an honest node must do in
it, it does; what a bug does in it, the history shows.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, wait_until
from everlease.wire import v4
from faults.history.model import History
from faults.history.recorder import Recorder
from faults.inject.network import dropping
from lab.capture import Captured
from lab.false_clock import FalseClock
from lab.packet_client import PacketClient
from lab.site import Site

TESTS = Path(__file__).resolve().parents[2]
NODE = "10.77.0.2"
FIRST, SECOND = "02:00:00:00:00:01", "02:00:00:00:00:02"


class Scene:
    """One node of a build ("" = the honest one) with `members` of etcd, and two clients on its link."""

    def __init__(self, lab: Lab, build: str, members: int = 1) -> None:
        self.site = Site(lab, nodes=1, members=members)
        self.node = self.site.nodes[0]
        self.clock = FalseClock(lab.folder / "clock")
        self.node.environment = {"PYTHONPATH": str(TESTS), **self.clock.environment()}
        if build:
            self.node.program = [sys.executable, "-m", f"faults.planted.{build}"]
        self.recorder = Recorder(self.site).start()

    def open(self) -> Scene:
        """Start everything."""
        self.site.start()
        namespace = self.site.client("floor")
        self.recorder.tap(namespace, "office")
        self.first, self.second = (PacketClient(namespace, mac=mac) for mac in (FIRST, SECOND))
        for client in (self.first, self.second):
            self.site.lab.on_close(client.close)
        return self

    def close(self) -> History:
        """End; everything that was seen."""
        return self.recorder.finish()

    def take(self, client: PacketClient, address: int, within: float = 1.0) -> list[Captured]:
        """A client's REQUEST for an address that it says this node offered; every answer."""
        named = {50: address.to_bytes(4, "big"), 54: bytes(map(int, NODE.split(".")))}
        return client.ask_all(client.message(v4.REQUEST, named), within)

    @contextlib.contextmanager
    def replies_lost(self) -> Iterator[None]:
        """What the store answers is lost on its way to the node; what the node asks arrives."""
        members = "10.99.0.0/24"
        with self.recorder.fault("F5", "replies of the store"), self.deaf(f"ip saddr {members} tcp sport 2379"):
            yield

    def deaf(self, match: str) -> contextlib.AbstractContextManager[None]:
        """The node's host does not hear what matches. Its own member is on the same host: that is `lo`."""
        return dropping(self.site.hosts[0], incoming=match)

    def bind(self, client: PacketClient) -> int:
        """The address of a client that asks until it has one, as real ones do."""
        return self.confirmed(lambda: client.obtain(timeout=2.0))

    def confirmed(self, ask: Callable[[], Captured]) -> int:
        """The address that is given in the end; the node may not be quite well yet when it is asked first."""

        def answered() -> int:
            with contextlib.suppress(LabError):
                return bound(ask())
            return 0

        return wait_until(answered, 15.0, "an answer")

    def serving(self) -> None:
        """Wait until the node serves."""
        wait_until(lambda: "serving" in self.node.readiness(), 15.0, "the node serves again")


def bound(captured: Captured) -> int:
    """The address that an answer gives."""
    assert captured.packet is not None
    return captured.packet.yiaddr


def store_pauses(lab: Lab, build: str) -> History:
    """The store stands still between a client's offer and its REQUEST, and goes on a little later."""
    scene = Scene(lab, build).open()
    offer = scene.first.discover()
    with scene.recorder.fault("F2", "the only member"):
        scene.site.etcd.pause(0)
        scene.first.ask_all(scene.first.selecting(offer), 1.5)
        scene.site.etcd.resume(0)
    scene.serving()
    scene.bind(scene.first)
    return scene.close()


def answers_are_lost(lab: Lab, build: str) -> History:
    """The store commits, and its answers are lost for two seconds."""
    scene = Scene(lab, build).open()
    offer = scene.first.discover()
    with scene.replies_lost():
        scene.first.ask_all(scene.first.selecting(offer), 2.0)
    scene.serving()
    scene.bind(scene.second)
    return scene.close()


def a_member_lags(lab: Lab, build: str) -> History:
    """A follower is cut off from its peers; a client takes an address, and another one asks for the same."""
    scene = Scene(lab, build, members=3)
    scene.site.document.write_text(scene.site.simple())
    scene.site.etcd.start()
    lagging = next(number for number in range(3) if number != scene.site.etcd.leader())
    scene.node.environment["PLANTED_MEMBER"] = scene.site.etcd.endpoints[lagging]
    scene.open()
    with scene.recorder.fault("F4", f"member {lagging}"), cut(scene, lagging):
        scene.serving()
        address = scene.bind(scene.first)
        scene.take(scene.second, address)
    return scene.close()


def cut(scene: Scene, member: int) -> contextlib.AbstractContextManager[None]:
    """A member and its peers do not reach each other; clients reach all."""
    both = "tcp dport 2380 drop\ntcp sport 2380"  # `dropping` ends the last rule
    return dropping(scene.site.hosts[member], incoming=both, outgoing=both)


def store_is_gone(lab: Lab, build: str) -> History:
    """A client that restarts asks for its address while the store does not answer at all."""
    scene = Scene(lab, build).open()
    address = scene.bind(scene.first)
    with scene.recorder.fault("F24", "the only member"):
        scene.site.etcd.pause(0)
        named = scene.first.message(v4.REQUEST, {50: address.to_bytes(4, "big")})
        scene.first.ask_all(named, 6.0)
        scene.site.etcd.resume(0)
    scene.serving()
    scene.recorder.mark("audit")
    scene.confirmed(lambda: scene.first.reboot(address, 2.0))
    return scene.close()


def clock_steps(lab: Lab, build: str) -> History:
    """The node's wall clock steps by two hours, longer than a lease; then somebody asks for another's address."""
    scene = Scene(lab, build).open()
    address = scene.bind(scene.first)
    with scene.recorder.fault("F22", "two hours ahead"):
        scene.clock.set("+7200")
        time.sleep(2.0)
        scene.take(scene.second, address)
    return scene.close()


def node_sleeps(lab: Lab, build: str) -> History:
    """The node is stopped between its commit and the answer that tells it, and goes on eight seconds later."""
    scene = Scene(lab, build).open()
    offer = scene.first.discover()
    with scene.recorder.fault("F21", "the node"):
        with scene.replies_lost():
            scene.first.send(scene.first.selecting(offer))
            time.sleep(0.3)
            scene.node.pause()
        time.sleep(8.0)
        scene.node.resume()
    time.sleep(2.0)
    scene.serving()
    scene.bind(scene.second)
    return scene.close()


@dataclass(frozen=True)
class Planted:
    """A bug, the scene that exposes it, and the invariants that it breaks there."""

    build: str
    scene: Callable[[Lab, str], History]
    breaks: frozenset[str]


BUGS = (
    Planted("ack_before_commit", store_pauses, frozenset({"I2"})),
    Planted("second_address", answers_are_lost, frozenset({"I6"})),
    Planted("serializable_read", a_member_lags, frozenset({"I1", "I15"})),
    Planted("nak_on_error", store_is_gone, frozenset({"I3"})),
    Planted("local_clock", clock_steps, frozenset({"I1", "I15"})),
    Planted("shared_counter", answers_are_lost, frozenset({"I8"})),
    Planted("stale_answer", node_sleeps, frozenset({"I5"})),
)
