"""Stores to test against: the same contract on memory and on a real etcd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from everlease.store.memory import MemoryStore


@dataclass
class Place:
    """A store with a corner of its own."""

    store: EtcdStore | MemoryStore
    keys: Keys


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.etcd)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "memory":
        yield Place(MemoryStore(), Keys("/test"))
        return
    scope = request.getfixturevalue("etcd")
    store = EtcdStore(scope.endpoints)
    yield Place(store, Keys(scope.prefix))
    await store.close()
