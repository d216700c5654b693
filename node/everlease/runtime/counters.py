"""What the node counts: plain ints and arrays, read by `everlease.metrics` at scrape time.

The law of this file: counting costs less than a tenth of a microsecond and never a label look-up by string formatting;
every known label exists from the start, at zero. Names and labels are those that operators' dashboards rely on.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from everlease.core.actions import DROP_REASONS, OPERATIONS, RESULTS
from everlease.runtime.sockets import UNSENT

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds of every histogram of durations, in seconds."""

BATCH_SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Bounds of `commit_batch_size`, in changes."""

PHASES: Final = ("socket", "decide", "queue", "commit", "send")
"""Label values of `phase`: in the kernel's queue, deciding, waiting for a batch, in etcd, leaving."""

COMMIT_RESULTS: Final = ("committed", "fenced", "unknown", "refused")
"""Label values of `result` of a batch: refused = the store would not take it (bad request, no space).
What is unknown or refused is nobody's: its member is ""."""

SILENT, IN_USE, BELIEVED, UNPROBED = "silent", "in_use", "believed", "unprobed"
PINGS: Final = (SILENT, IN_USE, BELIEVED, UNPROBED)
"""Label values of `result` of a ping check: no answer; somebody else's; silent a short time ago; not asked (no socket
allowed, or too many at once)."""


UPKEEP: Final = (
    "compact", "defragment", "disarm", "move_leader", "snapshot", "remove_presence", "remove_document",
    "remove_index",
)  # fmt: skip
UPKEEP_RESULTS: Final = ("done", "failed")
"""Label values of what the keeper does, and how it ended."""


FOLD_EVERY: Final = 0.5
"""Seconds between two times at which what was observed is sorted into buckets, if nobody looks before."""

MANY: Final = 500
"""Values after which the loop has its turn: a fifth of a millisecond."""


class Histogram:
    """Counts per bucket (the last one is +Inf), not cumulative, and the sum of all values. observe: takes one value.

    Values are put aside and sorted together: 0.13 us each, where looking for each one's bucket took 0.31 us.
    """

    __slots__ = ("_buckets", "_fresh", "_total", "bounds", "observe")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self._buckets = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._fresh: list[float] = []
        self.observe: Callable[[float], None] = self._fresh.append

    def fold(self) -> int:
        """Sort into buckets what was put aside; returns how many values."""
        values = sorted(self._fresh)
        self._fresh.clear()
        self._total += sum(values)
        below = 0
        for number, bound in enumerate(self.bounds if values else ()):
            here = bisect_right(values, bound, below)
            self._buckets[number] += here - below
            below = here
        self._buckets[-1] += len(values) - below
        return len(values)

    @property
    def buckets(self) -> list[int]:
        """Counts, up to now."""
        self.fold()
        return self._buckets

    @property
    def total(self) -> float:
        """The sum of all values, up to now."""
        self.fold()
        return self._total

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.buckets)


class Counters:
    """Everything that one node counts. Written by the runtime's rooms, read by the edges; all of it on one loop.

    received, sent: by operation; dropped: by reason; durations: by (operation, result), kernel receive to reply sent;
    phases: by phase; changes: bindings changed for their clients, by (subnet, kind of change); relayed: those of
    clients behind relays, by subnet; backed_up_at: when the last backup taken through this node was begun, seconds UTC;
    commits: by (member, result); hedges: by member; takeovers: by (link or "relay", taken from).
    pings: addresses probed before an offer, by result; upkeep: what the keeper did, by (action, result);
    unsent: replies that the kernel refused, by reason; config_errors: revisions that could not be loaded; log_lost: log
    lines dropped because nobody read them; ledger_lost: the same of the lines for bindings (--log-leases=WHERE);
    rogues: link -> servers of the last look that are no members (--rogue-probe).
    """

    __slots__ = (
        "backed_up_at", "batch_size", "changes", "commits", "config_errors", "conflicts", "dropped", "durations",
        "hedges", "ledger_lost", "log_lost", "phases", "pings", "received", "relayed", "rogues", "sent", "swept",
        "takeovers", "unsent", "upkeep",
    )  # fmt: skip

    def __init__(self) -> None:
        self.received = dict.fromkeys(OPERATIONS, 0)
        self.sent = dict.fromkeys(OPERATIONS, 0)
        self.unsent = dict.fromkeys(UNSENT, 0)
        self.dropped = dict.fromkeys(DROP_REASONS, 0)
        self.durations = {(operation, result): Histogram() for operation in OPERATIONS for result in RESULTS}
        self.phases = {phase: Histogram() for phase in PHASES}
        self.commits = {("", result): Histogram() for result in ("unknown", "refused")}
        self.batch_size = Histogram(BATCH_SIZES)
        self.hedges: dict[str, int] = {}
        self.takeovers: dict[tuple[str, str], int] = {}
        self.pings = dict.fromkeys(PINGS, 0)
        self.upkeep = {(action, result): 0 for action in UPKEEP for result in UPKEEP_RESULTS}
        self.changes: dict[tuple[int, int], int] = {}
        self.relayed: dict[int, int] = {}
        self.backed_up_at = 0.0
        self.conflicts = 0
        self.config_errors = 0
        self.log_lost = 0
        self.ledger_lost = 0
        self.rogues: dict[str, int] = {}
        self.swept = 0

    def changed(self, subnet: int, kind: int, *, relayed: bool) -> None:
        """Count one binding that was changed. kind: of core.actions."""
        self.changes[subnet, kind] = self.changes.get((subnet, kind), 0) + 1
        if relayed:
            self.relayed[subnet] = self.relayed.get(subnet, 0) + 1

    async def run(self) -> None:
        """Keep what is put aside small, until cancelled."""
        while True:
            await asyncio.sleep(FOLD_EVERY)
            for _ in self.fold():
                await asyncio.sleep(0)

    def fold(self) -> Iterator[None]:
        """Sort what was put aside, in slices."""
        for histogram in tuple(self._histograms()):
            if histogram.fold() > MANY:
                yield

    def _histograms(self) -> Iterator[Histogram]:
        yield from self.phases.values()
        yield from self.durations.values()
        yield from self.commits.values()
        yield self.batch_size

    def know_members(self, members: Iterable[str]) -> None:
        """The store's members as they are configured: their counters begin at zero."""
        for member in members:
            self.hedges.setdefault(member, 0)
            for result in ("committed", "fenced"):
                self.commits.setdefault((member, result), Histogram())

    def committed(self, member: str, result: str, seconds: float) -> None:
        """Count one batch's outcome; result: one of COMMIT_RESULTS."""
        histogram = self.commits.get((member, result))
        if histogram is None:
            histogram = self.commits[member, result] = Histogram()
        histogram.observe(seconds)

    def hedged(self, member: str) -> None:
        """Count one batch that was sent to a second member because `member` was slow."""
        self.hedges[member] = self.hedges.get(member, 0) + 1

    def lose_line(self) -> None:
        """Count one log line that nobody read."""
        self.log_lost += 1

    def lose_binding(self) -> None:
        """Count one line of `--log-leases=WHERE` that could not be written."""
        self.ledger_lost += 1

    def took_over(self, link: str, owner: str) -> None:
        """Count one client of `owner` that this node answered in its place."""
        self.takeovers[link, owner] = self.takeovers.get((link, owner), 0) + 1
