"""How far etcd's history has been seen, and whether it went backwards.

Law: a read older than what was seen is a member that lags: ask another. A *transaction* older than what was seen before
it was sent, or another cluster id, is a rollback: etcd was restored from a snapshot. Pure.
"""

from __future__ import annotations

from collections.abc import Callable


class Freshness:
    """The highest header revision seen, and the id of the cluster that it belongs to (0 = nothing seen yet)."""

    __slots__ = ("cluster", "on_rollback", "revision", "rollbacks")

    def __init__(self) -> None:
        self.on_rollback: Callable[[], None] = _ignore
        self.revision = 0
        self.cluster = 0
        self.rollbacks = 0

    def is_current(self, floor: int, revision: int, cluster: int) -> bool:
        """Whether a read with this header may be used; `floor` is `revision` as it was when it was sent.

        A rollback is noted if the cluster is another one.
        """
        if self._is_other(cluster):
            self._roll_back(revision, cluster)
            return True
        if revision < floor <= self.revision:
            return False
        self._note(revision, cluster)
        return True

    def committed(self, floor: int, revision: int, cluster: int) -> bool:
        """Note a transaction's header; `floor` is `revision` as it was when it was sent. False = a rollback."""
        if floor > self.revision:
            floor = 0  # taken before a rollback that has been noticed since: once is enough
        if self._is_other(cluster) or revision < floor:
            self._roll_back(revision, cluster)
            return False
        self._note(revision, cluster)
        return True

    def contradict(self, revision: int, cluster: int) -> None:
        """A record that was confirmed once has been found at an older state: a rollback, whatever the revisions say."""
        self._roll_back(revision, cluster)

    def _is_other(self, cluster: int) -> bool:
        return self.cluster not in (0, cluster)

    def _note(self, revision: int, cluster: int) -> None:
        self.cluster = cluster
        self.revision = max(self.revision, revision)

    def _roll_back(self, revision: int, cluster: int) -> None:
        self.rollbacks += 1
        self.revision, self.cluster = revision, cluster
        self.on_rollback()


def _ignore() -> None:
    return None
