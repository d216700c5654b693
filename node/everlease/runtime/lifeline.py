"""What this node is able to do, proved by its own commits: joining, serving, extending, degraded, draining, stopped.

The law of this file: `ready()` is false exactly when the node would be silent. A state is computed from facts that
other rooms report, never set by hand; a process that was stopped for a while knows nothing until its next echo.

An *echo* is the node's own presence coming back through the watch that feeds the view: everything that was committed
before that presence was sent is then in the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

JOINING: Final = "joining"
SERVING: Final = "serving"
EXTENDING: Final = "extending"
DEGRADED: Final = "degraded"
DRAINING: Final = "draining"
STOPPED: Final = "stopped"
STATES: Final = (JOINING, SERVING, EXTENDING, DEGRADED, DRAINING, STOPPED)

FRESH: Final = 1.0
"""Seconds: a write-free answer needs an echo of a presence sent no longer ago than this."""

GAP: Final = 1.0
"""Seconds that the loop may stand still; beyond, the process was stopped, and what it believes may be old."""

UNPROVED: Final = 3.0
"""Seconds without a confirmed commit after which the node does not serve."""


class Lifeline:
    """The facts, the state that follows from them, and whom to tell. All times are CLOCK_BOOTTIME, seconds.

    waiting_for: why the node cannot begin ("" = it can); refused: which configuration it could not load;
    leaderless: the reachable members have no leader; full: one says that there is no space, so that nobody can
    write; extends: the cluster extends known bindings meanwhile; comparing: the own clock has not been held against
    the others yet; clock_ok: it is trusted, else clock_says why not; cut_off: there is no link to serve; draining:
    why the node leaves ("" = it stays);
    told: each is called with (state, reason) when the state changes.
    """

    def __init__(self, boot: Callable[[], float], *told: Callable[[str, str], None]) -> None:
        self._boot = boot
        self.told = list(told)
        self.state = JOINING
        self.since = self._beat = self._woke = self._stood_still = boot()
        self.echo_at = self.committed_at = 0.0
        self.waiting_for = self.reason = "the store has not answered yet"
        self.refused = ""
        self.leaderless = self.full = False
        self._asked_at = 0.0
        self.extends = True
        self.comparing = False
        self.clock_ok = True
        self.clock_says = ""
        self.cut_off = False
        self.draining = ""
        self.stopped = False

    def beat(self, now: float) -> None:
        """Call this often, and before the first packet of a wake-up is looked at."""
        if now - self._beat > GAP:
            self._stood_still = now
            self.doubt(now)
        self._beat = now

    def doubt(self, now: float) -> None:
        """What was believed is no longer proved: join again, until an echo of something sent from now on."""
        self._woke = now
        self.evaluate(now)

    def echoed(self, sent_at: float, now: float) -> None:
        """The presence that was sent at `sent_at` came back through the watch."""
        self.echo_at = max(self.echo_at, sent_at)
        self.committed_at = max(self.committed_at, sent_at)
        self.evaluate(now)

    def committed(self, now: float) -> None:
        """A batch was confirmed."""
        self.committed_at = now
        self.leaderless = self.full = False
        if self.state in (EXTENDING, DEGRADED):
            self.evaluate(now)

    def learned(self, asked_at: float, now: float, *, leaderless: bool, full: bool) -> None:
        """What the members said of themselves when they were asked at `asked_at`."""
        self._asked_at, self.leaderless, self.full = asked_at, leaderless, full
        self.evaluate(now)

    def trust(self, doubt: str) -> None:
        """The clocks were compared; doubt: why the own one is not trusted, "" = it is."""
        self.comparing, self.clock_ok, self.clock_says = False, not doubt, doubt

    def fresh(self, now: float) -> bool:
        """Whether the view is proved to hold everything up to a second ago."""
        return now - self.echo_at <= FRESH and self.echo_at >= self._woke

    def ready(self) -> bool:
        """Whether the node would answer somebody."""
        return self.state in (SERVING, EXTENDING)

    def is_excused(self) -> bool:
        """Whether something outside of this process keeps it from proving that it serves."""
        away = self.waiting_for or self.comparing or self.refused or self.leaderless or self.full or self.cut_off
        return bool(away) or not self.clock_ok

    def evaluate(self, now: float) -> None:
        """Compute the state from the facts."""
        state, reason = self._judge(now)
        if (state, reason) != (self.state, self.reason):
            changed = state != self.state
            self.state, self.reason = state, reason
            if changed:
                self.since = now
                for tell in self.told:
                    tell(state, reason)

    def _judge(self, now: float) -> tuple[str, str]:
        if self.stopped:
            return STOPPED, "stopped"
        if self.draining:
            return DRAINING, self.draining
        if self.waiting_for:
            return JOINING, self.waiting_for
        if self.echo_at < self._woke and not self._slept_while_nobody_wrote():
            return JOINING, "waiting for the own presence to come back through the watch"
        if self.comparing:
            return JOINING, "waiting for the other nodes' clocks"
        if self.refused:  # what a newer document has taken away must not be extended either
            return DEGRADED, self.refused
        if not self.clock_ok:
            return DEGRADED, self.clock_says
        if self.cut_off:
            return DEGRADED, "no link to serve: every interface is gone, down or without carrier"
        if now - self.committed_at > UNPROVED or self.echo_at < self._woke:
            return self._unproved()
        return SERVING, "commits are confirmed"

    def _slept_while_nobody_wrote(self) -> bool:
        """Whether all that is unproved is a pause, and there is still no leader after it.

        A binding that the view has until a committed end is nobody else's before that end, however old the view is:
        a node that stood still for a moment may go on to extend it. It grants nothing, as nobody does.
        """
        only_a_pause = self._woke == self._stood_still and self.echo_at > 0
        return only_a_pause and self.leaderless and self._asked_at >= self._woke

    def _unproved(self) -> tuple[str, str]:
        trouble = "the store has no leader" if self.leaderless else "the store has no space" if self.full else ""
        if trouble and self.extends:
            return EXTENDING, f"{trouble}: known bindings are extended within what is committed"
        return DEGRADED, trouble or f"no commit was confirmed for {UNPROVED:.0f} s"
