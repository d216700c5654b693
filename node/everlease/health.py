"""HTTP: `/metrics`, `/healthz` (the process lives), `/readyz` (false exactly when the node is silent), and more pages.

The law of this file: nobody who talks to this port can stall, exhaust or confuse the node. Connections are counted and
closed, requests are bounded in size and time, every answer ends its connection, and a scrape is written in slices.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from everlease.errors import ConfigError
from everlease.metrics import Usages, collect, text
from everlease.runtime.rooms import Rooms

CONNECTIONS: Final = 64
"""At once; a Prometheus pair, a probe and a person need five."""

REQUEST_BYTES: Final = 8192
REQUEST_SECONDS: Final = 5.0
"""For the whole request: who sends a byte a second does not hold a place for long."""

RESPONSE_SECONDS: Final = 10.0
"""For the peer to take the answer; Prometheus gives up after 10 s, too."""

_TEXT: Final = "text/plain; charset=utf-8"
_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = ("GET", "HEAD")
_PLACES: Final = "everlease: /metrics /healthz /readyz"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. path, query: of its target, as sent; headers: by lower-case name; peer: the client's IP address."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""

    @property
    def gzip(self) -> bool:
        """Whether the answer may be compressed."""
        return "gzip" in self.headers.get("accept-encoding", "").lower()


@dataclass(frozen=True, slots=True)
class Page:
    """One answer. body: slices, between which the loop turns; headers: further ones."""

    status: HTTPStatus
    body: Iterable[bytes]
    kind: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


class Pages(Protocol):
    """More pages of this port, for people: `everlease.console`. places: what there is, for who asks for what is not."""

    places: str

    async def page(self, request: Request) -> Page | None:
        """The answer to a GET or HEAD; None = not one of its places."""


class Handle:
    """A listening server. port: as bound, for address `HOST:0`."""

    def __init__(self, server: asyncio.Server, site: _Site) -> None:
        self._server = server
        self._site = site
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and let go of whoever is connected."""
        self._server.close()
        self._site.disconnect()
        await self._server.wait_closed()


async def serve(rooms: Rooms, address: str, pages: Pages | None = None) -> Handle:
    """Listen on "HOST:PORT" (an IPv6 host in brackets). Raises ConfigError if that is not possible."""
    host, port = split_address(address)
    site = _Site(rooms, pages)
    try:
        server = await asyncio.start_server(site.connected, host, port, limit=REQUEST_BYTES)
    except OSError as error:
        raise ConfigError(f"--metrics {address}: cannot listen: {error.strerror or error}") from error
    return Handle(server, site)


def split_address(address: str) -> tuple[str, int]:
    """("::1", 9167) of "[::1]:9167". Raises ConfigError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{address}: write HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


class _Site:
    """Answers one request for each connection."""

    def __init__(self, rooms: Rooms, pages: Pages | None) -> None:
        self._rooms = rooms
        self._pages = pages
        self._usages = Usages()
        self._open: set[asyncio.StreamWriter] = set()

    def disconnect(self) -> None:
        """Close every connection at once."""
        for writer in list(self._open):
            writer.transport.abort()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """asyncio calls this for each connection."""
        if len(self._open) >= CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await self._answer(await _request(reader, _peer(writer)), writer)
        except (OSError, TimeoutError):  # the peer went away, or does not take its answer
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            with suppress(OSError, TimeoutError):
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), REQUEST_SECONDS)

    async def _answer(self, request: Request | HTTPStatus, writer: asyncio.StreamWriter) -> None:
        if isinstance(request, HTTPStatus):
            page, gzip, bare = Page(request, (f"{request.phrase}\n".encode(),)), False, False
        else:
            page, gzip, bare = await self._page(request), request.gzip, request.method == "HEAD"
        payload = await _gather(page.body, gzip=gzip)
        status, kind = page.status, page.kind
        head = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {kind}", f"Content-Length: {len(payload)}"]
        head += [f"{name}: {value}" for name, value in page.headers]
        head += ["Content-Encoding: gzip"] * gzip + ["Connection: close", "Cache-Control: no-store", "\r\n"]
        writer.write("\r\n".join(head).encode())
        if not bare:
            writer.write(payload)
        await asyncio.wait_for(writer.drain(), RESPONSE_SECONDS)

    async def _page(self, request: Request) -> Page:
        if request.method not in _METHODS:
            return Page(HTTPStatus.METHOD_NOT_ALLOWED, (b"GET or HEAD\n",))
        if request.path == "/metrics":
            return Page(HTTPStatus.OK, text(collect(self._rooms, self._usages)), _EXPOSITION)
        if request.path == "/healthz":
            return Page(HTTPStatus.OK, (b"alive\n",))
        if request.path == "/readyz":
            lifeline = self._rooms.lifeline
            status = HTTPStatus.OK if lifeline.ready() else HTTPStatus.SERVICE_UNAVAILABLE
            return Page(status, (f"{lifeline.state}: {lifeline.reason}\n".encode(),))
        found = await self._pages.page(request) if self._pages else None
        return found or Page(
            HTTPStatus.NOT_FOUND, (f"{_PLACES}{self._pages.places if self._pages else ''}\n".encode(),)
        )


def _peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return str(name[0]) if name else ""


async def _request(reader: asyncio.StreamReader, peer: str) -> Request | HTTPStatus:
    """The request, or what is wrong with it. Raises OSError, TimeoutError."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS)
    except asyncio.LimitOverrunError:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    except asyncio.IncompleteReadError as cut:
        raise ConnectionResetError("the request ends in the middle") from cut
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return HTTPStatus.BAD_REQUEST
    path, _, query = words[1].partition("?")
    named = (line.partition(":") for line in lines[1:])
    return Request(words[0], path, query, {name.lower(): value.strip() for name, _, value in named}, peer)


async def _gather(slices: Iterable[bytes], *, gzip: bool) -> bytes:
    """The whole body; the loop turns once between two slices."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31) if gzip else None
    parts: list[bytes] = []
    for each in slices:
        parts.append(packer.compress(each) if packer else each)
        await asyncio.sleep(0)
    if packer:
        parts.append(packer.flush())
    return b"".join(parts)
