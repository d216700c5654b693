"""A gRPC server of one's own for the client's tests, on the h2 package: somebody else's idea of HTTP/2.

What it answers is a coroutine's business: it gets the request of a stream and says what shall go out, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from struct import pack

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.settings import SettingCodes

Headers = list[tuple[bytes, bytes]]
OK: Headers = [(b"grpc-status", b"0")]
HEAD: Headers = [(b":status", b"200"), (b"content-type", b"application/grpc")]


@dataclass
class Request:
    """One stream: its headers, its body so far, and how to answer it."""

    peer: Peer
    number: int
    headers: dict[bytes, bytes]
    body: bytearray = field(default_factory=bytearray)

    async def answer(self, message: bytes, trailers: Headers = OK) -> None:
        """Headers, one message, trailers."""
        self.peer.h2.send_headers(self.number, HEAD)
        await self.peer.send(self.number, pack("!BI", 0, len(message)) + message)
        self.peer.h2.send_headers(self.number, trailers, end_stream=True)
        self.peer.flush()


Answer = Callable[[Request], Awaitable[None]]


class Peer(asyncio.Protocol):
    """The server's side of one connection. window: what a stream may send before it is told that more is welcome."""

    def __init__(self, answer: Answer, window: int) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.requests: dict[int, Request] = {}
        self.resets: list[int] = []
        self.widened = asyncio.Event()
        self._answer = answer
        self._window = window
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.h2.initiate_connection()
        self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: self._window})
        self.flush()

    def data_received(self, octets: bytes) -> None:
        for event in self.h2.receive_data(octets):
            self._take(event)
        self.flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self.requests[event.stream_id] = Request(self, event.stream_id, dict(event.headers))
        elif isinstance(event, DataReceived):
            self.requests[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamReset):
            self.resets.append(event.stream_id)
        elif isinstance(event, WindowUpdated):
            self.widened.set()
        if isinstance(event, StreamEnded | DataReceived):
            request = self.requests[event.stream_id]
            complete = len(request.body) >= 5 and len(request.body) - 5 == int.from_bytes(request.body[1:5], "big")
            if complete and not getattr(request, "begun", False):
                request.begun = True  # type: ignore[attr-defined]
                task = asyncio.ensure_future(self._answer(request))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def send(self, number: int, octets: bytes) -> None:
        """Data, as the client's windows allow."""
        while octets:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(octets))
            if room <= 0:
                self.widened.clear()
                self.flush()
                await self.widened.wait()
                continue
            self.h2.send_data(number, octets[:room])
            octets = octets[room:]
        self.flush()

    def flush(self) -> None:
        """Hand over what h2 has to say."""
        octets = self.h2.data_to_send()
        if octets:
            self.transport.write(octets)  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(answer: Answer, window: int = 65_535) -> AsyncIterator[tuple[int, list[Peer]]]:
    """(port, the connections that there were) of a server on the loopback interface."""
    peers: list[Peer] = []

    def accept() -> Peer:
        peers.append(Peer(answer, window))
        return peers[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], peers
    finally:
        server.close()
