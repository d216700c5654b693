"""Starts a stream of commits (`store.stream`), and reads what it saw."""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from everlease.lab.processes import Loopback, Place, Process, wait_until
from everlease.runtime.committer import COMMITTED

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Change:
    """One change as its sender saw it; seconds of CLOCK_MONOTONIC."""

    number: int
    sent: float
    settled: float
    outcome: int
    revision: int


class Witness:
    """A running stream of `rate` commits per second."""

    def __init__(
        self,
        folder: Path,
        endpoints: Sequence[str],
        *,
        rate: int = 200,
        place: Place | None = None,
        tls: Path | None = None,
    ) -> None:
        self.log = folder / "stream.log"
        words = ["-m", "store.stream", "/test", str(rate), str(tls or "-"), *endpoints]
        command = (place or Loopback()).command([sys.executable, *words])
        self.process = Process(command, self.log, {"PYTHONPATH": str(TESTS)})
        self.wait_for_commits(20)

    def lines(self, kind: str) -> list[list[str]]:
        """The words of every complete line of a kind."""
        text = self.log.read_text()
        whole = text[: text.rfind("\n") + 1]
        return [words[1:] for line in whole.splitlines() if (words := line.split()) and words[0] == kind]

    def changes(self) -> list[Change]:
        """Every settled change, in the order in which they were settled."""
        return [
            Change(int(n), float(sent), float(settled), int(outcome), int(revision))
            for n, sent, settled, outcome, revision in self.lines("change")
        ]

    def committed(self) -> list[Change]:
        """Those that were confirmed."""
        return [change for change in self.changes() if change.outcome == COMMITTED]

    def events(self) -> list[tuple[int, int, float]]:
        """(number, revision, when) of each lease that came through the watch."""
        return [(int(number), int(revision), float(at)) for number, revision, at in self.lines("event")]

    def wait_for_commits(self, count: int, timeout: float = 20.0) -> None:
        """Until `count` more are confirmed."""
        goal = len(self.committed()) + count
        wait_until(lambda: len(self.committed()) >= goal or self._ended(), timeout, f"{count} commits")
        assert not self._ended(), self.process.tail()

    def _ended(self) -> bool:
        return self.process.returncode is not None

    def stop(self) -> None:
        """Let it settle what is on its way, and end."""
        code = self.process.stop(10.0)
        assert code == 0, self.process.tail()

    def count(self, kind: str) -> int:
        """A number that it said at its end: `hedges`, `loads`."""
        return int(self.lines(kind)[0][0])

    # --- what it saw -----------------------------------------------------------------------------------------------

    def longest_gap(self, since: float) -> float:
        """Seconds between two confirmed commits, the longest after `since`."""
        times = [since, *sorted(change.settled for change in self.committed() if change.settled > since)]
        assert len(times) > 1, self.process.tail()
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def slowest(self, since: float) -> float:
        """Seconds from asking to being confirmed, the longest of the changes asked for after `since`."""
        return max(change.settled - change.sent for change in self.committed() if change.sent > since)

    def lag(self, since: float) -> float:
        """Seconds from a confirmed commit to its event, the longest of those confirmed after `since`."""
        seen = {number: at for number, _, at in self.events()}
        return max(seen[each.number] - each.settled for each in self.committed() if each.settled > since)

    def assert_nothing_lost_or_doubled(self) -> None:
        """Each confirmed change came to the view once, at the revision at which it was confirmed."""
        events = self.events()
        counts = Counter(number for number, _, _ in events)
        assert [number for number, times in counts.items() if times > 1] == []
        assert {(each.number, each.revision) for each in self.committed()} <= {
            (n, revision) for n, revision, _ in events
        }

    def assert_in_order(self) -> None:
        """What the watch told, it told in the order in which it happened."""
        revisions = [revision for _, revision, _ in self.events()]
        assert revisions == sorted(revisions)


def now() -> float:
    """CLOCK_MONOTONIC, as the stream uses it."""
    return time.monotonic()
