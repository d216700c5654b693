"""Cluster time: CLOCK_BOOTTIME plus an offset that the nodes agree on.

The law of this file: a step of one host's wall clock frees nothing and revives nothing. The offset starts at the wall
clock and follows the median of the fresh nodes' clocks; where two halves disagree, the later clock stamps expiry and
the earlier one permits reuse. A node whose own clock is off says so and grants nothing; the others do. Time that has
been stamped is not taken back: when the later half is corrected, time goes on a little slower until it is right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

JITTER: Final = 0.05
"""Seconds: published clocks arrive a commit and a watch late; following that would only make time tremble."""

SLOWER: Final = 1 / 16
"""Part of each second by which stamps that were too late come back to what the nodes agree on. Going back at once would
put the cluster behind its own newest grant, and silence all of it for as long as the clock had been wrong."""


boottime: Final[Callable[[], float]] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""CLOCK_BOOTTIME in seconds: runs on while the machine sleeps, and nobody can set it. Asked five times a packet: a
function around it would take three times as long (0.18 us)."""


class ClusterClock:
    """One node's idea of cluster time. `later` and `earlier` are seconds to add to CLOCK_BOOTTIME."""

    def __init__(self, boot: Callable[[], float] = boottime, wall: Callable[[], float] = time.time) -> None:
        self.boot = boot
        self.wall = wall
        self.later = self.earlier = wall() - boot()
        self.deviation = 0.0
        self.behind = 0.0
        self._followed_at = boot()

    def now(self) -> float:
        """Cluster time for stamping, seconds UTC."""
        return self.boot() + self.later

    def reuse_now(self) -> float:
        """Cluster time for judging whether somebody else's binding has ended, seconds UTC."""
        return self.boot() + self.earlier

    def wall_of(self, boot: float) -> float:
        """The cluster time at an instant of CLOCK_BOOTTIME."""
        return boot + self.later

    def follow(self, others: Sequence[float], newest_grant: int) -> None:
        """Take the median of the fresh nodes' clocks and the own one.

        others: their offsets to our CLOCK_BOOTTIME, seconds (published wall clock less when we saw it);
        newest_grant: the newest `granted_at` of the view, seconds UTC.
        """
        own = self.wall() - self.boot()
        if others:
            offsets = sorted([own, *others])
            middle = len(offsets) // 2
            self._move(offsets[middle - 1 + len(offsets) % 2], offsets[middle], newest_grant)
            self.deviation = max(own - self.later, self.earlier - own, 0.0)
        else:
            self._alone(own, newest_grant)
        self.behind = max(newest_grant - self.now(), 0.0)
        self._followed_at = self.boot()

    def _move(self, earlier: float, later: float, newest_grant: int) -> None:
        if abs(later - self.later) > JITTER:
            self.later = max(later, self._kept(newest_grant))
        if abs(earlier - self.earlier) > JITTER or self.earlier > self.later:
            self.earlier = min(earlier, self.later)

    def _kept(self, newest_grant: int) -> float:
        """How far the later clock may come back: to the newest stamp, or by going slower. Who is behind keeps none."""
        now = self.boot()
        stamped = newest_grant - now
        if stamped > self.later:
            return -now
        return min(stamped + 1, self.later - SLOWER * (now - self._followed_at))  # stamps are whole seconds

    def _alone(self, own: float, newest_grant: int) -> None:
        """With nobody to ask the offset stays; but a host that booted in 1970 may take the time it was told since."""
        self.deviation = 0.0
        if self.now() < newest_grant and own > self.later:
            self.later = self.earlier = own

    def trusted(self, margin: float) -> bool:
        """Whether this node may grant, renew, extend and reuse. margin: `clock-margin` of the cluster, seconds."""
        return not self.doubt(margin)

    def doubt(self, margin: float) -> str:
        """Why it may not, for people; "" = it may."""
        if self.deviation > margin / 2:
            return (
                f"the clock of this host differs from the cluster's by {self.deviation:.1f} s: "
                "check its time synchronisation"
            )
        if self.behind > margin / 2:
            return f"a lease was granted {self.behind:.0f} s after what the clocks say now: check their synchronisation"
        return ""
