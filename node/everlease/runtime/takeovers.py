"""Nodes that hear a link and cannot answer it, or the other way round: alive by every heartbeat, and passed over.

The law of this file: three takeovers of a node on one link within ten seconds skip it there for a minute, twice as long
each time that it relapses, ten minutes at most. Then it is asked again: it comes back by itself. Times: cluster time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from everlease.store.records import Takeover, dotted

TAKEOVERS: Final = 3
WINDOW: Final = 10.0
FIRST, LONGEST = 60.0, 600.0
SLACK: Final = 60.0
"""Seconds by which clocks of nodes may differ here; who skips somebody for longer than may be is not believed."""


@dataclass(slots=True)
class _Skip:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=TAKEOVERS))
    span: float = 0.0
    until: float = 0.0


class Takeovers:
    """What this node found out by itself, for each place and node; `own` is what its presence publishes."""

    def __init__(self) -> None:
        self._skips: dict[tuple[str, str], _Skip] = {}

    def note(self, place: str, node: str, now: float) -> bool:
        """A client of this node was bound by us after it had asked again; whether the node is skipped from now on."""
        skip = self._skips.setdefault((place, node), _Skip())
        skip.times.append(now)
        if skip.until > now or len(skip.times) < TAKEOVERS or now - skip.times[0] > WINDOW:
            return False
        relapsed = skip.until and now - skip.until < LONGEST
        skip.span = min(2 * skip.span, LONGEST) if relapsed else FIRST
        skip.until = now + skip.span
        skip.times.clear()
        return True

    def own(self, now: float) -> list[Takeover]:
        """Whom this node skips, and until when."""
        return [Takeover(node, place, skip.until) for (place, node), skip in self._skips.items() if skip.until > now]

    def forget(self, now: float) -> None:
        """What was long ago says nothing of a node any more."""
        for key in [key for key, skip in self._skips.items() if _is_over(skip, now)]:
            del self._skips[key]


def _is_over(skip: _Skip, now: float) -> bool:
    return now - max(skip.until, *skip.times, 0.0) > LONGEST


def skipped(entries: Iterable[Takeover], now: float) -> frozenset[tuple[str, str]]:
    """(node, place) of those that are skipped now."""
    return frozenset((entry.node, entry.link) for entry in entries if now < entry.until <= now + LONGEST + SLACK)


def place_of(link: str, relay: int) -> str:
    """The name of a link, or of the wire behind a relay, in takeovers."""
    return f"relay {dotted(relay)}" if relay else link
