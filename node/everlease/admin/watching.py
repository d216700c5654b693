"""WatchLeases: what happens to leases, told in order and without a gap, from now, from a revision, or after a snapshot.

The law of this file: what the caller has not read is bounded, and costs the node nothing but that: it is fed from the
node's own watch, or, for what is too long ago, from watches of its own, none of which is left unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from everlease.admin.answers import await_view, invalid
from everlease.admin.convert import dotted
from everlease.admin.listing import Listing, Matches, address_of_key, read
from everlease.admin.pages import slices
from everlease.admin.seats import Seats
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store.api import Compacted, KeyValue, Unavailable
from everlease.store.feed import Portion, Reader
from everlease.store.keys import range_end
from everlease.store.records import LeaseRecord

MOST: Final = 1000
"""Events of a message: 200 KB."""

PACE: Final = 0.02
"""Seconds between two messages, times the number of watches: 50 messages a second in all, however many watch."""

REMEMBERED: Final = 4096
"""Events that are not made again for the next watch: 2 s of a busy node, 4 MB."""

QUIET: Final = 10.0
"""Seconds after which a message says how far etcd has got, although nothing has happened."""

_AGAIN_AFTER: Final = 0.2
_PAGE: Final = 200


_Event = tuple[LeaseRecord | None, pb.LeaseEvent | None]
"""A record and what is told of it; no record: it is gone; nothing to tell: it is no lease that can be read."""


class Watching:
    """Streams of one node."""

    def __init__(self, rooms: Rooms, listing: Listing) -> None:
        self._rooms = rooms
        self._listing = listing
        self._seats = Seats("watches of leases")
        self._made: dict[tuple[bytes, int], _Event] = {}

    async def follow(self, request: pb.WatchLeasesRequest) -> AsyncIterator[pb.WatchLeasesResponse]:
        """Messages without end. Raises Refusal, StoreError."""
        with self._seats.taken():
            async with aclosing(self._messages(request)) as messages:
                async for message in messages:
                    yield message

    async def _messages(self, request: pb.WatchLeasesRequest) -> AsyncGenerator[pb.WatchLeasesResponse, None]:
        await_view(self._rooms)
        space = self._listing.scan(request.space, request.subnet).space
        matches, feed = self._listing.matcher(request), self._rooms.feed
        if request.start_revision < 0 or (request.start_revision and request.snapshot):
            raise invalid("start_revision", "is a revision of etcd, and none with a snapshot: that has its own")
        revision = request.start_revision - 1 if request.start_revision else feed.revision or self._rooms.view.revision
        if request.snapshot:
            async for message in self._snapshot(request, matches):
                revision = message.revision
                yield message
        async with self._reader(space, revision) as reader:
            clock = asyncio.get_running_loop().time
            told_at = clock()
            while True:
                message = await self._message(space, await reader.read(MOST, QUIET), matches)
                now = clock()
                if message.events or now - told_at >= QUIET:
                    told_at = now
                    yield message
                await asyncio.sleep(PACE * self._seats.count)

    async def _snapshot(
        self, request: pb.WatchLeasesRequest, matches: Matches | None
    ) -> AsyncIterator[pb.WatchLeasesResponse]:
        """All that match, at one revision; the last message says so."""
        scan = self._listing.scan(request.space, request.subnet)
        while not scan.ended:
            found = await self._listing.page(scan, _PAGE, matches)
            message = pb.WatchLeasesResponse(revision=scan.revision, snapshot_continues=not scan.ended)
            async for part in self._listing.paced(found):
                for each in part:
                    event = message.events.add(type=pb.LEASE_EVENT_TYPE_PRESENT, revision=each[2])
                    self._listing.tell(event.lease, scan.space, each)
            if found or scan.ended:
                yield message

    async def _message(self, space: str, portion: Portion, matches: Matches | None) -> pb.WatchLeasesResponse:
        message = pb.WatchLeasesResponse(revision=portion.revision)
        async for part in slices(portion.events):
            for each in part:
                record, event = self._event(space, each)
                if event is not None and (matches is None or record is None or matches(record)):
                    message.events.append(event)
        return message

    def _event(self, space: str, event: KeyValue) -> _Event:
        """The same for everybody who watches: it is made once."""
        name = event.key, event.revision
        made = self._made.get(name)
        if made is None:
            if len(self._made) >= REMEMBERED:
                self._made.clear()
            made = self._made[name] = self._make(space, event)
        return made

    def _make(self, space: str, event: KeyValue) -> _Event:
        address, record = address_of_key(event.key), read(event)
        if address is None or (record is None and event.value is not None):
            return None, None
        told = pb.LeaseEvent(type=pb.LEASE_EVENT_TYPE_PUT, revision=event.revision)
        if record is not None:
            self._listing.tell(told.lease, space, (address, record, event.revision))
        else:
            text = dotted(address)
            told.type = pb.LEASE_EVENT_TYPE_DELETED
            told.lease.MergeFrom(pb.Lease(name=f"spaces/{space}/leases/{text}", space=space, address=text))
        return record, told

    # --- where events come from ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _reader(self, space: str, revision: int) -> AsyncIterator[Reader]:
        """A reader of a space's lease records after `revision`."""
        feed, start = self._rooms.feed, self._rooms.keys.leases(space)
        reader = feed.enter(start, range_end(start), revision)
        pump = None
        if reader is None:
            reader = feed.enter_apart(start, range_end(start), revision)
            pump = asyncio.create_task(self._pump(reader, start), name="watch-leases")
        try:
            yield reader
        finally:
            feed.leave(reader)
            if pump is not None:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)

    async def _pump(self, reader: Reader, start: bytes) -> None:
        """A watch of its own; another one when its member is lost, or after its reader has made room again."""
        while True:
            events = self._rooms.store.watch(start, range_end(start), reader.passed + 1)
            try:
                async with aclosing(events):  # type: ignore[type-var]
                    async for batch in events:
                        reader.take(batch)
                        if not reader.roomy:
                            break
                await reader.drained()
            except Compacted as gone:
                return reader.fail(gone)
            except Unavailable:
                await asyncio.sleep(_AGAIN_AFTER)
