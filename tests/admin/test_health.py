"""The HTTP port: right answers, and nobody can stall, exhaust or confuse the node through it."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from everlease import health
from everlease.errors import ConfigError
from everlease.runtime.rooms import Rooms


async def exchange(port: int, request: bytes) -> bytes:
    """Everything that the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def get(port: int, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
    lines = "\r\n".join([f"GET {path} HTTP/1.1", "Host: here", *headers, "", ""])
    head, _, body = (await exchange(port, lines.encode())).partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body


async def test_readyz_is_false_exactly_when_the_node_would_be_silent(rooms: Rooms, site: health.Handle) -> None:
    assert (await get(site.port, "/readyz"))[::2] == (200, b"serving: commits are confirmed\n")
    rooms.lifeline.draining = "told to stop"
    rooms.lifeline.evaluate(rooms.clock.boot())
    assert (await get(site.port, "/readyz"))[::2] == (503, b"draining: told to stop\n")


async def test_healthz_says_that_the_process_lives_whatever_the_node_can_do(rooms: Rooms, site: health.Handle) -> None:
    rooms.lifeline.stopped = True
    rooms.lifeline.evaluate(rooms.clock.boot())
    assert (await get(site.port, "/healthz"))[0] == 200


async def test_metrics_come_plain_or_compressed_with_their_length(site: health.Handle) -> None:
    status, headers, plain = await get(site.port, "/metrics?x=1")
    assert (status, headers["Content-Length"]) == (200, str(len(plain)))
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    _, packed_headers, packed = await get(site.port, "/metrics", "Accept-Encoding: gzip, deflate")
    assert packed_headers["Content-Encoding"] == "gzip"
    assert b"everlease_node_state" in zlib.decompress(packed, 31)
    assert len(packed) < len(plain) / 5


async def test_an_unknown_place_says_which_there_are(site: health.Handle) -> None:
    status, _, body = await get(site.port, "/")
    assert (status, b"/readyz" in body) == (404, True)


async def test_head_has_no_body_and_other_methods_are_refused(site: health.Handle) -> None:
    answer = await exchange(site.port, b"HEAD /healthz HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")
    assert (await exchange(site.port, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\n\r\n",
        b"GET /metrics SMTP\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\xff\xfe\x00\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_a_bad_one(site: health.Handle, request_: bytes) -> None:
    assert (await exchange(site.port, request_)).startswith(b"HTTP/1.1 400")
    assert (await get(site.port, "/healthz"))[0] == 200


async def test_a_request_without_end_is_cut_off(site: health.Handle) -> None:
    answer = await exchange(site.port, b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    assert (await get(site.port, "/healthz"))[0] == 200


async def test_a_hundred_idle_connections_leave_room_as_soon_as_one_goes(site: health.Handle) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(100)]
    refused = [reader for reader, _ in idle[health.CONNECTIONS :]]
    for reader in refused:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
    for _, writer in idle[:3]:
        writer.transport.abort()
    answers = []
    for _ in range(200):  # the server learns of the three in its next turns
        answers.append(await _try(site.port))
        await asyncio.sleep(0 if answers[-1] else 0.01)
    assert 200 in answers
    for _, writer in idle:
        writer.transport.abort()


async def _try(port: int) -> int | None:
    try:
        return (await get(port, "/healthz"))[0]
    except (ConnectionError, IndexError):
        return None


async def test_who_sends_a_byte_at_a_time_is_let_go(monkeypatch: pytest.MonkeyPatch, site: health.Handle) -> None:
    monkeypatch.setattr(health, "REQUEST_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"G")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()


async def test_closing_lets_go_of_whoever_is_connected(rooms: Rooms) -> None:
    handle = await health.serve(rooms, "127.0.0.1:0")
    reader, writer = await asyncio.open_connection("127.0.0.1", handle.port)
    await get(handle.port, "/healthz")
    await asyncio.wait_for(handle.close(), 5)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()


async def test_a_port_in_use_or_a_nonsense_address_is_one_clear_line(rooms: Rooms, site: health.Handle) -> None:
    for address in (f"127.0.0.1:{site.port}", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "192.0.2.99:9167"):
        with pytest.raises(ConfigError):
            await health.serve(rooms, address)


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert health.split_address("[::1]:9167") == ("::1", 9167)
