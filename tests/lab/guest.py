"""A DHCP client as a state machine: it asks again when nobody answers, and not before; it renews, rebinds, releases.

Law: nothing here reads a clock or a socket: the time is an argument (UTC seconds), messages are returned, answers are
handed in. A guest sends nothing that a real client would not, and is the same again from the same seed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from random import Random

from everlease.wire import v4
from lab.packet_client import PARAMETERS

SELECTING, REQUESTING, REBOOTING = "selecting", "requesting", "rebooting"
BOUND, RENEWING, REBINDING, GONE = "bound", "renewing", "rebinding", "gone"

HOLDING = frozenset((BOUND, RENEWING, REBINDING, REBOOTING))
"""States in which a client has an address (or believes that it has)."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a kind of client asks. waits: seconds before each further copy, the last one repeats; jitter: +- seconds.

    fresh_xid: every copy has an xid of its own; counts_secs: `secs` counts from the first copy, else it is 0;
    broadcasts: asks for replies by broadcast; client_id: sends option 61; give_up: seconds after which an unanswered
    REQUEST is given up for a DISCOVER.
    """

    name: str
    waits: tuple[float, ...] = (4.0, 8.0, 16.0)
    jitter: float = 1.0
    fresh_xid: bool = False
    counts_secs: bool = True
    broadcasts: bool = True
    client_id: bool = False
    give_up: float = 60.0


PATIENT = Behaviour("patient")
FRESH = Behaviour("fresh", fresh_xid=True, counts_secs=False, broadcasts=False)
QUICK = Behaviour("quick", waits=(1.0, 2.0, 4.0), jitter=0.25, counts_secs=False, client_id=True, give_up=15.0)
QUICK_FRESH = Behaviour("quick-fresh", waits=(1.0, 2.0, 4.0), jitter=0.25, fresh_xid=True, give_up=15.0)
MIXED = (PATIENT, FRESH, QUICK, QUICK_FRESH)


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
    """One client. due: when it acts next; copies: of the present message, `asked` when the first of them left.

    sent: messages by kind since it was switched on; renew_every: T1, 0 = as the server says.
    """

    mac: bytes
    behaviour: Behaviour
    random: Random
    renew_every: float = 0.0
    state: str = GONE
    due: float = inf
    xid: int = 0
    copies: int = 0
    asked: float = 0.0
    offer: v4.Packet | None = None
    ack: Ack | None = None
    t2_at: float = inf
    ends_at: float = inf
    sent: Counter[str] = field(default_factory=Counter)
    naks: int = 0

    def begin(self, state: str, now: float) -> None:
        """Enter a state in which it asks: a new conversation, whose first copy leaves at `now`."""
        self.state, self.due = state, now
        self.copies, self.asked = 0, 0.0
        if state != REQUESTING:  # RFC 2131 section 4.4.1: the REQUEST has the xid of the OFFER
            self.xid = self.random.getrandbits(32)

    def leave(self, now: float, *, releases: bool) -> v4.Packet | None:
        """Go for good: the RELEASE to send to its server, or None (it falls silent, or has nothing to give back)."""
        had = self.ack if self.state in HOLDING else None
        self.state, self.due, self.ends_at = GONE, inf, min(self.ends_at, now)
        if not releases or had is None:
            return None
        self.xid = self.random.getrandbits(32)
        self.sent["RELEASE"] += 1
        return self._message(v4.RELEASE, {54: had.server.to_bytes(4, "big")}, ciaddr=had.address)

    def decline(self, now: float) -> v4.Packet:
        """Somebody else uses the address: the DECLINE to send; after 10 s it begins again (RFC 2131 section 3.1.5)."""
        if self.ack is None:
            raise ValueError("nothing to decline")
        options = {50: self.ack.address.to_bytes(4, "big"), 54: self.ack.server.to_bytes(4, "big")}
        self.begin(SELECTING, now + 10.0)
        self.ack, self.offer = None, None
        self.sent["DECLINE"] += 1
        return self._message(v4.DECLINE, options)

    def speak(self, now: float) -> v4.Packet:
        """The message that is due, and when the next one will be."""
        self._advance(now)
        self.asked = self.asked or now
        if self.copies and self.behaviour.fresh_xid and self.state != REQUESTING:
            self.xid = self.random.getrandbits(32)
        message = self._ask()
        message.secs = min(int(now - self.asked), 0xFFFF) if self.behaviour.counts_secs else 0
        waits, jitter = self.behaviour.waits, self.behaviour.jitter
        self.due = now + waits[min(self.copies, len(waits) - 1)] + self.random.uniform(-jitter, jitter)
        if self.state == RENEWING:
            self.due = min(self.due, self.t2_at)
        self.copies += 1
        self.sent[v4.MESSAGE_NAMES[message.message_type]] += 1
        return message

    def _advance(self, now: float) -> None:
        """What time alone changes: T1, T2, the end of the lease, an attempt that is given up."""
        waited = now - self.asked if self.asked else 0.0
        if self.state == BOUND:
            self.begin(RENEWING, now)
        if self.state == RENEWING and now >= self.t2_at:
            self.begin(REBINDING, now)
        over = self.state == REBINDING and now >= self.ends_at
        if over or (self.state in (REQUESTING, REBOOTING) and waited > self.behaviour.give_up):
            self.ack = None if over else self.ack
            self.begin(SELECTING, now)

    def _ask(self) -> v4.Packet:
        if self.state == SELECTING:
            return self._message(v4.DISCOVER, {})
        if self.state == REQUESTING and self.offer is not None:
            named = {54: self.offer.options[54], 50: self.offer.yiaddr.to_bytes(4, "big")}
            return self._message(v4.REQUEST, named)
        if self.ack is None:
            raise ValueError(f"{self.state} without an address")
        if self.state == REBOOTING:
            return self._message(v4.REQUEST, {50: self.ack.address.to_bytes(4, "big")})
        return self._message(v4.REQUEST, {}, ciaddr=self.ack.address)

    def _message(self, kind: int, options: dict[int, bytes], ciaddr: int = 0) -> v4.Packet:
        identity = {61: b"\x01" + self.mac} if self.behaviour.client_id else {}
        listed = {55: PARAMETERS} if kind in (v4.DISCOVER, v4.REQUEST) else {}
        flags = v4.BROADCAST_FLAG if self.behaviour.broadcasts and not ciaddr else 0
        every = {53: bytes([kind]), **identity, **options, **listed}
        return v4.Packet(xid=self.xid, chaddr=self.mac, hlen=6, flags=flags, ciaddr=ciaddr, options=every)

    def hear(self, packet: v4.Packet, now: float) -> str:
        """A reply to this client: "OFFER", "ACK" or "NAK" if it is the answer to what it asks, else "" """
        kind = packet.message_type
        if packet.xid != self.xid or self.state in (GONE, BOUND):
            return ""
        if kind == v4.OFFER and self.state == SELECTING:
            self.offer = packet  # the first one is taken
            self.begin(REQUESTING, now)
            return "OFFER"
        if kind == v4.ACK and self.state != SELECTING:
            self._bind(packet, now)
            return "ACK"
        if kind == v4.NAK and self.state != SELECTING:
            self.naks += 1
            self.ack = None
            self.begin(SELECTING, now + 1.0)
            return "NAK"
        return ""

    def _bind(self, packet: v4.Packet, now: float) -> None:
        self.ack = acknowledged(packet, self.asked, now)
        lifetime = self.ack.lifetime
        t1 = self.renew_every or _seconds(packet, 58) or lifetime / 2
        t2 = min(_seconds(packet, 59) or lifetime * 0.875, self.renew_every * 1.75 or inf)
        spread = self.random.uniform(0.9, 1.0)  # RFC 2131 section 4.4.5: not all at once
        self.state, self.due = BOUND, self.asked + t1 * spread
        self.t2_at, self.ends_at = self.asked + t2, self.asked + lifetime


def acknowledged(packet: v4.Packet, asked: float, now: float) -> Ack:
    """What an ACK promises."""
    server = int.from_bytes(packet.options.get(54, b""), "big")
    return Ack(packet.chaddr, packet.yiaddr, server, int(_seconds(packet, 51)), asked, now)


def _seconds(packet: v4.Packet, option: int) -> float:
    return float(int.from_bytes(packet.options.get(option, b""), "big"))
