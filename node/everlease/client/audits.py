"""Changes made through any node as one stream: each node keeps its own records, and counts them anew when it starts.

The law of this file: no record is told twice, and none that its node still keeps is missed because the node was out of
reach for a while. A node that is away is asked again and again; the stream ends when nobody ever answered, or one
says no.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from everlease.client.errors import Compacted, Refused, Unreachable
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord

if TYPE_CHECKING:
    from everlease.client.aio import AsyncClient
    from everlease.client.sync import Client

PAUSE: Final = 1.0
"""Seconds before a node that went away is asked again."""

Missing = Callable[[Unreachable], None]
"""Hears of a node that cannot be reached, each time that it is lost."""

News = tuple[str, AuditRecord | Refused | Unreachable]
"""What came of a server."""


def unheeded(_: Unreachable) -> None:
    """A node that is away is nothing to tell."""


class Place:
    """How far one node's records have been read. number: to ask from; past: those that it keeps already, too."""

    def __init__(self, past: bool) -> None:
        self.number = int(past)
        self._seen = 0
        self._again = False

    def is_new(self, record: AuditRecord) -> bool:
        """Whether it was not told before. Numbers begin anew with a node, times do not."""
        at = record.record_time.ToNanoseconds()
        if self._again and at <= self._seen:
            return False
        self._seen, self._again = at, False
        return True

    def lose(self) -> None:
        """The node went away: all that it keeps is asked for, and what was told is passed over."""
        if self._seen:
            self.number, self._again = 1, True


class Gathering:
    """What came of all servers, one after the other; missing hears of those that are away."""

    def __init__(self, count: int, missing: Missing) -> None:
        self._count = count
        self._missing = missing
        self._away: set[str] = set()
        self._heard = False

    def take(self, news: News) -> Iterator[AuditRecord]:
        """The record, if it is one. Raises Refused, and Unreachable where nobody ever answered."""
        server, said = news
        if isinstance(said, Refused):
            raise said
        if isinstance(said, AuditRecord):
            self._heard = True
            self._away.discard(server)
            yield said
        elif not said.said:
            self._heard = True  # it was there, and broke off: whether it is away shows when it is asked again
        elif server not in self._away:
            self._away.add(server)
            if not self._heard and len(self._away) == self._count:
                raise said
            self._missing(said)


def of_all(client: Client, past: bool, missing: Missing) -> Iterator[AuditRecord]:
    """Of every server of a client, by a thread for each."""
    found: SimpleQueue[News] = SimpleQueue()
    ended = threading.Event()
    ones = {server: client.only(server) for server in client.servers.names}
    for server, one in ones.items():
        threading.Thread(target=_follow, args=(server, one, Place(past), found, ended), daemon=True).start()
    gathering = Gathering(len(ones), missing)
    try:
        while True:
            yield from gathering.take(found.get())
    finally:
        ended.set()
        for one in ones.values():
            one.close()


def _follow(server: str, one: Client, place: Place, found: SimpleQueue[News], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            for record in one.watch_audit(place.number):
                if place.is_new(record):
                    found.put((server, record))
        except Compacted as gone:
            place.number = gone.restart_revision
            continue
        except Refused as no:
            found.put((server, no))
            return
        except Unreachable as away:
            found.put((server, away))
        place.lose()
        ended.wait(PAUSE)


async def of_all_awaited(client: AsyncClient, past: bool, missing: Missing) -> AsyncIterator[AuditRecord]:
    """Of every server of a client, by a task for each."""
    found: asyncio.Queue[News] = asyncio.Queue()
    ones = {server: client.only(server) for server in client.servers.names}
    tasks = [asyncio.create_task(_follow_awaited(server, one, Place(past), found)) for server, one in ones.items()]
    gathering = Gathering(len(ones), missing)
    try:
        while True:
            for record in gathering.take(await found.get()):
                yield record
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in ones.values():
            await one.close()


async def _follow_awaited(server: str, one: AsyncClient, place: Place, found: asyncio.Queue[News]) -> None:
    while True:
        try:
            async for record in one.watch_audit(place.number):
                if place.is_new(record):
                    found.put_nowait((server, record))
        except Compacted as gone:
            place.number = gone.restart_revision
            continue
        except Refused as no:
            found.put_nowait((server, no))
            return
        except Unreachable as away:
            found.put_nowait((server, away))
        place.lose()
        await asyncio.sleep(PAUSE)
