"""Values that the store's tests are made of."""

from __future__ import annotations

from everlease.core.actions import GRANT, OFFER, RELEASE, RENEW, Change, Moved
from everlease.core.lifecycle import BOUND, OFFERED, RELEASED, Lease, Row
from everlease.store.keys import Keys
from everlease.store.txn import Batch, Fences, Leaf, plan

NOW = 1_800_000_000
ALICE, BOB, CAROL = b"\x01alice", b"\x01bob", b"\x01carol"


def lease(client: bytes = ALICE, state: int = BOUND, *, nonce: int = 1, start: int = NOW, valid: int = 3600) -> Lease:
    return Lease(client, b"\x02\0\0\0\0\x01", state, start, start + valid + 600, valid, 1, nonce=nonce, node="n1")


def grant(address: int, client: bytes = ALICE, expected: int = 0, *, held: int = 0, nonce: int = 1) -> Change:
    new = lease(client, nonce=nonce)
    return Change(GRANT, "default", address, 1, client, expected, new, ((1, held),), puts_index=True)


def offer(address: int, client: bytes = ALICE, expected: int = 0) -> Change:
    return Change(OFFER, "default", address, 1, client, expected, lease(client, OFFERED, valid=30))


def renew(address: int, client: bytes, expected: int, *, nonce: int = 2) -> Change:
    return Change(RENEW, "default", address, 1, client, expected, lease(client, nonce=nonce, start=NOW + 900))


def release(address: int, client: bytes, expected: int) -> Change:
    return Change(RELEASE, "default", address, 1, client, expected, lease(client, RELEASED))


def move(address: int, client: bytes, old: int, revision: int) -> Change:
    """A grant of `address` to a client that gives up `old`."""
    change = grant(address, client, held=old)
    change.moved = Moved(old, 1, revision, lease(client, RELEASED))
    return change


def row(client: bytes = ALICE, state: int = BOUND, revision: int = 5, expires_at: int = NOW + 4200) -> Row:
    return Row(client, expires_at, revision, state, 1, 3600, 1)


def fences(keys: Keys, config: int = 0, version: int = 0, window: int = 20) -> Fences:
    return Fences(keys.config_current, config, keys.node("n1"), version, window)


def request(keys: Keys, *changes: Change | Leaf, fence: Fences | None = None) -> bytes:
    """A batch of all of them; fails if one does not fit."""
    batch = Batch(fence or fences(keys))
    for change in changes:
        assert batch.add(change if isinstance(change, Leaf) else plan(keys, change))
    return batch.request()
