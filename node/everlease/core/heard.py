"""Packets heard again: how many times a client has asked the same thing, whatever its transaction id and `secs`.

The law of this file: the count rises only for a copy that a client can have sent because nobody answered. Copies that
come together (two relays, a bridge) count once. The table is bounded; the oldest entry goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from everlease.wire.v4 import REQUEST, Packet

SOONEST: Final = 0.7
"""Seconds. No client retransmits earlier: DHCPv6 clients after 0.9 s, udhcpc after 3, the others after 4.5 or more."""

LATEST: Final = 30.0
"""Seconds after the first copy: what comes later is a new conversation."""

SELECTING, EXTENDING = 0x100, 0x200

CAPACITY: Final = 65_536


def kind_of(packet: Packet) -> int:
    """What a client is asking: the message type, and for a REQUEST its state by what it carries (RFC 2131 4.3.6).

    So a client that restarts or renews right after it was bound is not taken for one that nobody answered.
    """
    kind = packet.message_type
    if kind == REQUEST:
        kind |= (SELECTING if 54 in packet.options else 0) | (EXTENDING if packet.ciaddr else 0)
    return kind


class Heard:
    """Counts copies by (identity, link, kind of message). Times are of any one clock that does not go back."""

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        # A plain dict finds its oldest entry by walking over all that were deleted before it.
        self._entries: OrderedDict[tuple[bytes, str | int | None, int], tuple[float, float, int]] = OrderedDict()

    def note(self, identity: bytes, link: str | int | None, kind: int, now: float) -> int:
        """Count a packet; returns 1 for a first copy, 2 for the first retransmission...

        link: the link's label, or the relay's address; kind: see `kind_of`.
        """
        key = (identity, link, kind)
        entry = self._entries.get(key)
        if entry is None:
            return self._begin(key, now)
        if now - entry[0] > LATEST:
            del self._entries[key]  # the oldest go first: it begins anew at the end
            return self._begin(key, now)
        first, last, copies = entry
        if now - last < SOONEST:
            return copies
        self._entries[key] = (first, now, copies + 1)
        return copies + 1

    def first_at(self, identity: bytes, link: str | int | None, kind: int) -> float:
        """When the first copy of what `note` has just counted came."""
        return self._entries[identity, link, kind][0]

    def _begin(self, key: tuple[bytes, str | int | None, int], now: float) -> int:
        if len(self._entries) >= self._capacity:
            self._entries.popitem(last=False)
        self._entries[key] = (now, now, 1)
        return 1

    def __len__(self) -> int:
        return len(self._entries)
