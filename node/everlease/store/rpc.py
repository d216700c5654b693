"""gRPC's client side on our own HTTP/2: calls with one answer, and streams, to one server.

Law: every call has a deadline and is tried once; a connection is made when a call needs it, by one of its callers for
all, and a server that has just refused one is left alone for a moment. (gRPC over HTTP/2: PROTOCOL-HTTP2.md.)
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from enum import IntEnum
from struct import Struct
from typing import Final, TypeAlias
from urllib.parse import unquote

from everlease.store.http2 import Connection

_PREFIX: Final = Struct("!BI")  # compressed, length
LARGEST_MESSAGE: Final = 64 << 20
_GRANT: Final = 1 << 20
_NOT_AGAIN_FOR: Final = 0.1


Metadata: TypeAlias = tuple[tuple[str, str], ...]
"""Names (lower case) and values, ASCII."""


class Code(IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """A call that was not answered with OK."""

    def __init__(self, code: Code, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class Client:
    """Calls to one server. tls: None = plain text."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._refused_until = 0.0
        self._refusal = ""
        self._heads: dict[tuple[str, float, Metadata], bytes] = {}

    async def unary(self, path: str, request: bytes, deadline: float, metadata: Metadata = ()) -> bytes:
        """The one answer to one request; deadline in seconds. Raises RpcError."""
        loop = asyncio.get_running_loop()
        call = _Unary(loop.create_future())
        timer = loop.call_later(deadline, call.expire)
        try:
            connection = self._connection
            if connection is None or not connection.usable:
                connection = await self._connected(deadline)
            call.open(connection, self._head(path, deadline, metadata), _message(request))
            return await call.answer
        finally:
            timer.cancel()
            call.leave()

    async def stream(self, path: str, deadline: float, metadata: Metadata = ()) -> MessageStream:
        """Open a stream in both directions; the deadline is for the connection alone. Raises RpcError."""
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._connected(deadline)
        return MessageStream(connection, self._head(path, 0.0, metadata))

    async def close(self) -> None:
        """Let go of the connection; calls on it fail as UNAVAILABLE."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close()

    # --- connections --------------------------------------------------------------------------------------------------

    async def _connected(self, deadline: float) -> Connection:
        loop = asyncio.get_running_loop()
        if self._connecting is None:
            if loop.time() < self._refused_until:
                raise RpcError(Code.UNAVAILABLE, self._refusal)
            self._connecting = loop.create_task(self._connect(), name=f"connect-{self._authority}")
            self._connecting.add_done_callback(self._settled)
        task = self._connecting
        await asyncio.wait((task,), timeout=deadline)
        if not task.done():
            raise RpcError(Code.UNAVAILABLE, f"{self._authority}: no connection within {deadline:g} s")
        if task.cancelled():
            raise RpcError(Code.UNAVAILABLE, f"{self._authority}: closed")
        if task.exception() is not None:
            raise RpcError(Code.UNAVAILABLE, self._refusal)
        return task.result()

    async def _connect(self) -> Connection:
        async with asyncio.timeout(_CONNECT_PATIENCE):
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, self._host, self._port, ssl=self._tls, server_hostname=self._host if self._tls else None
            )
        return connection

    def _settled(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._connection = task.result()
        else:
            self._refusal = f"{self._authority}: {self._words(error)}"
            self._refused_until = task.get_loop().time() + _NOT_AGAIN_FOR

    def _words(self, error: BaseException) -> str:
        words = str(error) or type(error).__name__
        ended = ssl.SSLError | ConnectionResetError | ConnectionAbortedError  # a plain server hangs up on a handshake
        return f"TLS handshake: {words}" if self._tls and isinstance(error, ended) else words

    def _head(self, path: str, deadline: float, metadata: Metadata) -> bytes:
        key = path, deadline, metadata
        block = self._heads.get(key)
        if block is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            block = self._heads[key] = self._encode(*key)
        return block

    def _encode(self, path: str, deadline: float, metadata: Metadata) -> bytes:
        fields = [(":path", path), (":authority", self._authority), ("content-type", "application/grpc")]
        fields += [("te", "trailers"), ("user-agent", "everlease")]
        if deadline:
            fields.append(("grpc-timeout", f"{max(1, round(deadline * 1000)):d}m"))
        scheme = _HTTPS if self._tls else _HTTP
        literals = (_literal(name.encode(), value.encode()) for name, value in (*fields, *metadata))
        return _POST + scheme + b"".join(literals)


_CONNECT_PATIENCE: Final = 5.0
_HEADS: Final = 64
_POST, _HTTP, _HTTPS = b"\x83", b"\x86", b"\x87"  # rows of HPACK's static table (RFC 7541, appendix A)


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field that enters no table (RFC 7541 section 6.2.2)."""
    return b"\0" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    """A string without Huffman's code: its length with a 7-bit prefix (RFC 7541 section 5.1), and itself."""
    if len(text) < 127:
        return bytes((len(text),)) + text
    rest, more = bytearray((127,)), len(text) - 127
    while more > 127:
        rest.append(more & 127 | 128)
        more >>= 7
    return bytes((*rest, more)) + text


def _message(body: bytes) -> bytes:
    return _PREFIX.pack(0, len(body)) + body


def _status(fields: dict[bytes, bytes]) -> RpcError | None:
    """What trailers say; None for OK."""
    number = fields.get(b"grpc-status")
    if number is None:
        return RpcError(Code.UNAVAILABLE, f"no gRPC answer: HTTP status {fields.get(b':status', b'?').decode()}")
    if number == b"0":
        return None
    code = Code(int(number)) if number.isdigit() and int(number) < len(Code) else Code.UNKNOWN
    return RpcError(code, unquote(fields.get(b"grpc-message", b"").decode("ascii", "replace")))


class _Unary:
    """One call with one answer."""

    __slots__ = ("_connection", "_number", "_parts", "_size", "answer")

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self.answer = answer
        self._connection: Connection | None = None
        self._number = 0
        self._parts: list[bytes] = []
        self._size = 0

    def open(self, connection: Connection, head: bytes, body: bytes) -> None:
        if not self.answer.done():
            self._connection = connection
            self._number = connection.open(self, head, body, end=True)

    def expire(self) -> None:
        self._fail(RpcError(Code.DEADLINE_EXCEEDED, "no answer in time"))

    def leave(self) -> None:
        """Nobody waits any more; without effect after the end."""
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()  # it has been looked at
        if self._connection is not None:
            self._connection.reset(self._number)

    def headers(self, fields: dict[bytes, bytes], ended: bool) -> None:
        if not ended:
            return
        failure = _status(fields)
        if failure is not None:
            self._fail(failure)
        elif not self.answer.done():
            self._finish(b"".join(self._parts))

    def _finish(self, body: bytes) -> None:
        if len(body) < _PREFIX.size or _PREFIX.unpack_from(body) != (0, len(body) - _PREFIX.size):
            self._fail(RpcError(Code.INTERNAL, "not one whole message"))
        else:
            self.answer.set_result(body[_PREFIX.size :])

    def data(self, octets: bytes, ended: bool) -> None:
        self._parts.append(octets)
        self._size += len(octets)
        if self._size > LARGEST_MESSAGE:
            self._fail(RpcError(Code.RESOURCE_EXHAUSTED, "message larger than max"))
        elif ended:
            self._fail(RpcError(Code.INTERNAL, "an answer without a status"))

    def lost(self, reason: str) -> None:
        self._fail(RpcError(Code.UNAVAILABLE, reason))

    def _fail(self, error: RpcError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class MessageStream:
    """A stream of messages in both directions. Iterate, or `read`; `cancel` when done with it."""

    def __init__(self, connection: Connection, head: bytes) -> None:
        self._connection = connection
        self._messages: deque[bytes] = deque()
        self._buffer = bytearray()
        self._untold = 0
        self.over = False
        self._failure: RpcError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._number = connection.open(self, head, b"", end=False)

    def write(self, message: bytes) -> None:
        """Send one message; kept until the peer's windows allow it."""
        self._connection.send(self._number, _message(message), end=False)

    async def read(self) -> bytes | None:
        """The next message; None at the end. Raises RpcError. One reader at a time."""
        while not self._messages:
            if self.over:
                if self._failure is not None:
                    raise self._failure
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        message = self._messages.popleft()
        self._untold += len(message) + _PREFIX.size
        if self._untold >= _GRANT:
            self._connection.taken(self._number, self._untold)
            self._untold = 0
        return message

    def cancel(self, why: RpcError | None = None) -> None:
        """Tell the server that nobody listens any more; a reader gets what has come, then `why` or the end."""
        self._connection.reset(self._number)
        self._end(why)

    def headers(self, fields: dict[bytes, bytes], ended: bool) -> None:
        """As `http2.Stream`."""
        if ended:
            self._end(_status(fields))

    def data(self, octets: bytes, ended: bool) -> None:
        """As `http2.Stream`."""
        buffer = self._buffer
        buffer += octets
        while len(buffer) >= _PREFIX.size:
            compressed, size = _PREFIX.unpack_from(buffer)
            if compressed or size > LARGEST_MESSAGE:
                self._connection.reset(self._number)
                return self._end(RpcError(Code.RESOURCE_EXHAUSTED, "a message that is compressed or too large"))
            if len(buffer) < _PREFIX.size + size:
                break
            self._messages.append(bytes(buffer[_PREFIX.size : _PREFIX.size + size]))
            del buffer[: _PREFIX.size + size]
        if self._messages:
            self._wake()
        if ended:
            self._end(RpcError(Code.INTERNAL, "a stream that ended without a status"))
        return None

    def lost(self, reason: str) -> None:
        """As `http2.Stream`."""
        self._end(RpcError(Code.UNAVAILABLE, reason))

    def _end(self, failure: RpcError | None) -> None:
        if not self.over:
            self.over, self._failure = True, failure
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
