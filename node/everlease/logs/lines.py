"""Lines on their way to where somebody may read them.

The law of this file: who writes a line never waits. Lines go through a bounded queue to a thread; when nobody takes
them (a full disk, a stuck pipe) they are dropped and counted.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol

WAITING: Final = 10_000
"""Lines that may wait for a slow reader: some 3 MB."""


class Stream(Protocol):
    """Where lines end: a text file, or one of `logs.sinks`. Both raise OSError."""

    def write(self, text: str, /) -> object:
        """Take one line, with its end."""

    def flush(self) -> object:
        """Let go of it."""


class Lines:
    """A bounded queue of lines, written by a thread of its own. `lost`: called for each line that found no room."""

    def __init__(self, stream: Stream, lost: Callable[[], None], name: str = "log") -> None:
        self._stream = stream
        self._lost = lost
        self._queue: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name=name, daemon=True)
        self._thread.start()

    def msg(self, message: str) -> None:
        """Take one line; never waits."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self._lost()

    log = debug = info = warning = error = critical = exception = msg

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                self._lost()

    def close(self, patience: float = 1.0) -> None:
        """Write what waits, for at most `patience` seconds."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(patience)
