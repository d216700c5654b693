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
from dataclasses import dataclass

from everlease.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Early:
    """One that was started before there is a loop, and the other end of its socket."""

    process: subprocess.Popen[bytes]
    socket: socket.socket


def started(module: str) -> Early:
    """Start `python -m MODULE`. At the end of its input, such as at our own end, it ends. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        command, end = (sys.executable, "-P", "-m", module), theirs.fileno()
        try:
            return Early(subprocess.Popen(command, stdin=end, stdout=end, stderr=subprocess.PIPE), ours)
        except OSError:
            ours.close()
            raise


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
        try:
            return await cls.of(await asyncio.to_thread(started, module))
        except OSError as problem:
            raise ConfigError(f"cannot start a process beside the node ({module}): {problem}") from None

    @classmethod
    async def of(cls, early: Early) -> Beside:
        """One that was started before."""
        return cls(early.process, *await asyncio.open_unix_connection(sock=early.socket))

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
