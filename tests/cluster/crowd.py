"""Many clients on one wire, each of which behaves as real ones do (`lab.guest`), in the test's own hands.

Law: what a client sent and what it got is kept for the test to judge. Nobody lives on outside of `run`, and nobody
renews: for that, and for more than a few hundred clients, there is `faults.client`, a process of its own.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import IPv4Address
from random import Random

from everlease.lab.processes import LabError
from everlease.wire import v4
from lab.capture import Captured
from lab.guest import BOUND, PATIENT, REBOOTING, REQUESTING, SELECTING, Ack, Guest, acknowledged
from lab.packet_client import Talker

__all__ = ["Ack", "Crowd", "dotted"]


class Crowd:
    """`count` clients that talk through one client or relay; `number` tells crowds apart. `held`: no REQUEST leaves."""

    def __init__(self, talker: Talker, count: int, number: int = 1) -> None:
        self.talker = talker
        self.acks: list[Ack] = []
        self.held = False
        self.guests = [
            Guest(b"\x02\xc0" + bytes([number]) + index.to_bytes(3, "big"), PATIENT, Random(f"{number} {index}"))
            for index in range(count)
        ]
        self._by_mac = {guest.mac: guest for guest in self.guests}
        self._read = len(talker.capture.packets)

    # --- what a test asks for -----------------------------------------------------------------------------------------

    def boot(self, within: float = 1.0) -> None:
        """Switch everybody on, one after the other, all within so many seconds."""
        self._begin(SELECTING, within, self.guests)

    def reboot(self, within: float = 1.0, guests: Collection[Guest] | None = None) -> None:
        """Everybody (or these) has lost power: each asks for the address that it had (INIT-REBOOT)."""
        self._begin(REBOOTING, within, self.guests if guests is None else guests)

    def _begin(self, state: str, within: float, guests: Collection[Guest]) -> None:
        now = time.time()
        for index, guest in enumerate(guests):
            guest.sent.clear()
            begins = state if guest.ack is not None else SELECTING
            guest.begin(begins, now + within * index / len(guests))

    def run(self, until: Callable[[], bool], timeout: float) -> None:
        """Let the clients live until something is so; LabError, with who is left, after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            self.step()
            if until():
                return
            if time.monotonic() > end:
                raise LabError(f"not within {timeout} s: {self.describe()}")
            time.sleep(0.002)

    def step(self) -> None:
        """Read what came, send what is due."""
        packets = self.talker.capture.packets
        while self._read < len(packets):
            self._hear(packets[self._read])
            self._read += 1
        now = time.time()
        for guest in self.guests:
            waits = guest.state == BOUND or (self.held and guest.state == REQUESTING)
            if now >= guest.due and not waits:
                self.talker.send(guest.speak(now))

    def _hear(self, captured: Captured) -> None:
        packet = captured.packet
        if captured.sent or packet is None or packet.op != v4.BOOTREPLY:
            return
        guest = self._by_mac.get(packet.chaddr)
        if guest is None or guest.xid != packet.xid:
            return
        if captured.kind == "ACK":  # also a second one: nobody may be promised two addresses
            self.acks.append(acknowledged(packet, guest.asked, captured.time))
        guest.hear(packet, captured.time)

    def all_bound(self) -> bool:
        """Whether everybody has an address."""
        return all(guest.state == BOUND for guest in self.guests)

    def all_offered(self) -> bool:
        """Whether everybody has an offer, or more."""
        return all(guest.state != SELECTING for guest in self.guests)

    def most(self, kind: str) -> int:
        """The most messages of a kind that one client sent: 1 = nobody had to ask twice."""
        return max(guest.sent[kind] for guest in self.guests)

    def needed(self, kind: str) -> dict[int, int]:
        """How many clients sent so many of a kind: {1: 38, 2: 2}."""
        return dict(Counter(guest.sent[kind] for guest in self.guests))

    def describe(self) -> str:
        """For error messages."""
        left = [
            f"{guest.mac.hex(':')} {guest.state} {dict(guest.sent)}" for guest in self.guests if guest.state != BOUND
        ]
        naks = sum(guest.naks for guest in self.guests)
        return f"{len(self.guests) - len(left)} bound, {naks} NAKs; left: {left[:10]}"


def dotted(address: int) -> str:
    """For messages of assertions."""
    return str(IPv4Address(address))
