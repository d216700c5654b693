"""A process of our own beside a node that serves: started without a copy of the node's memory, spoken to by one socket.

The law of this file: to start a process holds the loop no longer than a packet may wait. uvloop forks, which copies the
page tables: with 480 MB 90 ms of processor time, and stalls of 27 to 170 ms while pages are written again (measured);
`subprocess` has the kernel lend them (vfork), here in a thread.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress

from everlease.errors import ConfigError


class Beside:
    """`python -m MODULE`: what is written to `writer` is its standard input, `reader` has its standard output."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self.reader = reader
        self.writer = writer

    @classmethod
    async def start(cls, module: str) -> Beside:
        """Start one. Raises ConfigError if that is not possible."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.to_thread(_start, module, theirs)
        except OSError as problem:
            ours.close()
            raise ConfigError(f"cannot start a process beside the node ({module}): {problem}") from None
        finally:
            theirs.close()
        return cls(process, *await asyncio.open_unix_connection(sock=ours))

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    async def send(self, octets: bytes) -> None:
        """More of its input. A process that has ended takes no more: what it said tells why."""
        with suppress(ConnectionError):
            self.writer.write(octets)
            await self.writer.drain()

    async def fate(self) -> str:
        """Why it ended: its last line on standard error, or its exit code."""
        process = self._process
        code = await asyncio.to_thread(process.wait)
        assert process.stderr is not None
        last = process.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
        return last[0] if last else f"exit code {code}"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def end(self) -> int:
        """End it, whatever it does, and let go of it; its exit code."""
        self.kill()
        self.writer.transport.abort()
        code = await asyncio.to_thread(self._process.wait)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return code


def _start(module: str, theirs: socket.socket) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-P", "-m", module)
    return subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE)
