"""Token buckets by key: a client, a circuit, a link. An outsider may choose the keys, so that their number is bounded.

Law: a key that is forgotten begins with a full bucket; so a flood of new keys costs its sender's neighbours nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

GENERATION: Final = 32_768
"""Keys that are remembered, twice: a young and an old generation. A MAC's entry takes 200 octets."""


class Buckets:
    """rate: tokens per second, 0 = no limit; seconds: how long a bucket takes to fill, which is what it holds."""

    __slots__ = ("_most", "_old", "_seconds", "_size", "_young", "rate")

    def __init__(self, rate: float = 0.0, seconds: float = 1.0, most: int = GENERATION) -> None:
        self._seconds = seconds
        self._most = most
        self._young: dict[Hashable, tuple[float, float]] = {}
        self._old: dict[Hashable, tuple[float, float]] = {}
        self.limit(rate)

    def limit(self, rate: float) -> None:
        """Another rate from now on."""
        self.rate = rate
        self._size = max(rate * self._seconds, 1.0)

    def allows(self, key: Hashable, now: float) -> bool:
        """Take one token, if there is one; now: seconds of a clock that does not jump."""
        rate, size = self.rate, self._size
        if not rate:
            return True
        known = self._young.get(key) or self._old.get(key)
        tokens = size if known is None else min(known[0] + (now - known[1]) * rate, size)
        if len(self._young) >= self._most:
            self._young, self._old = {}, self._young
        self._young[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1
