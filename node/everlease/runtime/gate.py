"""Who gets in: what is dropped before it costs a decision, the cheapest test first.

The law of this file: beyond capacity, work that would be thrown away later is not begun. DISCOVERs are shed before
selecting REQUESTs, and those before renewals, by two bytes of the packet and without parsing it; every table that an
outsider can fill is bounded.
"""

from __future__ import annotations

from typing import Final

from everlease.core.identity import circuit_of
from everlease.core.model import Limits
from everlease.runtime.buckets import Buckets
from everlease.runtime.lifeline import DRAINING, Lifeline
from everlease.runtime.sockets import Datagram
from everlease.wire import v4
from everlease.wire.v4 import Packet

STALE: Final = 2.0
"""Seconds in the socket's queue after which the client has asked again, or is about to (udhcpc after 3 s)."""

SHED_DISCOVER, SHED_REQUEST = 0.3, 0.8
"""Seconds in the socket's queue that say that we are behind: an ACK shall be younger than 1 s when it leaves."""

QUEUE_FOR_DISCOVER: Final = 500
"""Changes waiting for etcd above which no new conversation is begun: their REQUESTs would not find room."""

# Option 53 comes first in nearly every client's packet; one that hides it is served as a renewal is.
_TYPE = slice(240, 243)
_DISCOVER, _REQUEST = b"\x35\x01\x01", b"\x35\x01\x03"
_CIADDR, _CHADDR = slice(12, 16), slice(28, 44)
_NONE = bytes(4)
_NOBODY = bytes(16)

BEHIND: Final = 10.0
"""Seconds after a moment of being behind in which a client's retransmission says nothing about other nodes."""

MINUTE: Final = 60.0
"""Seconds of notices that a bucket holds: who declines three addresses in a row is unlucky, not wicked."""

PORTS: Final = 8_192
"""Circuits that are remembered, twice: an entry takes half a kilobyte where relays write long names."""

_NOTICES: Final = (v4.DECLINE, v4.RELEASE)
_RELAY_INFORMATION = 82


class Gate:
    """Asked for each packet: before it is parsed, and again when it was.

    queue: how many changes wait; closed: nobody gets in any more, but those who write to `shared`: an address of the
    service as a whole (0 = none), which leads here until the network has noticed that this node leaves.
    """

    def __init__(self, lifeline: Lifeline) -> None:
        self._lifeline = lifeline
        self.queue = 0
        self.closed = False
        self.shared = 0
        self._behind_until = 0.0
        self._clients = Buckets()
        self._circuits = Buckets(most=PORTS)
        self._links = Buckets(most=PORTS)
        self._decliners = Buckets(seconds=MINUTE)
        self._declines = Buckets(seconds=MINUTE, most=PORTS)
        self._releases = Buckets(seconds=MINUTE, most=PORTS)
        self.limit(Limits())

    def limit(self, limits: Limits) -> None:
        """As the configuration in force says."""
        self._clients.limit(limits.packets_per_client)
        self._circuits.limit(limits.packets_per_circuit)
        self._links.limit(limits.packets_per_link)
        self._decliners.limit(limits.declines_per_client)
        self._declines.limit(limits.declines_per_circuit)
        self._releases.limit(limits.releases_per_circuit)
        self._weighs_all = bool(limits.packets_per_circuit or limits.packets_per_link)

    def refuses(self, datagram: Datagram, now: float) -> str:
        """Why the packet is dropped unread, "" = it is not. now: CLOCK_BOOTTIME."""
        age = now - datagram.received_at
        if not self._lifeline.ready() and self._lifeline.state != DRAINING:
            return "not_serving"  # before its age: what waited while the process stood still, others have answered
        if age > STALE:
            return "stale"
        if self.closed and (not self.shared or datagram.destination != self.shared):
            return "draining"
        if age > SHED_DISCOVER or self.queue > QUEUE_FOR_DISCOVER:
            self._behind_until = now + BEHIND
            if _is_shed(datagram.data, age):
                return "overload"
        hardware = datagram.data[_CHADDR]
        return "" if hardware == _NOBODY or self._clients.allows(hardware, now) else "rate_limit"

    def refuses_message(self, packet: Packet, link: str, now: float) -> str:
        """Why a packet is dropped that was read, "" = it is not. link: its label, "" for a relay's socket."""
        kind = packet.message_type
        if not (self._weighs_all or kind in _NOTICES):
            return ""
        if link and not self._links.allows(link, now):
            return "link_rate"
        # Without a relay it is the link: what a client says of itself is no evidence.
        giaddr = packet.giaddr
        circuit = circuit_of(giaddr, packet.options.get(_RELAY_INFORMATION, b"")) if giaddr else link
        if packet.giaddr and not self._circuits.allows(circuit, now):
            return "circuit_rate"
        if kind == v4.DECLINE:
            allowed = self._decliners.allows(packet.chaddr, now) and self._declines.allows(circuit, now)
            return "" if allowed else "decline_rate"
        return "release_rate" if kind == v4.RELEASE and not self._releases.allows(circuit, now) else ""

    def was_behind(self, now: float) -> bool:
        """Whether this node could not keep up a moment ago; the others, who hear the same, hardly could either."""
        return now < self._behind_until


def _is_shed(data: bytes, age: float) -> bool:
    kind = data[_TYPE]
    if kind == _DISCOVER:
        return True
    return kind == _REQUEST and age > SHED_REQUEST and data[_CIADDR] == _NONE
