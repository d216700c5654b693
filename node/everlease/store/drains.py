"""Which nodes an operator has drained: a key for each, that every node watches and the drained one obeys.

Law: the key is the whole truth; it outlives the node's restarts, and only the operator takes it away.
"""

from __future__ import annotations

import msgspec

from everlease.store.api import Store
from everlease.store.keys import Keys
from everlease.store.records import BadRecord
from everlease.store.txn import Leaf, single

DEADLINE = 2.0


class Drain(msgspec.Struct, omit_defaults=True):
    """Why a node is drained. by: who asked for it; at: seconds UTC."""

    by: str = ""
    at: float = 0.0


def decode_drain(value: bytes) -> Drain:
    """Raises BadRecord."""
    try:
        return msgspec.json.decode(value, type=Drain)
    except msgspec.MsgspecError as bad:
        raise BadRecord(f"not a drain: {bad}") from bad


class Drains:
    """Writes the keys. Every method may raise Unavailable or NoSpace."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    async def drain(self, node: str, by: str, now: float) -> int:
        """Others serve this node's clients from now on; again: nothing changes. now: seconds UTC. etcd's revision."""
        value = msgspec.json.encode(Drain(by, now))
        leaf = Leaf({self._keys.drain(node): 0}, [(self._keys.drain(node), value)])
        return (await self._store.batch(single(leaf), DEADLINE)).revision

    async def resume(self, node: str) -> int:
        """It serves again; nothing happens if it was not drained. etcd's revision."""
        return (await self._store.batch(single(Leaf({}, deletes=[self._keys.drain(node)])), DEADLINE)).revision
