"""Offers that live in this node's memory only: nobody else offers addresses of the buckets that this node owns.

The law of this file: an offer forgotten early costs one client one more DISCOVER at worst, because only a commit
promises anything; so the table is bounded, and the oldest offer goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from everlease.core.actions import Held

CAPACITY: Final = 65_536
"""Offers held at once: a flood of DISCOVERs fills about 20 MB and no more (30 s at 2,000 new clients per second)."""


class OfferTable:
    """Offers by client and by address; implements `core.situation.Offers`. Times are cluster time, seconds."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        # A plain dict finds its oldest entry by walking over all that were deleted before it.
        self._by_client: OrderedDict[tuple[str, bytes], Held] = OrderedDict()
        self._by_address: dict[tuple[str, int], Held] = {}

    def of(self, space: str, client: bytes, now: float) -> Held | None:
        """The address on offer to a client, or None."""
        held = self._by_client.get((space, client))
        return held if held is not None and held.until > now else None

    def holder(self, space: str, address: int, now: float) -> bytes | None:
        """The client to whom an address is on offer, or None."""
        held = self._by_address.get((space, address))
        return held.client if held is not None and held.until > now else None

    def hold(self, held: Held, now: float) -> None:
        """Remember an offer, in place of what the client had on offer before."""
        self.forget(held.space, held.client)
        other = self._by_address.get((held.space, held.address))
        if other is not None:
            self.forget(other.space, other.client)
        self._make_room(now)
        self._by_client[held.space, held.client] = held
        self._by_address[held.space, held.address] = held

    def forget(self, space: str, client: bytes) -> None:
        """The client took its offer, or another one; nothing happens if it had none."""
        held = self._by_client.pop((space, client), None)
        if held is not None:
            del self._by_address[space, held.address]

    def _make_room(self, now: float) -> None:
        # Two old ones out for each one in: the table shrinks to what is alive without ever being walked.
        for _ in range(2):
            oldest = next(iter(self._by_client.values()), None)
            if oldest is None or (oldest.until > now and len(self._by_client) < self._capacity):
                return
            self.forget(oldest.space, oldest.client)

    def __len__(self) -> int:
        return len(self._by_client)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._by_client.values())
