"""Fills the view and keeps it filled: load by key ranges at one revision, then watch from there, for ever.

Law: ranges are bounded by keys (/16 and /20 blocks of the configured prefixes, then the gaps between them), never paged
by `limit` over a prefix: etcd 3.4 counts the whole rest for every page, 24 s against 2 s for a million. No slice holds
the loop for long, and the view stays in use while it is loaded again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Protocol

from everlease.store.api import Compacted, Page, Store, Unavailable
from everlease.store.freshness import Freshness
from everlease.store.keys import ADDRESSES, Keys, parse_address, range_end
from everlease.store.view import SLICE, Listing, View

Prefixes = Sequence[tuple[str, int, int]]
"""(space, first address, last address) of every configured subnet."""

REGION, BLOCK = 1 << 16, 1 << 12
PAGE = 4096
"""Records per answer: the /20 block; 1.4 MB, 5 ms to take in."""

RETRY_AFTER = 0.2
RELIST_EVERY = 600.0
"""Seconds: a comparison with etcd itself, because old members lose or repeat events (3.4.23: several known bugs)."""


class Source(Store, Protocol):
    """A store that knows how far it has seen."""

    freshness: Freshness


class Loader:
    """Runs the view. loaded: set while the view is complete (it may be a moment old: freshness is proved by the echo).

    on_rollback(): called after the view has been emptied into its ghosts.
    """

    def __init__(self, store: Source, keys: Keys, view: View, prefixes: Callable[[], Prefixes]) -> None:
        self._store = store
        self._keys = keys
        self._view = view
        self._prefixes = prefixes
        self._rolled_back = asyncio.Event()
        self._loading = asyncio.Lock()
        self.loaded = asyncio.Event()
        self.on_rollback: Callable[[], None] = lambda: None
        store.freshness.on_rollback = self._rolled_back.set

    async def run(self) -> None:
        """Load, watch, start again when the member is lost, the revision compacted, or history rolled back."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._notice_rollback(), name="rollback")
                    tasks.create_task(self._keep_up(), name="watch")
                    tasks.create_task(self._relist(), name="relist")
            except* _RolledBack:
                self.loaded.clear()
                self._rolled_back.clear()
                self._view.roll_back()
                self.on_rollback()

    async def _notice_rollback(self) -> None:
        await self._rolled_back.wait()
        raise _RolledBack

    async def _keep_up(self) -> None:
        while True:
            try:
                if not self.loaded.is_set():
                    await self.load()
                await self._follow()
            except Compacted:
                self.loaded.clear()
            except Unavailable:
                await asyncio.sleep(RETRY_AFTER)

    async def _relist(self) -> None:
        while True:
            await asyncio.sleep(RELIST_EVERY)
            with contextlib.suppress(Unavailable, Compacted):
                if self.loaded.is_set():
                    await self.load()

    async def _follow(self) -> None:
        view, keys = self._view, self._keys
        events = self._store.watch(keys.watched, keys.watched_end, view.revision + 1)
        async for batch in events:
            for count, event in enumerate(batch.events):
                view.apply(event)
                if count % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
            view.passed(batch.revision)

    # --- loading ---------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Bring the whole view to one revision, in place. Raises Unavailable, Compacted."""
        async with self._loading:
            await self._load()
        gc.freeze()  # a full collection would walk every table again and again
        self.loaded.set()

    async def _load(self) -> None:
        head = await self._store.get_range(self._keys.config_current, self._keys.config_current + b"\0")
        listing = self._view.begin(head.revision)
        try:
            await self._take(listing, head)
            await self._list(listing)
        finally:
            self._view.abandon(listing)

    async def _list(self, listing: Listing) -> None:
        for start in (self._keys.nodes, self._keys.watched + b"reservations/"):
            async for page in self._pages(start, range_end(start), listing.revision):
                await self._take(listing, page)
        async with contextlib.aclosing(_ahead(self._lease_pages(listing.revision))) as pages:
            async for page in pages:
                await self._take(listing, page)
        for _ in self._view.finish(listing):
            await asyncio.sleep(0)

    async def _take(self, listing: Listing, page: Page) -> None:
        for start in range(0, len(page.records), SLICE):
            self._view.listed(listing, page.records[start : start + SLICE])
            await asyncio.sleep(0)

    async def _lease_pages(self, revision: int) -> AsyncIterator[Page]:
        """Every lease record: the configured prefixes block by block, the gaps between them in one go."""
        done = start = self._keys.watched + b"leases/"
        for space, first, last in regions(self._prefixes()):
            begin, end = self._keys.lease_range(space, first, last)
            async for page in self._pages(done, begin, revision):
                yield page
            async for page in self._pages(begin, end, revision):
                yield page
            done = end
        async for page in self._pages(done, range_end(start), revision):
            yield page

    async def _pages(self, start: bytes, end: bytes, revision: int) -> AsyncIterator[Page]:
        """All of one range: one answer if it holds at most PAGE records, else the rest of it block by block."""
        while start < end:
            page = await self._store.get_range(start, end, revision=revision, limit=PAGE)
            yield page
            if not page.more:
                return
            start = page.records[-1].key + b"\0"
            stop = min(end_of_block(start), end)
            if start < stop:
                yield await self._store.get_range(start, stop, revision=revision)
                start = stop


async def _ahead(pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
    """The same pages; the next one is on its way while one is being taken in."""
    coming = asyncio.create_task(_next(pages))
    try:
        while (page := await coming) is not None:
            coming = asyncio.create_task(_next(pages))
            yield page
    finally:
        coming.cancel()


async def _next(pages: AsyncIterator[Page]) -> Page | None:
    return await anext(pages, None)


class _RolledBack(Exception):
    """etcd's history went backwards."""


def regions(prefixes: Prefixes) -> Iterator[tuple[str, int, int]]:
    """(space, first, last) of non-overlapping pieces of the prefixes in key order, none larger than a /16."""
    for space, first, last in _merged(sorted(prefixes)):
        while first <= last:
            end = min(last, first | (REGION - 1))
            yield space, first, end
            first = end + 1  # noqa: PLW2901  (walks through the interval)


def _merged(prefixes: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    held: tuple[str, int, int] | None = None
    for space, first, last in prefixes:
        if held and held[0] == space and first <= held[2] + 1:
            held = (space, held[1], max(last, held[2]))
            continue
        if held:
            yield held
        held = (space, first, last)
    if held:
        yield held


def end_of_block(key: bytes) -> bytes:
    """The key of the first address after the /20 block in which a lease's key lies; any other key: itself."""
    prefix, _, word = key.rstrip(b"\0").rpartition(b"/")
    address = parse_address(word)
    if address is None:
        return key
    following = (address | (BLOCK - 1)) + 1
    return prefix + b"/%08x" % following if following < ADDRESSES else prefix + b"0"
