"""Forwarders between one node and the store: closed, they imitate storage that is stuck but still connected.

A closed valve accepts and keeps connections and moves no byte, as a frozen disk or a locked file does. It is a process
of its own, so that closing it is SIGSTOP: nothing can leak through.

    python -m everlease.quickstart.valve PORT=HOST:PORT [PORT=HOST:PORT ...]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

_CHUNK = 1 << 16


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _forward(port: int, host: str, target: int) -> None:
    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    server = await asyncio.start_server(joined, "127.0.0.1", port)
    await server.serve_forever()


async def _main(arguments: list[str]) -> None:
    await asyncio.gather(*map(_valve, arguments))


async def _valve(text: str) -> None:
    port, _, target = text.partition("=")
    host, _, number = target.rpartition(":")
    await _forward(int(port), host, int(number))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
