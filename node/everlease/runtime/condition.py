"""How the store is, in the keeper's words: what every node knows of it, for its edges and its committer.

The law of this file: a store that is nearly full must not be filled by ourselves. etcd before 3.5.33 lets nested writes
pass its quota, so new grants stop here when the fullest member is beyond it, and renewals when it is far beyond.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from everlease.runtime.committer import ROOM
from everlease.store.keeping import Taken, Tenure

BEYOND, FAR_BEYOND = 1.1, 1.5
"""Shares of the quota of the fullest member: the room that is left until its disk is full is not known."""

_NO_NEW: Final = (*ROOM[:2], 0, 0)
_PRESENCE_ONLY: Final = (ROOM[0], 0, 0, 0)


@dataclass(slots=True)
class StoreCondition:
    """keeper: its node, "" = none is known; mine: it is this one; quota: the smallest member's, bytes, 0 = not known.

    fullness: of the fullest member, share of its quota; trouble: what is wrong with the store, "" = nothing;
    snapshot: the last one that was finished.
    """

    keeper: str = ""
    mine: bool = False
    quota: int = 0
    fullness: float = 0.0
    trouble: str = ""
    snapshot: Taken = field(default_factory=Taken)

    def adopt(self, tenure: Tenure | None, *, mine: bool) -> None:
        """The keeper's latest words; without a keeper the last ones stay."""
        self.keeper, self.mine = tenure.node if tenure else "", mine
        if tenure is not None:
            self.quota, self.fullness, self.trouble = tenure.quota, tenure.fullness, tenure.trouble

    def room(self) -> tuple[int, ...]:
        """How many changes of each rank may wait in the committer."""
        if self.fullness >= FAR_BEYOND:
            return _PRESENCE_ONLY
        return _NO_NEW if self.fullness >= BEYOND else ROOM
