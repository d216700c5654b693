"""Which revision was the newest one when: how far history may be forgotten. Pure.

The law of this file: history is kept for ten minutes, so that a watch that was away for less resumes; or for less, if
it fills a quarter of the smallest quota sooner.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

MARGIN: Final = 600.0
"""Seconds of history: a node that was away for longer reads the leases again."""

SHARE: Final = 0.25
"""Of the smallest quota, which history may take: the rest is for what lives, and for what defragmentation wins back."""

SPACING: Final = 5.0


@dataclass(frozen=True, slots=True)
class Mark:
    """At `at` (CLOCK_BOOTTIME) the newest revision was `revision`; `written`: bytes that were written until then."""

    at: float
    revision: int
    written: int


class Trail:
    """Marks of the last ten minutes. `note` whenever a revision was seen; every node does, for it may be the next."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._written = 0
        self._in_use = 0
        self._newest = 0

    def note(self, now: float, revision: int, in_use: int = 0) -> None:
        """The newest revision is now this; in_use: bytes that the largest database has in use, 0 = not known."""
        if revision < self._newest:  # etcd was restored from a snapshot: its past is another one
            self._marks.clear()
        self._newest = revision
        if in_use:
            self._written += max(in_use - self._in_use, 0) if self._in_use else 0
            self._in_use = in_use
        if not self._marks or now - self._marks[-1].at >= SPACING:
            self._marks.append(Mark(now, revision, self._written))
        while len(self._marks) > 1 and self._marks[1].at <= now - MARGIN:
            self._marks.popleft()

    def target(self, now: float, margin: float, quota: int) -> int:
        """The newest revision that is older than the margin (seconds), or before a quarter of the quota; 0 = none."""
        for mark in reversed(self._marks):
            if now - mark.at >= margin or (quota and self._written - mark.written >= SHARE * quota):
                return mark.revision
        return 0
