"""Which member of etcd to ask: the fastest that answers, and never for long one that does not.

Law: a member is out after three misses in a row and comes back only when it has proved itself, three probes in a row.
Misses are in a row, not side by side: ten calls that hang together are one. Pure: the caller says what time it is
(seconds, monotonic).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MISSES_TO_EJECT = 3
PROOFS_TO_RETURN = 3
SUSPECT = 2
"""Misses after which a watch moves: that costs nothing, and a view that lags stops every write-free answer."""

WEIGHT = 0.2
"""Of a new sample in the running mean: five answers make a change of speed visible, one slow answer does not."""

LEADS = 0.5
"""What the leader's time counts for where a batch is sent: a follower hands it on, a hop more and work for two."""

SLOW = 0.1
"""Seconds above which the answers to batches count beside those to probes. Below, a batch's time says how much it
carried: the member that got them all was soon the slowest, and they wandered from one to the next."""

PROBE_EVERY = 1.0
"""Seconds between two probes of a member that answers; one that has missed or was outrun is asked at once."""

SHORTEST_EJECTION, LONGEST_EJECTION = 1.0, 30.0
"""Seconds until an ejected member is probed again: doubles while its probes fail."""


@dataclass(slots=True)
class Health:
    """What is known of one member. latency, light: running means of all answers and of those to probes, seconds;
    misses, proofs: in a row.

    missed, probed: when it did not answer last, and when it was asked for a proof, or was found to need none.
    """

    latency: float = 0.01
    light: float = 0.01
    misses: int = 0
    missed: float = float("-inf")
    proofs: int = 0
    ejected: bool = False
    probed: float = float("-inf")
    patience: float = SHORTEST_EJECTION


class Members:
    """The endpoints as configured (a member's advertised URLs may be unreachable from here), ranked. leader: "" = not
    known."""

    def __init__(self, names: Iterable[str]) -> None:
        self.leader = ""
        self._health = {name: Health() for name in names}

    def rank(self) -> list[str]:
        """Every member, the best first; ejected ones at the end, because one that may answer beats none."""
        return sorted(self._health, key=self._cost)

    def rank_to_write(self) -> list[str]:
        """The same where the leader is worth a way that is a little longer."""
        return sorted(self._health, key=lambda name: self._cost(name, LEADS if name == self.leader else 1.0))

    def _cost(self, name: str, share: float = 1.0) -> tuple[bool, int, float]:
        health = self._health[name]
        return health.ejected, health.misses, share * (health.latency if health.latency > SLOW else health.light)

    def is_up(self, name: str) -> bool:
        """Whether the member is in use (not ejected)."""
        return not self._health[name].ejected

    def is_suspect(self, name: str) -> bool:
        """Whether the member has just missed twice in a row, while there is another one that has not."""
        ailing = {other for other, health in self._health.items() if health.ejected or health.misses >= SUSPECT}
        return name in ailing and len(ailing) < len(self._health)

    def latency(self, name: str) -> float:
        """Running mean of its answers, seconds."""
        return self._health[name].latency

    def answered(self, name: str, seconds: float, *, batch: bool = False) -> None:
        """It answered a request after so many seconds."""
        health = self._health[name]
        health.latency += WEIGHT * (seconds - health.latency)
        if not batch:
            health.light += WEIGHT * (seconds - health.light)
        if health.ejected:
            health.proofs += 1
            if health.proofs < PROOFS_TO_RETURN:
                return
            health.ejected, health.patience, health.proofs = False, SHORTEST_EJECTION, 0
        health.misses = 0

    def outrun(self, name: str, seconds: float) -> None:
        """Another member answered before it: it would have needed more than `seconds`. That is no miss."""
        health = self._health[name]
        self._slow_down(health, seconds)
        if not health.ejected:
            health.probed = float("-inf")

    def follows(self, name: str) -> None:
        """It names a new leader: what it missed was the old one's fault, and it belongs to a majority."""
        health = self._health[name]
        if health.ejected:
            health.probed = float("-inf")
        else:
            health.misses = 0

    def missed(self, name: str, seconds: float, now: float) -> None:
        """It did not answer within `seconds`, or could not be reached."""
        health = self._health[name]
        self._slow_down(health, seconds)
        if now - seconds < health.missed:
            return  # asked before the last miss was known
        health.misses += 1
        health.missed = now
        health.proofs = 0
        if health.ejected:
            health.patience = min(2 * health.patience, LONGEST_EJECTION)
        elif health.misses >= MISSES_TO_EJECT:
            health.ejected = True
        health.probed = now if health.ejected else float("-inf")

    @staticmethod
    def _slow_down(health: Health, seconds: float) -> None:
        health.latency += WEIGHT * (max(seconds, health.latency) - health.latency)
        health.light += WEIGHT * (max(seconds, health.light) - health.light)

    def to_probe(self, now: float) -> list[str]:
        """Members to ask something harmless now; each is told once, and then when it is due again."""
        due = [name for name, health in self._health.items() if now - health.probed >= _wait(health)]
        for name in due:
            self._health[name].probed = now
        return due


def _wait(health: Health) -> float:
    """Seconds between two probes; who has begun to prove itself need not wait for its next chance."""
    return health.patience if health.ejected and not health.proofs else PROBE_EVERY
