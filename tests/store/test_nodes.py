"""Several nodes with views of different age decide on the same store: they differ for a moment, and never do harm."""

from __future__ import annotations

import asyncio
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from everlease.core.actions import Change, Moved
from everlease.core.lifecycle import BOUND, OFFERED, RELEASED
from everlease.store.keys import Keys, index_value
from everlease.store.memory import MemoryStore
from everlease.store.records import decode_lease
from everlease.store.txn import Batch, Leaf, Removal, plan, removal
from everlease.store.view import View
from store.makers import ALICE, BOB, CAROL, NOW, fences, grant, lease, offer, release, renew

KEYS = Keys()
FIRST = 0x0A4D0001
ADDRESSES = range(FIRST, FIRST + 4)
nonces = count(1)


class Node:
    """Decides by its own view, as core does, and follows the watch only when it is told to."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.view = View(KEYS, NOW)

    def decide(self, verb: str, client: bytes, address: int) -> Leaf | None:
        row = self.view.row("default", address)
        own = row is not None and row.client == client
        expected = row.revision if row else 0
        if verb == "bind":
            change = self.bind(client, address)
        elif verb == "offer":
            change = offer(address, client, expected) if row is None or row.state != BOUND else None
        elif verb == "release":
            change = release(address, client, expected) if own and row.state == BOUND else None
        else:
            return self.sweep(address)
        self.change = change
        if change is None:
            return None
        change.lease.nonce = next(nonces)
        return plan(KEYS, change)

    def bind(self, client: bytes, address: int) -> Change | None:
        view = self.view
        row = view.row("default", address)
        if row is not None and row.state == BOUND:
            return renew(address, client, row.revision) if row.client == client else None
        held = view.address_of("default", 1, client)
        change = grant(address, client, row.revision if row else 0, held=held)
        previous = view.row("default", held) if held != address else None
        if previous is not None and previous.client == client and previous.state == BOUND:
            change.moved = Moved(held, 1, previous.revision, lease(client, RELEASED))
        elif held not in (0, address):
            change.seen = ((held, previous.revision if previous is not None else 0),)
        if row is not None and row.client != client and view.address_of("default", 1, row.client) == address:
            change.displaced = (row.client, 1)
        return change

    def sweep(self, address: int) -> Leaf | None:
        self.change = None
        row = self.view.row("default", address)
        if row is None or row.state not in (RELEASED, OFFERED):
            return None
        indexed = self.view.address_of("default", 1, row.client) == address
        return removal(KEYS, Removal("default", address, 1, row.client, row.revision, indexed))

    async def act(self, verb: str, client: bytes, address: int) -> bool:
        """Decide and commit; refused, learn and decide again: without a watch one key after the other."""
        for _ in range(5):
            leaf = self.decide(verb, client, address)
            if leaf is None:
                return True
            batch = Batch(fences(KEYS))
            assert batch.add(leaf)
            result = await self.store.batch(batch.request(), 1.0)
            if result.results[0].succeeded:
                if self.change is not None:
                    self.view.committed(self.change, result.revision)
                elif leaf.deletes:
                    self.view.removed("default", address, result.revision)
                return True
            self.view.refresh(leaf.names(), result.results[0], result.revision)
        return False

    async def catch_up(self) -> None:
        async for batch in self.store.watch(KEYS.watched, KEYS.watched_end, self.view.revision + 1):
            for event in batch.events:
                self.view.apply(event)
            self.view.passed(batch.revision)
            if batch.revision == self.store.revision:
                break


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["bind", "bind", "bind", "offer", "release", "sweep", "catch up"]),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.sampled_from(ADDRESSES),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_nodes_with_old_views_agree_in_the_end_and_no_client_is_bound_twice(
    told: list[tuple[int, str, bytes, int]],
) -> None:
    asyncio.run(play(told))


async def play(told: list[tuple[int, str, bytes, int]]) -> None:
    store = MemoryStore()
    nodes = [Node(store) for _ in range(3)]
    for number, verb, client, address in told:
        node = nodes[number]
        if verb != "catch up":
            assert await node.act(verb, client, address), f"{verb} is refused again and again"
        elif store.revision > max(node.view.revision, 1):
            await node.catch_up()
        await audit(store)
    for node in nodes:
        if store.revision > max(node.view.revision, 1):
            await node.catch_up()
    rows = [dict(node.view.rows("default")) for node in nodes]
    assert rows[0] == rows[1] == rows[2]
    assert len({node.view.taken("default", FIRST >> 8) for node in nodes}) == 1


async def audit(store: MemoryStore) -> None:
    """Each client has at most one binding, and its index names it."""
    page = await store.get_range(KEYS.leases("default"), KEYS.leases("default")[:-1] + b"0")
    leases = [(int(record.key[-8:], 16), decode_lease(record.value)) for record in page.records]
    bound = [(one.client, address) for address, one in leases if one.state == BOUND]
    assert len({client for client, _ in bound}) == len(bound)
    for client, address in bound:
        key = KEYS.client("default", 1, client)
        index = await store.get_range(key, key + b"\0")
        assert [record.value for record in index.records] == [index_value(address)]
