"""The keeper: one node at a time looks after the store, so that the store looks after the leases.

The law of this package: the keeper saves work, and nobody's safety depends on there being one, or only one. What it
does next is decided by pure functions (`space`, `leadership`, `purge`) from what was seen (`facts`); `keeper` looks and
decides, `acts` does it.
"""

from everlease.runtime.keeper.keeper import Keeper
from everlease.runtime.keeper.schedule import Schedule, Snapshots

__all__ = ["Keeper", "Schedule", "Snapshots"]
