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

STRIDE: Final = 0.125
"""Of the smallest quota, which may be written beyond that share until history is cut."""

SPACING: Final = 1.0
WEIGHT: Final = 0.2
"""Of a new sample in the running mean of bytes per revision."""


@dataclass(frozen=True, slots=True)
class Mark:
    """At `at` (CLOCK_BOOTTIME) the newest revision was `revision`; `written`: bytes that were written until then."""

    at: float
    revision: int
    written: float


class Trail:
    """Marks of the last ten minutes. `note` whenever a revision was seen; every node does, for it may be the next."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._written = 0.0
        self._in_use = 0
        self._newest = 0
        self._each = 0.0

    def note(self, now: float, revision: int, in_use: int = 0) -> None:
        """The newest revision is now this; in_use: bytes that the largest database has in use, 0 = not known."""
        if revision < self._newest:  # etcd was restored from a snapshot: its past is another one
            self._marks.clear()
            self._newest = self._in_use = 0
        if in_use:
            self._count(revision, in_use)
        if not self._marks or now - self._marks[-1].at >= SPACING:
            self._marks.append(Mark(now, revision, self._written))
        while len(self._marks) > 1 and self._marks[1].at <= now - MARGIN:
            self._marks.popleft()

    def _count(self, revision: int, in_use: int) -> None:
        """What was written since the last look: while a compaction frees at the same time, by what a revision takes."""
        revisions, grown = revision - self._newest, in_use - self._in_use
        if self._in_use and revisions > 0:
            if grown > 0:
                self._each += (WEIGHT if self._each else 1.0) * (grown / revisions - self._each)
            self._written += max(grown, self._each * revisions)
        self._newest, self._in_use = revision, in_use

    def target(self, now: float, margin: float, quota: int) -> int:
        """The newest revision that is older than the margin (seconds), or before a quarter of the quota; 0 = none."""
        for mark in reversed(self._marks):
            if now - mark.at >= margin or (quota and self._written - mark.written >= SHARE * quota):
                return mark.revision
        return 0

    def overflows(self, compacted: int, quota: int) -> bool:
        """Whether what was written since a revision is far more than its share, so that it cannot wait for a minute."""
        kept = next((mark for mark in self._marks if mark.revision >= compacted), None)
        return kept is not None and 0 < (SHARE + STRIDE) * quota <= self._written - kept.written
