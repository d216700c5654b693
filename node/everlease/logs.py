"""Logging: structured, one line per event, on standard error; as JSON, or for people where that is a terminal.

The law of this file: a log line never blocks the loop. Lines go through a bounded queue to a thread; when nobody reads
them (a full disk, a stuck pipe) they are dropped and counted. No packet is logged above debug, except
that an operator may ask for a line for each ACK (`runtime.ledger`).
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS: Final = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
WAITING: Final = 10_000
"""Lines that may wait for a slow reader: some 3 MB."""

get = structlog.get_logger


class Lines:
    """A bounded queue of lines, written by a thread of its own. `lost`: called for each line that found no room."""

    def __init__(self, stream: TextIO, lost: Callable[[], None]) -> None:
        self._stream = stream
        self._lost = lost
        self._queue: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
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


def configure(level: str, node: str, lost: Callable[[], None], stream: TextIO = sys.stderr) -> Lines:
    """Set structlog and the standard library's loggers up. level: one of LEVELS; node: named in every line."""

    def named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("node", node)
        return event

    people = stream.isatty()
    shape: Processor = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    lines = Lines(stream, lost)
    structlog.configure(
        processors=[
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.ExceptionRenderer(),
            shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=max(LEVELS[level], logging.WARNING), force=True)
    return lines


class _Bridge(logging.Handler):
    """Lines of libraries (asyncio, grpc) go the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
