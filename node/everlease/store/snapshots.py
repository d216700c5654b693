"""Where snapshots go: a directory that keeps the newest ones, or a tar stream on standard output.

Law: a file that has its final name is whole, synchronised, and its digest has been checked; what was not finished is
never mistaken for a snapshot. All of this runs in a thread, at a pace that leaves disk and processor to the service.
"""

from __future__ import annotations

import hashlib
import os
import select
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from everlease.errors import StoreError

DIGEST: Final = 32
"""etcd ends the stream with the SHA-256 of what came before; `etcdctl snapshot restore` checks it."""

RATE: Final = 64 << 20
"""Bytes per second at most: a quota of 2 GB takes half a minute, and a member's disk has time for its log."""

PREFIX, SUFFIX, PART = "everlease-", ".db", ".part"


class Damaged(StoreError):
    """What came is not what the member sent."""

    reason = "damaged"


class Sink(Protocol):
    """Takes one snapshot after the other. Every method may block, and may raise OSError."""

    def begin(self, name: str, size: int) -> None:
        """The next one: its name without a suffix, and its bytes."""

    def write(self, part: bytes) -> None:
        """The next bytes of it."""

    def finish(self) -> None:
        """It is whole."""

    def abandon(self) -> None:
        """It will never be whole."""

    def close(self) -> None:
        """Wait for nothing any more; may be called from another thread."""


class Directory:
    """Files `everlease-<name>.db`, of which the newest `keep` stay; names must sort by age."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder = folder
        self._keep = keep
        self._file = -1
        self._part = self._final = folder

    def begin(self, name: str, size: int) -> None:
        """Open a file that nobody takes for a snapshot; reserve nothing, for others may need the room more."""
        for left in self._folder.glob(f"{PREFIX}*{PART}"):
            left.unlink(missing_ok=True)  # of a process that was killed
        self._final = self._folder / f"{PREFIX}{name}{SUFFIX}"
        self._part = self._final.with_suffix(PART)
        self._file = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, part: bytes) -> None:
        """Append."""
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def finish(self) -> None:
        """Synchronise, give it its name, and delete the oldest."""
        os.fsync(self._file)
        self._release()
        self._part.replace(self._final)
        _synchronise(self._folder)
        for old in sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}"))[: -self._keep]:
            old.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Delete what came."""
        self._release()
        self._part.unlink(missing_ok=True)

    def _release(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def close(self) -> None:
        """A file system that hangs cannot be told to stop: nothing."""


def _synchronise(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class Tar:
    """An endless tar stream of snapshots (`everlease node --snapshots - | tar -x` unpacks them as they come)."""

    PATIENCE: Final = 60.0
    """Seconds for the reader to take something; after that the stream is given up for good."""

    def __init__(self, descriptor: int = 1, now: Callable[[], float] = time.time) -> None:
        self._descriptor = descriptor
        self._now = now
        self._left = 0
        self._padding = 0
        self._broken = False

    def begin(self, name: str, size: int) -> None:
        """Write the member's header: its size is a promise."""
        head = tarfile.TarInfo(f"{PREFIX}{name}{SUFFIX}")
        head.size, head.mode, head.mtime = size, 0o600, int(self._now())
        self._left, self._padding = size, -size % tarfile.BLOCKSIZE
        self._send(head.tobuf(tarfile.GNU_FORMAT))

    def write(self, part: bytes) -> None:
        """Send on."""
        self._left -= len(part)
        self._send(part)

    def finish(self) -> None:
        """Fill the last block."""
        self._send(bytes(self._padding))

    def abandon(self) -> None:
        """Keep the promise with zeros, so that the next one can be read; this one's digest will not be right."""
        while self._left and not self._broken:
            self.write(bytes(min(self._left, 1 << 16)))
        self.finish()

    def close(self) -> None:
        """Let go of a reader that does not read."""
        self._broken = True

    def _send(self, data: bytes) -> None:
        rest, end = memoryview(data), time.monotonic() + self.PATIENCE
        while rest and not self._broken:
            if select.select((), (self._descriptor,), (), 0.2)[1]:
                # So much a pipe takes without blocking; its other settings belong to whoever else writes there.
                rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
                end = time.monotonic() + self.PATIENCE
            elif time.monotonic() > end:
                self._broken = True
        if rest:
            raise OSError("nobody reads the snapshots on standard output")


class Pace:
    """Sleeps so that no more than `rate` bytes pass in a second."""

    def __init__(
        self,
        rate: float = RATE,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._due = now()

    def passed(self, count: int) -> None:
        """So many bytes have passed."""
        self._due = max(self._due, self._now() - 1.0) + count / self._rate
        ahead = self._due - self._now()
        if ahead > 0.01:  # sleeping for less costs more than it saves
            self._sleep(ahead)


def receive(parts: Iterable[tuple[bytes, int]], sink: Sink, name: str, pace: Pace) -> int:
    """Pass a stream of (bytes, bytes that remain before the digest) on to a sink; how many bytes it was.

    Raises Damaged when its digest is wrong or it ends early, OSError of the sink, and what `parts` raises.
    """
    stream = iter(parts)
    first, remaining = next(stream, (b"", 0))
    body, digest, tail, came = len(first) + remaining, hashlib.sha256(), b"", 0
    sink.begin(name, body + DIGEST)
    whole = False
    try:
        part = first
        while part:
            sink.write(part)
            digest.update(part[: max(body - came, 0)])
            tail += part[max(body - came, 0) :]
            came += len(part)
            pace.passed(len(part))
            part = next(stream, (b"", 0))[0]
        if came != body + DIGEST or tail != digest.digest():
            raise Damaged(f"{came} of {body + DIGEST} bytes, and the digest {'is' if tail else 'is not'} there")
        whole = True
    finally:
        (sink.finish if whole else sink.abandon)()
    return came
