"""When to look at an address again: four bytes per entry, in buckets of a few seconds.

Law: an entry is a hint, never the truth; who takes one out looks at the row itself. So nothing is ever removed early: a
renewed lease leaves its old entry behind until that one's time comes. Pure: time is an argument, seconds UTC.
"""

from __future__ import annotations

from array import array
from heapq import heappop, heappush

WIDTH = 8
"""Seconds per bucket: an address is free that much later at most; a week of leases makes 75,000 buckets."""


class Schedule:
    """Addresses by due time. `push` while serving, `pop_due` in slices."""

    __slots__ = ("_buckets", "_heap")

    def __init__(self) -> None:
        self._buckets: dict[int, array[int]] = {}
        self._heap: list[int] = []

    def push(self, address: int, due: float) -> None:
        """Look at the address when `due` has passed (up to WIDTH seconds later)."""
        number = int(due) // WIDTH + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = array("I")
            heappush(self._heap, number)
        bucket.append(address)

    def pop_due(self, now: float, limit: int) -> list[int]:
        """At most `limit` addresses whose time has passed; fewer means that there are no more."""
        found: list[int] = []
        last = int(now) // WIDTH
        while self._heap and self._heap[0] <= last and len(found) < limit:
            bucket = self._buckets[self._heap[0]]
            want = limit - len(found)
            found.extend(bucket[-want:])
            del bucket[-want:]
            if not bucket:
                del self._buckets[heappop(self._heap)]
        return found
