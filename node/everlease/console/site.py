"""The console: its pages, its JSON, and the look that it takes at the node each second.

The law of this file: everything here reads; an answer is bounded, comes in slices, and names no client, except for a
lease that somebody on this host asks for (`console.access`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from everlease import __version__, logs
from everlease.admin.answers import Refusal
from everlease.console.access import GUARDED, MayView, refusal
from everlease.console.assets import GUARDS, Assets
from everlease.console.desk import Desk, plain
from everlease.console.history import PERIOD, History, totals
from everlease.console.look import look
from everlease.console.maps import PAGE, first_block, last_block, maps
from everlease.console.timeline import Facts, Timeline, differences
from everlease.errors import StoreError
from everlease.health import Page, Request
from everlease.runtime.counters import SECONDS
from everlease.runtime.rooms import Rooms
from everlease.store.records import dotted

ROOT: Final = "/console/"
API: Final = "/console/api/v1/"
LOOK: Final = 1.0
"""Seconds between two looks: what lasts less long is not seen."""

SUBNETS: Final = 100
"""Of one page; at most 500 are given when asked for."""

_JSON: Final = "application/json"
_STATUS: Final = {5: HTTPStatus.NOT_FOUND, 3: HTTPStatus.BAD_REQUEST, 9: HTTPStatus.CONFLICT}
Query = dict[str, str]


class Console:
    """Pages for `everlease.health`; `start` it, for the looks. may_view: see `console.access`."""

    places = " /console/"

    def __init__(self, rooms: Rooms, may_view: MayView = lambda _shown: True) -> None:
        self._rooms = rooms
        self._may_view = may_view
        self._assets = Assets()
        self._desk = Desk(rooms)
        self.history = History()
        self.timeline = Timeline()
        self._facts: Facts | None = None
        self._sampled_at = -PERIOD
        self._places: dict[str, Callable[[Query, Request], Awaitable[Page]]] = {
            "about": self._about,
            "status": self._status,
            "subnets": self._subnets,
            "map": self._map,
            "history": self._history,
            "events": self._events,
            "lease": self._lease,
            "leases": self._leases,
        }

    # --- looking ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look each second until `close`. A fault in here is told, and costs the page, not the node."""
        self._looking = asyncio.get_running_loop().create_task(self._run(), name="console")
        self._looking.add_done_callback(_tell_fault)

    async def close(self) -> None:
        """Look no more."""
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Note what is different from the last look, and sample the counters when that is due."""
        rooms = self._rooms
        facts, now, time = look(rooms), rooms.clock.boot(), rooms.clock.now()
        if self._facts is not None:
            self.timeline.add(time, differences(self._facts, facts))
        self._facts = facts
        if now - self._sampled_at >= PERIOD:
            self._sampled_at = now
            self.history.sample(time, totals(rooms.counters))

    # --- answering ----------------------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Page | None:
        """Implements `health.Pages`."""
        if request.path in ("/", "/console"):
            return Page(HTTPStatus.FOUND, (), headers=(("Location", ROOT), *GUARDS))
        if request.path.startswith(API):
            return await self._answer(request)
        if request.path.startswith(ROOT):
            return self._assets.page(request.path.removeprefix(ROOT) or "index.html")
        return None

    async def _answer(self, request: Request) -> Page | None:
        place = self._places.get(request.path.removeprefix(API))
        if place is None:
            return None
        try:
            return await place(dict(parse_qsl(request.query)), request)
        except Refusal as error:
            return _failed(_STATUS.get(error.code, HTTPStatus.SERVICE_UNAVAILABLE), str(error))
        except StoreError as error:
            return _failed(HTTPStatus.SERVICE_UNAVAILABLE, f"the store: {error}")
        except ValueError as error:  # a number that is none
            return _failed(HTTPStatus.BAD_REQUEST, str(error))

    async def _about(self, _query: Query, request: Request) -> Page:
        why = refusal(request, self._may_view)
        found = {"version": __version__, "node": self._rooms.name, "lease_search": not why, "why_not": why}
        return _json({**found, "asks_token": why == GUARDED, "spaces": self._desk.spaces()})

    async def _status(self, _query: Query, _request: Request) -> Page:
        answer: Any = await self._desk.status()
        nodes = list(answer.nodes)
        answer.ClearField("nodes")
        head = plain(answer)
        del head["nodes"]
        return _stream(head, "nodes", map(plain, nodes), step=5)

    async def _subnets(self, query: Query, _request: Request) -> Page:
        size = min(int(query.get("page_size", SUBNETS)), 500)
        answer: Any = await self._desk.subnets(size, query.get("page_token", ""))
        head = {"config_revision": str(answer.config_revision), "next_page_token": answer.next_page_token}
        return _stream(head, "subnets", map(plain, answer.subnets))

    async def _map(self, query: Query, _request: Request) -> Page:
        """Blocks of one subnet from `from` on (address >> 8; 0 = its first); `next_block` 0 = that was all."""
        config = self._rooms.configuration.current
        subnet = config.subnets.get(int(query.get("subnet", 0))) if config else None
        if subnet is None:
            return _failed(HTTPStatus.NOT_FOUND, "no such subnet")
        start = max(int(query.get("from", 0)), first_block(subnet))
        following = start + PAGE if start + PAGE <= last_block(subnet) else 0
        found = maps(self._rooms.view, subnet, start)
        blocks = ({"block": block, "first": dotted(block << 8), "states": letters} for block, letters in found)
        return _stream({"subnet": subnet.id, "next_block": following}, "blocks", blocks)

    async def _history(self, query: Query, _request: Request) -> Page:
        head = {"period": PERIOD, "bounds": list(SECONDS), "node": self._rooms.name}
        after = int(query.get("after", 0))
        return _stream(head, "samples", (each for part in self.history.after(after) for each in part), step=40)

    async def _events(self, query: Query, _request: Request) -> Page:
        return _json(self.timeline.page(int(query.get("after", 0))))

    async def _lease(self, query: Query, request: Request) -> Page:
        if why := refusal(request, self._may_view):
            return _failed(HTTPStatus.FORBIDDEN, why)
        return _json({"leases": await self._desk.lease(query.get("address", ""), query.get("client", ""))})

    async def _leases(self, query: Query, request: Request) -> Page:
        if why := refusal(request, self._may_view):
            return _failed(HTTPStatus.FORBIDDEN, why)
        asked = (query.get(name, "") for name in ("space", "client", "hostname", "page_token"))
        answer: Any = await self._desk.leases(*asked)
        return _stream({"next_page_token": answer.next_page_token}, "leases", map(plain, answer.leases))


def _tell_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        logs.get().error("fault", message="the console looks no more", exc_info=fault)


def _json(value: Any) -> Page:
    return Page(HTTPStatus.OK, (json.dumps(value).encode(),), _JSON, GUARDS)


def _failed(status: HTTPStatus, why: str) -> Page:
    return Page(status, (json.dumps({"error": why}).encode(),), _JSON, GUARDS)


def _stream(head: dict[str, Any], name: str, rows: Iterable[Any], step: int = 1) -> Page:
    """An object whose last member is a list, written `step` rows at a time."""
    return Page(HTTPStatus.OK, _written(head, name, rows, step), _JSON, GUARDS)


def _written(head: dict[str, Any], name: str, rows: Iterable[Any], step: int) -> Iterator[bytes]:
    yield json.dumps(head)[:-1].encode() + f', "{name}": ['.encode()
    waiting: list[str] = []
    comma = ""
    for row in rows:
        waiting.append(json.dumps(row))
        if len(waiting) >= step:
            yield (comma + ",".join(waiting)).encode()
            waiting, comma = [], ","
    yield (comma * bool(waiting) + ",".join(waiting) + "]}").encode()
