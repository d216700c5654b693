"""Many clients on one wire, each of which behaves as real ones do: it asks again when nobody answers, and not before.

Law: a client sends nothing that a real client would not; what it sent and what it got is kept for the test to judge.
Timers are dhclient's: the first retransmission after 4 s, each wait twice the one before, up to 16 s, one second of
jitter; a client whose REQUEST stays unanswered for a minute, or is refused, begins again with DISCOVER.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from everlease.lab.processes import LabError
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import PARAMETERS, Talker

FIRST_WAIT, LONGEST_WAIT, JITTER, GIVE_UP = 4.0, 16.0, 1.0, 60.0
SELECTING, REQUESTING, BOUND, REBOOTING = "selecting", "requesting", "bound", "rebooting"


@dataclass(frozen=True, slots=True)
class Ack:
    """What a client was promised. asked: when its first REQUEST for it left; at: when the ACK came, both in UTC s."""

    mac: bytes
    address: int
    server: int
    lifetime: int
    asked: float
    at: float


@dataclass(slots=True, eq=False)
class Guest:
    """One client. sent: how many messages of each kind since it was switched on; due: when it acts (monotonic)."""

    mac: bytes
    due: float
    state: str = SELECTING
    xid: int = 0
    wait: float = 0.0
    asked: float = 0.0
    offer: Captured | None = None
    ack: Ack | None = None
    sent: Counter[str] = field(default_factory=Counter)
    naks: int = 0


class Crowd:
    """`count` clients that talk through one client or relay; `number` tells crowds apart. They live only in `run`."""

    def __init__(self, talker: Talker, count: int, number: int = 1) -> None:
        self.talker = talker
        self.acks: list[Ack] = []
        self.held = False
        self.guests = [Guest(b"\x02\xc0" + bytes([number]) + index.to_bytes(3, "big"), 0.0) for index in range(count)]
        self._by_mac = {guest.mac: guest for guest in self.guests}
        self._read = len(talker.capture.packets)
        self._random = random.Random(number)

    # --- what a test asks for -----------------------------------------------------------------------------------------

    def boot(self, within: float = 1.0) -> None:
        """Switch everybody on, one after the other, all within so many seconds."""
        now = time.monotonic()
        for index, guest in enumerate(self.guests):
            guest.sent.clear()
            self._begin(guest, SELECTING, now + within * index / len(self.guests))

    def reboot(self, within: float = 1.0, guests: Collection[Guest] | None = None) -> None:
        """Everybody (or these) has lost power: each asks for the address that it had (INIT-REBOOT)."""
        now = time.monotonic()
        chosen = self.guests if guests is None else guests
        for index, guest in enumerate(chosen):
            guest.sent.clear()
            self._begin(guest, REBOOTING, now + within * index / len(chosen))

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
        now = time.monotonic()
        for guest in self.guests:
            if guest.state != BOUND and now >= guest.due:
                self._speak(guest, now)

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

    # --- a client's life ----------------------------------------------------------------------------------------------

    def _begin(self, guest: Guest, state: str, due: float) -> None:
        guest.state, guest.due, guest.wait = state, due, FIRST_WAIT
        guest.xid = self._random.getrandbits(32)
        guest.asked = 0.0

    def _speak(self, guest: Guest, now: float) -> None:
        if guest.state == REQUESTING and self.held:
            return
        if guest.state != SELECTING and guest.asked and time.time() - guest.asked > GIVE_UP:
            self._begin(guest, SELECTING, now)
        message = self._message(guest)
        guest.asked = guest.asked or time.time()
        guest.sent[v4.MESSAGE_NAMES[message.message_type]] += 1
        guest.due = now + guest.wait + self._random.uniform(-JITTER, JITTER)
        guest.wait = min(2 * guest.wait, LONGEST_WAIT)
        self.talker.send(message)

    def _message(self, guest: Guest) -> v4.Packet:
        options: dict[int, bytes] = {53: bytes([v4.DISCOVER if guest.state == SELECTING else v4.REQUEST])}
        if guest.state == REQUESTING and guest.offer is not None and guest.offer.packet is not None:
            offer = guest.offer.packet
            options |= {54: offer.options[54], 50: offer.yiaddr.to_bytes(4, "big")}
        elif guest.state == REBOOTING and guest.ack is not None:
            options[50] = guest.ack.address.to_bytes(4, "big")
        options[55] = PARAMETERS
        return v4.Packet(xid=guest.xid, chaddr=guest.mac, hlen=6, flags=v4.BROADCAST_FLAG, options=options)

    def _hear(self, captured: Captured) -> None:
        packet = captured.packet
        if captured.sent or packet is None or packet.op != v4.BOOTREPLY:
            return
        guest = self._by_mac.get(packet.chaddr)
        if guest is None or guest.xid != packet.xid:
            return
        if captured.kind == "OFFER" and guest.state == SELECTING:
            guest.offer, guest.state, guest.due, guest.wait = captured, REQUESTING, 0.0, FIRST_WAIT
            guest.asked = 0.0
        elif captured.kind == "ACK":
            self._bind(guest, captured, packet)
        elif captured.kind == "NAK" and guest.state in (REQUESTING, REBOOTING):
            guest.naks += 1
            self._begin(guest, SELECTING, time.monotonic() + 1.0)

    def _bind(self, guest: Guest, captured: Captured, packet: v4.Packet) -> None:
        lifetime = int.from_bytes(packet.options[51], "big")
        ack = Ack(guest.mac, packet.yiaddr, captured.server, lifetime, guest.asked, captured.time)
        self.acks.append(ack)  # also a second one: nobody may be promised two addresses
        if guest.state in (REQUESTING, REBOOTING):
            guest.ack, guest.state = ack, BOUND


def dotted(address: int) -> str:
    """For messages of assertions."""
    return str(IPv4Address(address))
