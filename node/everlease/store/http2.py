"""HTTP/2 (RFC 9113) as far as the client of a gRPC server needs it: one connection, many streams.

Law: nothing here waits. A frame goes to the transport at once, or stays until the peer's window opens; what a peer says
that is not HTTP/2 ends the connection, and with it every stream. Why by hand: grpc.aio costs 800 us of CPU and three
threads' wake-ups a call, this 150 us and none (docs/speed.md), and every binding is one call.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from struct import Struct
from typing import Final, Protocol, cast

from hpack import Decoder, HPACKError

DATA, HEADERS, _PRIORITY, RESET, SETTINGS, _PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, _PADDED, _PRIORITISED = 1, 1, 4, 8, 32

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD: Final = Struct("!HBBBI")  # length (24 bits), type, flags, stream
_SETTING: Final = Struct("!HI")
_NUMBER: Final = Struct("!I")
_TABLE_SIZE, _PUSH_ALLOWED, _INITIAL_WINDOW, _FRAME_SIZE = 1, 2, 4, 5
_DEFAULT_WINDOW: Final = 65_535
_LARGEST: Final = 16_384  # what every peer accepts, and what we accept

STREAM_WINDOW: Final = 65 << 20
"""Octets that a stream may receive before its reader has taken any: the largest message of etcd, and its frames."""

_GRANT: Final = 1 << 20
_CONNECTION_WINDOW: Final = 1 << 30

KEEPALIVE, KEEPALIVE_PATIENCE = 10.0, 3.0
"""Seconds between pings while a stream is open (etcd refuses more than one in 5 s), and for their answer."""

CANCEL: Final = 8


class Stream(Protocol):
    """Whoever opened a stream is told what comes in on it, always from the event loop."""

    def headers(self, fields: dict[bytes, bytes], ended: bool) -> None:
        """A header block, response or trailer."""

    def data(self, octets: bytes, ended: bool) -> None:
        """Octets of the body."""

    def lost(self, reason: str) -> None:
        """The stream is over without an end."""


class _Outbox:
    """What one stream may still send, and what waits until it may."""

    __slots__ = ("ending", "pending", "sent", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.pending = b""
        self.sent = 0  # of pending
        self.ending = False


class Connection(asyncio.Protocol):
    """One HTTP/2 connection, made by `loop.create_connection`. Bytes that are headers come encoded (`encode`)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._streams: dict[int, Stream] = {}
        self._outboxes: dict[int, _Outbox] = {}
        self._next = 1
        self._window = self._initial_window = _DEFAULT_WINDOW
        self._received = 0
        self._block: tuple[int, bytes, bool] | None = None
        self._headers = _HeaderBlocks()
        self._timer: asyncio.TimerHandle | None = None
        self._pinged = False
        self.reason = ""

    # --- what callers use ---------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether a new stream can be opened."""
        return not self.reason and self._next < 1 << 31

    def open(self, stream: Stream, block: bytes, body: bytes, end: bool) -> int:
        """Open a stream with these headers and this body; its number. Only while `usable`."""
        number, self._next = self._next, self._next + 2
        self._streams[number] = stream
        if self._timer is None:
            self._timer = self._loop.call_later(KEEPALIVE, self._keep_alive)
        head = _HEAD.pack(len(block) >> 8, len(block) & 255, HEADERS, END_HEADERS, number)
        if end and len(body) <= min(self._window, self._initial_window, _LARGEST):
            self._window -= len(body)
            tail = _HEAD.pack(len(body) >> 8, len(body) & 255, DATA, END_STREAM, number)
            self._write(b"".join((head, block, tail, body)))
            return number
        self._write(head + block)
        self._outboxes[number] = _Outbox(self._initial_window)
        self.send(number, body, end)
        return number

    def send(self, number: int, octets: bytes, end: bool) -> None:
        """More of the body of an open stream."""
        outbox = self._outboxes.get(number)
        if outbox is not None:
            outbox.pending, outbox.sent = outbox.pending[outbox.sent :] + octets, 0
            outbox.ending |= end
            self._flush(number, outbox)

    def taken(self, number: int, octets: int) -> None:
        """The reader of a stream has taken so many octets: the peer may send as many more."""
        if number in self._streams and octets:
            self._write(_frame(WINDOW, 0, number, _NUMBER.pack(octets)))

    def reset(self, number: int) -> None:
        """Nobody waits for this stream any more."""
        if self._forget(number):
            self._write(_frame(RESET, 0, number, _NUMBER.pack(CANCEL)))

    @property
    def busy(self) -> bool:
        """Whether a stream is open."""
        return bool(self._streams)

    def close(self, reason: str = "closed") -> None:
        """End the connection; open streams are lost."""
        self._end(reason)

    # --- sending ------------------------------------------------------------------------------------------------------

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def _flush(self, number: int, outbox: _Outbox) -> None:
        """Send what both windows allow."""
        parts: list[bytes] = []
        left = len(outbox.pending) - outbox.sent
        while (size := min(left, outbox.window, self._window, _LARGEST)) > 0:
            chunk = outbox.pending[outbox.sent : outbox.sent + size]
            outbox.sent += size
            outbox.window -= size
            self._window -= size
            left -= size
            parts.append(_frame(DATA, 0 if left or not outbox.ending else END_STREAM, number, chunk))
        if outbox.ending and not left:
            del self._outboxes[number]
            self._write(b"".join(parts) or _frame(DATA, END_STREAM, number, b""))
        elif parts:
            self._write(b"".join(parts))

    def _flush_all(self) -> None:
        for number, outbox in list(self._outboxes.items()):
            self._flush(number, outbox)

    # --- the transport's side -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are: no push, no header table (so that equal blocks mean the same), wide windows."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        # Octets that nobody acknowledges: a half-open connection ends, although only calls that time out are on it.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * KEEPALIVE_PATIENCE))
        wishes = ((_TABLE_SIZE, 0), (_PUSH_ALLOWED, 0), (_INITIAL_WINDOW, STREAM_WINDOW))
        settings = b"".join(_SETTING.pack(*wish) for wish in wishes)
        grant = _NUMBER.pack(_CONNECTION_WINDOW - _DEFAULT_WINDOW)
        self._write(_PREFACE + _frame(SETTINGS, 0, 0, settings) + _frame(WINDOW, 0, 0, grant))

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is gone."""
        self._end(str(error) if error else "the connection was closed")

    def data_received(self, octets: bytes) -> None:
        """Take whole frames off the buffer."""
        buffer = self._buffer + octets if self._buffer else octets
        position, size = 0, len(buffer)
        while size - position >= 9 and self._transport is not None:
            high, low, kind, flags, number = _HEAD.unpack_from(buffer, position)
            end = position + 9 + (high << 8 | low)
            if (high << 8 | low) > _LARGEST:
                self._end("a frame larger than allowed")
            if end > size:
                break
            self._frame_received(kind, flags, number & 0x7FFFFFFF, buffer[position + 9 : end])
            position = end
        self._buffer = buffer[position:] if position < size else b""

    def _frame_received(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        try:
            if kind == DATA:
                self._data(number, flags, payload)
            elif kind in (HEADERS, CONTINUATION):
                self._header(kind, number, flags, payload)
            elif kind == WINDOW:
                self._widen(number, _NUMBER.unpack(payload)[0] & 0x7FFFFFFF)
            elif kind == PING and not flags & ACK:
                self._write(_frame(PING, ACK, 0, payload))
            elif kind == PING:
                self._pinged = False
            elif kind == SETTINGS and not flags & ACK:
                self._settle(payload)
            elif kind == RESET:
                (code,) = _NUMBER.unpack(payload)
                self._lose(number, f"the stream was reset (code {code})")
            elif kind == GOAWAY:
                self._go_away(payload)
        except (HPACKError, ValueError, IndexError, struct.error) as error:
            self._end(f"not HTTP/2: {error}")

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received >= _GRANT:
            self._write(_frame(WINDOW, 0, 0, _NUMBER.pack(self._received)))
            self._received = 0
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        ended = bool(flags & END_STREAM)
        stream = self._ended(number) if ended else self._streams.get(number)
        if stream is not None:
            stream.data(payload, ended)

    def _header(self, kind: int, number: int, flags: int, payload: bytes) -> None:
        if kind == HEADERS:
            if flags & _PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            block, ended = payload[5:] if flags & _PRIORITISED else payload, bool(flags & END_STREAM)
        elif self._block is not None and self._block[0] == number:
            block, ended = self._block[1] + payload, self._block[2]
        else:
            raise ValueError("CONTINUATION of nothing")
        if not flags & END_HEADERS:
            if len(block) > _LARGEST:
                raise ValueError("endless headers")
            self._block = number, block, ended
            return
        self._block = None
        fields = self._headers.fields(block)
        stream = self._ended(number) if ended else self._streams.get(number)
        if stream is not None:
            stream.headers(fields, ended)

    def _widen(self, number: int, octets: int) -> None:
        if number == 0:
            self._window += octets
            self._flush_all()
        elif (outbox := self._outboxes.get(number)) is not None:
            outbox.window += octets
            self._flush(number, outbox)

    def _settle(self, payload: bytes) -> None:
        for identifier, value in _SETTING.iter_unpack(payload):
            if identifier == _INITIAL_WINDOW:
                for outbox in self._outboxes.values():
                    outbox.window += value - self._initial_window
                self._initial_window = value
        self._write(_frame(SETTINGS, ACK, 0, b""))
        self._flush_all()

    def _go_away(self, payload: bytes) -> None:
        """No new streams; those that the peer has seen may end, those after them it never looked at."""
        last, code = _NUMBER.unpack_from(payload)[0] & 0x7FFFFFFF, _NUMBER.unpack_from(payload, 4)[0]
        self.reason = f"the member closes the connection (code {code}) {payload[8:80].decode(errors='replace')}".strip()
        for number in [number for number in self._streams if number > last]:
            self._lose(number, self.reason)
        if not self._streams:
            self._end(self.reason)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _ended(self, number: int) -> Stream | None:
        stream = self._forget(number)
        if self.reason and not self._streams:
            self._end(self.reason)
        return stream

    def _forget(self, number: int) -> Stream | None:
        self._outboxes.pop(number, None)
        return self._streams.pop(number, None)

    def _lose(self, number: int, reason: str) -> None:
        stream = self._forget(number)
        if stream is not None:
            stream.lost(reason)

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        for number in list(self._streams):
            self._lose(number, reason)

    def _keep_alive(self) -> None:
        """A ping every 10 s while somebody waits: half-open connections are found out."""
        self._timer = None
        if self._pinged:
            self._end("no answer to a ping")
        elif self._streams:
            self._pinged = True
            self._write(_frame(PING, 0, 0, bytes(8)))
            self._timer = self._loop.call_later(KEEPALIVE_PATIENCE, self._look_for_pong)

    def _look_for_pong(self) -> None:
        if self._pinged:
            self._keep_alive()
        else:
            self._timer = self._loop.call_later(KEEPALIVE - KEEPALIVE_PATIENCE, self._keep_alive)


_CACHED: Final = 256


class _HeaderBlocks:
    """Header blocks decoded. Without a table the same octets always say the same, so each is decoded once."""

    def __init__(self) -> None:
        self._decoder = Decoder(_LARGEST)
        self._decoder.max_allowed_table_size = 0
        self._decoder.header_table_size = 0
        self._known: dict[bytes, dict[bytes, bytes]] = {}

    def fields(self, block: bytes) -> dict[bytes, bytes]:
        """Name -> value. Raises HPACKError."""
        found = self._known.get(block)
        if found is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            found = {bytes(name): bytes(value) for name, value in self._decoder.decode(block, raw=True)}
            self._known[block] = found
        return found


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) >> 8, len(payload) & 255, kind, flags, number) + payload
