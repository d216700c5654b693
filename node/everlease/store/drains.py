"""Which nodes an operator has drained: a key for each, that every node watches and the drained one obeys.

Law: the key is the whole truth; it outlives the node's restarts, and only the operator takes it away.
"""

from __future__ import annotations

import msgspec

from everlease.store.api import Store
from everlease.store.keys import Keys
from everlease.store.txn import Leaf, single

DEADLINE = 2.0


class Drain(msgspec.Struct, omit_defaults=True):
    """Why a node is drained. by: who asked for it; at: seconds UTC."""

    by: str = ""
    at: float = 0.0


class Drains:
    """Writes the keys. Every method may raise Unavailable or NoSpace."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    async def drain(self, node: str, by: str, now: float) -> None:
        """Others serve this node's clients from now on; again: nothing changes. now: seconds UTC."""
        value = msgspec.json.encode(Drain(by, now))
        await self._store.batch(single(Leaf({self._keys.drain(node): 0}, [(self._keys.drain(node), value)])), DEADLINE)

    async def resume(self, node: str) -> None:
        """It serves again; nothing happens if it was not drained."""
        await self._store.batch(single(Leaf({}, deletes=[self._keys.drain(node)])), DEADLINE)
