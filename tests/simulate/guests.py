"""Clients that behave as real ones do: they ask again, renew at T1, rebind at T2, and begin anew at the end.

Law: a client uses an address from the ACK that it accepts until the end of its lease, counted from when it sent the
first REQUEST of that conversation; it stops at RELEASE, DECLINE, NAK, or when it begins again with DISCOVER.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from everlease.runtime.gate import STALE
from everlease.wire import v4
from simulate.loop import Handle
from simulate.wires import EVERYBODY, Wire
from simulate.world import World

OFF, SELECTING, REQUESTING, REBOOTING, BOUND, RENEWING, REBINDING = (
    "off", "selecting", "requesting", "rebooting", "bound", "renewing", "rebinding",
)  # fmt: skip

PARAMETERS: Final = bytes([1, 3, 6, 15, 28, 51, 54, 58, 59])

AWAY: Final = 1.0 + STALE + 0.1
"""Seconds after a RELEASE until it is nowhere any more: not late on a wire, nor unread by a node that stood still.
Nothing in it says which of a client's bindings it ends (RFC 2131 section 4.4.6), so no server can tell it from one of
the next."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client asks. waits: seconds before each retransmission, the last one again and again; patience: how often
    it sends a REQUEST before it begins anew; new_xid: with each retransmission."""

    waits: tuple[float, ...] = (1.0, 2.0, 4.0)
    patience: int = 4
    new_xid: bool = False
    picky: float = 0.0


class Guest:
    """One client. used(guest, until): tells that it uses `address` from now on; left(guest): not any more."""

    def __init__(self, world: World, mac: bytes, wire: Wire, manner: Manner) -> None:
        self.world = world
        self.mac = mac
        self.wire = wire
        self.manner = manner
        self.state = OFF
        self.address = 0
        self.server = 0
        self.until = 0.0
        self.lifetime = 0
        self.claims = 0
        self.used: Callable[[Guest], None] = lambda _guest: None
        self.naked: Callable[[Guest, str], None] = lambda _guest, _node: None
        self._offer: v4.Packet | None = None
        self._xid = 0
        self._tries = 0
        self._asked = 0.0
        self._back = 0.0
        self._timer: Handle | None = None
        wire.clients[mac] = self

    @property
    def name(self) -> str:
        return f"client {self.mac[-1]:02x}"

    def uses(self, address: int) -> bool:
        """Whether the client believes now that the address is its own."""
        return bool(self.address) and self.address == address and self.world.now < self.until

    # --- what happens to it ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Switched on, knowing nothing; or everything over again."""
        self.give_up()
        if self.world.now < self._back:
            self._wait(self._back - self.world.now, self.start)
        else:
            self._begin(SELECTING)

    def reboot(self) -> None:
        """Power was lost: it remembers its address and asks whether that still holds."""
        if self.uses(self.address):
            self._begin(REBOOTING)
        else:
            self.start()

    def release(self) -> None:
        """It goes, and says so."""
        if self.uses(self.address):
            self.world.note(f"{self.name} releases {show(self.address)}")
            self._xid = self.world.chance.getrandbits(32)
            packet = self._packet(v4.RELEASE, {54: self.server.to_bytes(4, "big")}, self.address)
            self.give_up()
            self._back = self.world.now + AWAY
            self.wire.ask(packet, self.server)
        self.leave()

    def leave(self) -> None:
        """Switched off without a word; its lease goes on."""
        self._wait(None)
        self.state = OFF

    def decline(self) -> None:
        """Somebody answers at its address, it believes: it gives it back and begins anew."""
        self.world.note(f"{self.name} declines {show(self.address)}")
        options = {50: self.address.to_bytes(4, "big"), 54: self.server.to_bytes(4, "big")}
        self._xid = self.world.chance.getrandbits(32)
        self.wire.ask(self._packet(v4.DECLINE, options))
        self.give_up()
        self._wait(3.0, self.start)

    def give_up(self) -> None:
        """It does not use its address any more."""
        self.address, self.until = 0, 0.0

    # --- asking ---------------------------------------------------------------------------------------------------

    def _begin(self, state: str) -> None:
        self.state, self._tries = state, 0
        self._xid = self.world.chance.getrandbits(32)
        self._asked = 0.0
        self._speak()

    def _speak(self) -> None:
        if self.state == SELECTING and self.address:
            self.give_up()
        if self._is_tired():
            self.start()
            return
        if self.manner.new_xid and self._tries:
            self._xid = self.world.chance.getrandbits(32)
            self._asked = 0.0
        self._asked = self._asked or self.world.now
        packet, to = self._message()
        self._tries += 1
        kind = v4.MESSAGE_NAMES[packet.message_type]
        self.world.note(f"{self.name} {self.state} -> {kind} {show(_about(packet))} xid {self._xid:08x}")
        self.wire.ask(packet, to)
        self._wait(self._next(), self._again)

    def _is_tired(self) -> bool:
        return self.state in (REQUESTING, REBOOTING) and self._tries >= self.manner.patience

    def _again(self) -> None:
        now = self.world.now
        if self.state in (RENEWING, REBINDING) and now >= self.until:
            self.world.note(f"{self.name}: the lease of {show(self.address)} has ended")
            self.start()
        elif self.state == RENEWING and now >= self._t2:
            self._begin(REBINDING)
        else:
            self._speak()

    def _next(self) -> float:
        """Seconds until it asks again."""
        chance, now = self.world.chance, self.world.now
        if self.state in (RENEWING, REBINDING):
            end = self._t2 if self.state == RENEWING else self.until
            return min(max((end - now) / 2, 2.0), max(end - now, 0.0) + 0.01)
        waits = self.manner.waits
        return waits[min(self._tries, len(waits)) - 1] * chance.uniform(0.85, 1.15)

    def _message(self) -> tuple[v4.Packet, int]:
        if self.state == SELECTING:
            return self._packet(v4.DISCOVER, {}), EVERYBODY
        if self.state == REQUESTING:
            assert self._offer is not None
            offer = self._offer
            return self._packet(v4.REQUEST, {50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]}), EVERYBODY
        if self.state == REBOOTING:
            return self._packet(v4.REQUEST, {50: self.address.to_bytes(4, "big")}), EVERYBODY
        return self._packet(v4.REQUEST, {}, self.address), self.server if self.state == RENEWING else EVERYBODY

    def _packet(self, kind: int, options: dict[int, bytes], ciaddr: int = 0) -> v4.Packet:
        flags = 0 if ciaddr else v4.BROADCAST_FLAG
        asked = {} if kind in (v4.RELEASE, v4.DECLINE) else {55: PARAMETERS}
        return v4.Packet(
            xid=self._xid, chaddr=self.mac, flags=flags, ciaddr=ciaddr, options={53: bytes((kind,)), **options, **asked}
        )

    def _wait(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None and then is not None:
            self._timer = self.world.loop.outside(seconds, then)

    # --- hearing --------------------------------------------------------------------------------------------------

    def hear(self, packet: v4.Packet, node: str) -> None:
        kind = packet.message_type
        if packet.xid != self._xid or self.state in (OFF, BOUND):
            return
        if kind == v4.OFFER and self.state == SELECTING:
            self.world.note(f"{self.name} <- OFFER {show(packet.yiaddr)} from {node}")
            self._offer, self.state, self._tries, self._asked = packet, REQUESTING, 0, 0.0
            self._speak()
        elif kind == v4.ACK and self.state in (REQUESTING, REBOOTING, RENEWING, REBINDING):
            self._bind(packet, node)
        elif kind == v4.NAK and self.state in (REQUESTING, REBOOTING, RENEWING, REBINDING):
            self.world.note(f"{self.name} <- NAK from {node} in {self.state}")
            self.naked(self, node)
            self.give_up()
            self.state = OFF
            self._wait(self.world.chance.uniform(0.1, 1.0), self.start)

    def _bind(self, packet: v4.Packet, node: str) -> None:
        self.lifetime = int.from_bytes(packet.options[51], "big")
        before = self.address
        self.address, self.server = packet.yiaddr, int.from_bytes(packet.options[54], "big")
        self.until = self._asked + self.lifetime
        self.world.note(f"{self.name} <- ACK {show(self.address)} for {self.lifetime} s from {node} in {self.state}")
        if before and before != self.address:
            self.world.violate("I10", f"{self.name} had {show(before)} and was given {show(self.address)}")
        self.state = BOUND
        self.claims += 1
        self._t2 = self._asked + int.from_bytes(packet.options[59], "big")
        t1 = self._asked + int.from_bytes(packet.options[58], "big")
        self._wait(max(t1 - self.world.now, 0.0), self._renew)
        self.used(self)

    def _renew(self) -> None:
        self._begin(RENEWING)


def show(address: int) -> str:
    """As people write it."""
    return ".".join(map(str, address.to_bytes(4, "big"))) if address else "-"


def _about(packet: v4.Packet) -> int:
    return packet.ciaddr or int.from_bytes(packet.options.get(50, b""), "big")
