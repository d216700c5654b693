"""Fills the view and keeps it filled: load by key ranges at one revision, then watch from there, for ever.

Law: ranges are bounded by keys (each /16 that is configured, in blocks if it holds more than an answer, and the gaps
between them), never paged by `limit` over a prefix: etcd 3.4 counts the whole rest for every page, 24 s against 2 s for
a million. No step holds the loop for long, and the view stays in use while it is loaded again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence

from everlease.store.api import Compacted, Page, Store, Unavailable
from everlease.store.feed import Feed
from everlease.store.keys import BLOCK, Keys, end_of_block, range_end
from everlease.store.view import SLICE, Listing, View

Prefixes = Sequence[tuple[str, int, int]]
"""(space, first address, last address) of every configured subnet."""

REGION = 1 << 16
PAGE = BLOCK
"""Records per answer, 0.7 MB: 1.5 ms in one piece, then slice by slice."""

READERS = 3
"""Ranges asked for at a time: one is on its way, one waits, one is being taken in; each holds 3 MB meanwhile."""

RETRY_AFTER = 0.2
PACE = 0.002
"""Seconds between two slices while it is only compared: a million leases take a minute, and a tenth of the loop."""

PASSING = 2.0
"""Seconds: four presences of a node, which the watch brings as well."""

RELIST_EVERY = 600.0
"""Seconds: a comparison with etcd itself, because old members lose or repeat events (3.4.23: several known bugs)."""


class Loader:
    """Runs the view. loaded: set while the view is complete (it may be a moment old: freshness is proved by the echo).

    on_doubt(): called as soon as the store is seen to have gone back in time, while the view is still the old one;
    on_rollback(): after the view has been emptied into its ghosts. feed: what the watch brings is told on there.
    """

    def __init__(
        self, store: Store, keys: Keys, view: View, prefixes: Callable[[], Prefixes], feed: Feed | None = None
    ) -> None:
        self._feed = feed or Feed()
        self._store = store
        self._keys = keys
        self._view = view
        self._prefixes = prefixes
        self._rolled_back = asyncio.Event()
        self._loading = asyncio.Lock()
        self._asking = asyncio.Semaphore(READERS)
        self._taking = asyncio.Lock()
        self.loaded = asyncio.Event()
        self.on_doubt: Callable[[], None] = lambda: None
        self.on_rollback: Callable[[], None] = lambda: None
        store.freshness.on_rollback = self._doubt

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
                self._feed.roll_back()
                self.on_rollback()

    def _doubt(self) -> None:
        self.loaded.clear()
        self._rolled_back.set()
        self.on_doubt()

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
        self._feed.resume(view.revision)
        events = self._store.watch(keys.watched, keys.watched_end, view.revision + 1)
        async for batch in events:
            for count, event in enumerate(batch.events):
                view.apply(event)
                if count % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
            view.passed(batch.revision)
            self._feed.publish(batch)

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
        """Every range at the listing's revision; some are on their way while one is being taken in."""
        try:
            async with asyncio.TaskGroup() as group:
                for start, end in self._ranges():
                    group.create_task(self._read(listing, start, end, group))
        except ExceptionGroup as several:
            raise several.exceptions[0] from several
        await self._let_the_watch_pass(listing.revision)
        for _ in self._view.finish(listing):
            await asyncio.sleep(0)

    async def _let_the_watch_pass(self, revision: int) -> None:
        """What the watch is just bringing is not lost. Where nothing happens it need not be waited for."""
        end = PASSING if self.loaded.is_set() else 0
        while end > 0 and self._view.revision < revision:
            await asyncio.sleep(RETRY_AFTER)
            end -= RETRY_AFTER

    async def _read(self, listing: Listing, start: bytes, end: bytes, group: asyncio.TaskGroup) -> None:
        async with self._asking:
            page = await self._store.get_range(start, end, revision=listing.revision, limit=PAGE)
            for rest in _blocks(page.records[-1].key + b"\0", end) if page.more else ():
                group.create_task(self._read(listing, *rest, group))
            await self._take(listing, page)

    async def _take(self, listing: Listing, page: Page) -> None:
        async with self._taking:  # two at a time would take turns of twice the length
            for start in range(0, len(page.records), SLICE):
                self._view.listed(listing, page.records[start : start + SLICE])
                await asyncio.sleep(PACE if self.loaded.is_set() else 0)

    def _ranges(self) -> Iterator[tuple[bytes, bytes]]:
        """(start, end) of all that a load reads: of leases what is configured, and what lies between."""
        keys = self._keys
        for start in (keys.nodes, keys.drains, keys.watched + b"reservations/"):
            yield start, range_end(start)
        done = start = keys.watched + b"leases/"
        for space, first, last in regions(self._prefixes()):
            begin, end = keys.lease_range(space, first, last)
            if done < begin:
                yield done, begin
            for span in self._view.spans(space, first, last, PAGE):  # the whole of it, until there is a view
                yield keys.lease_range(space, *span)
            done = end
        yield done, range_end(start)


class _RolledBack(Exception):
    """etcd's history went backwards."""


def regions(prefixes: Prefixes) -> list[tuple[str, int, int]]:
    """(space, first, last) of each /16 that the prefixes touch, in key order."""
    touched = {
        (space, number) for space, first, last in prefixes for number in range(first // REGION, last // REGION + 1)
    }
    return [(space, number * REGION, (number + 1) * REGION - 1) for space, number in sorted(touched)]


def _blocks(start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The range in pieces: block by block while it goes through addresses, as far as a region has blocks."""
    for _ in range(REGION // BLOCK):
        if start < (stop := min(end_of_block(start), end)):
            yield start, stop
            start = stop
    if start < end:
        yield start, end
