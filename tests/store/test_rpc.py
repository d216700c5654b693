"""Our HTTP/2 and gRPC against somebody else's: what a call says, gets, and is told when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import pack

import pytest

from everlease.store import http2
from everlease.store.rpc import Client, Code, RpcError
from store.http2_peer import HEAD, OK, Request, serving

PATH = "/etcdserverpb.KV/Txn"


async def echo(request: Request) -> None:
    await request.answer(bytes(request.body[5:]))


async def silence(request: Request) -> None:
    return None


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (it is the other side of a connection)
            await asyncio.sleep(0.01)


async def test_an_answer_comes_back_to_the_call_that_asked() -> None:
    async with serving(echo) as (port, peers):
        client = Client("127.0.0.1", port)
        answers = await asyncio.gather(*(client.unary(PATH, b"%d" % number, 5) for number in range(50)))
        assert answers == [b"%d" % number for number in range(50)]
        assert len(peers) == 1
        await client.close()


async def test_a_call_says_path_authority_deadline_and_metadata() -> None:
    async with serving(echo) as (port, peers):
        client = Client("127.0.0.1", port)
        await client.unary(PATH, b"", 0.5, (("token", "t" * 300),))
        headers = peers[0].requests[1].headers
        assert headers[b":method"] == b"POST"
        assert headers[b":path"] == PATH.encode()
        assert headers[b":authority"] == b"127.0.0.1:%d" % port
        assert headers[b"content-type"] == b"application/grpc"
        assert headers[b"te"] == b"trailers"
        assert headers[b"grpc-timeout"] == b"500m"
        assert headers[b"token"] == b"t" * 300
        await client.close()


@pytest.mark.parametrize("window", [1, 1000, 65_535])
async def test_a_large_request_waits_for_the_servers_windows(window: int) -> None:
    request = bytes(range(256)) * (10 if window == 1 else 4000)
    async with serving(echo, window) as (port, _):
        client = Client("127.0.0.1", port)
        assert await client.unary(PATH, request, 20) == request
        await client.close()


async def test_a_large_answer_is_one_message() -> None:
    async def large(request: Request) -> None:
        await request.answer(b"x" * 5_000_000)

    async with serving(large) as (port, _):
        client = Client("127.0.0.1", port)
        for _ in range(3):
            assert await client.unary(PATH, b"", 20) == b"x" * 5_000_000
        await client.close()


async def test_an_error_carries_its_code_and_its_words() -> None:
    async def refuse(request: Request) -> None:
        trailers = [*HEAD, (b"grpc-status", b"8"), (b"grpc-message", b"etcdserver: mvcc: space exceeded%21 %C3%A9")]
        request.peer.h2.send_headers(request.number, trailers, end_stream=True)
        request.peer.flush()

    async with serving(refuse) as (port, _):
        client = Client("127.0.0.1", port)
        with pytest.raises(RpcError) as caught:
            await client.unary(PATH, b"", 5)
        assert (caught.value.code, caught.value.details) == (
            Code.RESOURCE_EXHAUSTED,
            "etcdserver: mvcc: space exceeded! é",
        )
        await client.close()


async def test_a_server_that_is_no_grpc_server_is_unavailable() -> None:
    async def page(request: Request) -> None:
        request.peer.h2.send_headers(request.number, [(b":status", b"503")], end_stream=True)
        request.peer.flush()

    async with serving(page) as (port, _):
        client = Client("127.0.0.1", port)
        with pytest.raises(RpcError, match="HTTP status 503") as caught:
            await client.unary(PATH, b"", 5)
        assert caught.value.code == Code.UNAVAILABLE
        await client.close()


async def test_a_call_without_an_answer_ends_at_its_deadline_and_the_server_is_told() -> None:
    async with serving(silence) as (port, peers):
        client = Client("127.0.0.1", port)
        with pytest.raises(RpcError) as caught:
            await client.unary(PATH, b"", 0.05)
        assert caught.value.code == Code.DEADLINE_EXCEEDED
        await until(lambda: peers[0].resets == [1])
        await client.close()


async def test_a_call_that_nobody_waits_for_any_more_is_reset() -> None:
    async with serving(silence) as (port, peers):
        client = Client("127.0.0.1", port)
        call = asyncio.create_task(client.unary(PATH, b"", 30))
        await until(lambda: bool(peers and peers[0].requests))
        call.cancel()
        await until(lambda: bool(peers[0].resets))
        await client.close()


async def test_calls_on_a_connection_that_breaks_are_unavailable_and_the_next_one_connects_anew() -> None:
    async def break_once(request: Request) -> None:
        if len(peers) == 1:
            request.peer.transport.abort()  # type: ignore[attr-defined]
        else:
            await request.answer(b"yes")

    async with serving(break_once) as (port, peers):
        client = Client("127.0.0.1", port)
        with pytest.raises(RpcError) as caught:
            await client.unary(PATH, b"", 5)
        assert caught.value.code == Code.UNAVAILABLE
        assert await client.unary(PATH, b"", 5) == b"yes"
        assert len(peers) == 2
        await client.close()


async def test_after_goaway_running_calls_end_and_new_ones_take_another_connection() -> None:
    waiting: list[Request] = []

    async def go_away(request: Request) -> None:
        if len(peers) == 1:
            waiting.append(request)
            frame = pack("!HBBBIII", 0, 8, 7, 0, 0, request.number, 0)
            request.peer.transport.write(frame)  # type: ignore[attr-defined]
        else:
            await request.answer(b"second")
            await waiting[0].answer(b"first")

    async with serving(go_away) as (port, peers):
        client = Client("127.0.0.1", port)
        first = asyncio.create_task(client.unary(PATH, b"", 5))
        await until(lambda: client._connection is not None and not client._connection.usable)
        assert await client.unary(PATH, b"", 5) == b"second"
        assert await first == b"first"
        await client.close()


async def test_a_refused_connection_is_unavailable_and_not_tried_again_at_once() -> None:
    async with serving(echo) as (port, _):
        pass
    client = Client("127.0.0.1", port)
    for _ in range(3):
        with pytest.raises(RpcError) as caught:
            await client.unary(PATH, b"", 5)
        assert caught.value.code == Code.UNAVAILABLE
    await client.close()


async def test_a_server_that_accepts_and_says_nothing_costs_a_call_its_deadline() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    client = Client("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(RpcError) as caught:
        await client.unary(PATH, b"", 0.1)
    assert caught.value.code == Code.DEADLINE_EXCEEDED
    await client.close()
    server.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3,
        b"\xff" * 64,
        b"\x00\x00\x01\x09\x04\x00\x00\x00\x01x",  # a continuation of nothing
        b"\x00\x00\x02\x01\x05\x00\x00\x00\x01\xff\xff",  # a header block that is none
        b"\x00\x00\x02\x08\x00\x00\x00\x00\x00\x00\x00",  # a window update of two octets
    ],
)
async def test_a_server_that_speaks_no_http2_is_unavailable_and_never_more(octets: bytes) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.write(octets), "127.0.0.1", 0)
    client = Client("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(RpcError) as caught:
        await client.unary(PATH, b"", 0.5)
    assert caught.value.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
    await client.close()
    server.close()


async def test_a_stream_gives_each_message_once_and_in_order_however_it_is_cut() -> None:
    messages = [b"%d" % number * (number % 7) for number in range(1000)]

    async def tell(request: Request) -> None:
        request.peer.h2.send_headers(request.number, HEAD)
        octets = b"".join(pack("!BI", 0, len(message)) + message for message in messages)
        for start in range(0, len(octets), 61):
            await request.peer.send(request.number, octets[start : start + 61])
        request.peer.h2.send_headers(request.number, OK, end_stream=True)
        request.peer.flush()

    async with serving(tell) as (port, _):
        client = Client("127.0.0.1", port)
        stream = await client.stream("/etcdserverpb.Watch/Watch", 5, (("hasleader", "true"),))
        stream.write(b"go")
        got = []
        while (message := await stream.read()) is not None:
            got.append(message)
        assert got == messages
        await client.close()


async def test_a_stream_goes_on_beyond_its_first_window_as_fast_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "STREAM_WINDOW", 3 << 20)
    size, count = 1 << 20, 10

    async def tell(request: Request) -> None:
        request.peer.h2.send_headers(request.number, HEAD)
        for _ in range(count):
            await request.peer.send(request.number, pack("!BI", 0, size) + bytes(size))
        request.peer.h2.send_headers(request.number, OK, end_stream=True)
        request.peer.flush()

    async with serving(tell) as (port, _):
        client = Client("127.0.0.1", port)
        stream = await client.stream("/etcdserverpb.Watch/Watch", 5)
        stream.write(b"go")
        got = 0
        while (message := await stream.read()) is not None:
            got += len(message)
        assert got == size * count
        await client.close()


async def test_a_stream_that_is_cancelled_with_a_reason_raises_it_to_its_reader() -> None:
    async with serving(silence) as (port, _):
        client = Client("127.0.0.1", port)
        stream = await client.stream("/etcdserverpb.Watch/Watch", 5)
        stream.write(b"go")
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0.05)
        stream.cancel(RpcError(Code.UNAVAILABLE, "somewhere else"))
        with pytest.raises(RpcError, match="somewhere else"):
            await reading
        await client.close()


async def test_closing_ends_calls_and_streams_as_unavailable() -> None:
    async with serving(silence) as (port, peers):
        client = Client("127.0.0.1", port)
        call = asyncio.create_task(client.unary(PATH, b"", 30))
        await until(lambda: bool(peers and peers[0].requests))
        await client.close()
        with pytest.raises(RpcError) as caught:
            await call
        assert caught.value.code == Code.UNAVAILABLE
