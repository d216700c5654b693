"""A reader over a narrowed run of octets: nobody who reads through it checks lengths, and nobody can read past it.

The law of this file: every step back or beyond is a `WireError`, and whoever opened a cursor calls `finish`, so that
octets left over are an error too.
"""

from __future__ import annotations

from everlease.errors import WireError


class Cursor:
    """Reads `data` from `position` to `end`; all integers are big-endian, as on the wire."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """Octets not yet read."""
        return self.end - self.position

    def take(self, length: int) -> bytes:
        """The next `length` octets; `WireError` if fewer are left."""
        return self.data[self._advance(length) : self.position]

    def uint(self, length: int) -> int:
        """An unsigned integer of `length` octets."""
        return int.from_bytes(self.take(length), "big")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def narrow(self, length: int) -> Cursor:
        """A cursor over the next `length` octets of the same data; this one moves behind them."""
        start = self._advance(length)
        return Cursor(self.data, start, self.position)

    def finish(self) -> None:
        """`WireError` if anything is left over."""
        if self.left:
            raise WireError(f"{self.left} octets too many")

    def _advance(self, length: int) -> int:
        start = self.position
        if length > self.end - start:
            raise WireError(f"{length} octets expected, {self.end - start} are left")
        self.position = start + length
        return start
