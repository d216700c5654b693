"""Who gets in: what is dropped before it costs a decision, the cheapest test first.

The law of this file: beyond capacity, work that would be thrown away later is not begun. DISCOVERs are shed before
selecting REQUESTs, and those before renewals, by two bytes of the packet and without parsing it; every table that an
outsider can fill is bounded.
"""

from __future__ import annotations

from typing import Final

from everlease.runtime.lifeline import DRAINING, Lifeline
from everlease.runtime.sockets import Datagram

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

CLIENTS: Final = 32_768
"""Clients whose rate is remembered, twice: a young and an old generation."""


class Gate:
    """Asked once per packet, before it is parsed.

    queue: how many changes wait; rate: packets per second and client, 0 = any; closed: nobody gets in any more.
    """

    def __init__(self, lifeline: Lifeline) -> None:
        self._lifeline = lifeline
        self.rate = 10.0
        self.queue = 0
        self.closed = False
        self._behind_until = 0.0
        self._young: dict[bytes, tuple[float, float]] = {}
        self._old: dict[bytes, tuple[float, float]] = {}

    def refuses(self, datagram: Datagram, now: float) -> str:
        """Why the packet is dropped unread, "" = it is not. now: CLOCK_BOOTTIME."""
        age = now - datagram.received_at
        if age > STALE:
            return "stale"
        if self.closed:
            return "draining"
        if not self._lifeline.ready() and self._lifeline.state != DRAINING:
            return "not_serving"
        if age > SHED_DISCOVER or self.queue > QUEUE_FOR_DISCOVER:
            self._behind_until = now + BEHIND
            if _is_shed(datagram.data, age):
                return "overload"
        return "" if self._allows(datagram.data[_CHADDR], now) else "rate_limit"

    def was_behind(self, now: float) -> bool:
        """Whether this node could not keep up a moment ago; the others, who hear the same, hardly could either."""
        return now < self._behind_until

    def _allows(self, hardware: bytes, now: float) -> bool:
        """One token of the client's bucket, which holds a second's worth."""
        rate = self.rate
        if not rate or hardware == _NOBODY:
            return True
        tokens, at = self._young.get(hardware) or self._old.get(hardware) or (rate, now)
        tokens = min(tokens + (now - at) * rate, max(rate, 1.0))
        if len(self._young) >= CLIENTS:
            self._young, self._old = {}, self._young
        self._young[hardware] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


def _is_shed(data: bytes, age: float) -> bool:
    kind = data[_TYPE]
    if kind == _DISCOVER:
        return True
    return kind == _REQUEST and age > SHED_REQUEST and data[_CIADDR] == _NONE
