"""Logging: structured, one line per event, on standard error; as JSON, or for people where that is a terminal.

The law of this file: a log line never blocks the loop (`logs.lines`). No packet is logged above debug, except that an
operator may ask for a line for each binding (`runtime.ledger`); drops are told by reason, as counts (`runtime.drops`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TextIO

from everlease.logs.bare import structlog  # isort: skip  (before anything else imports it)
from structlog.typing import EventDict, Processor, WrappedLogger

from everlease.logs.lines import WAITING, Lines
from everlease.logs.privacy import Pseudonyms

__all__ = ["LEVELS", "WAITING", "Lines", "Pseudonyms", "Style", "configure", "get"]

LEVELS: Final = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
JSON, CONSOLE = "json", "console"

get = structlog.get_logger


@dataclass(frozen=True, slots=True)
class Style:
    """How lines look. format: "json" or "console", "" = console on a terminal; pseudonyms: None = clients are named."""

    format: str = ""
    pseudonyms: Pseudonyms | None = None


def configure(
    level: str, node: str, lost: Callable[[], None], stream: TextIO = sys.stderr, style: Style | None = None
) -> Lines:
    """Set structlog and the standard library's loggers up. level: one of LEVELS; node: named in every line."""
    style = style or Style()

    def named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("node", node)
        return event

    people = stream.isatty() if not style.format else style.format == CONSOLE
    # With quotes around every text: what an outsider wrote shall not speak to the terminal.
    shape: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), repr_native_str=True)
        if people
        else structlog.processors.JSONRenderer()
    )
    lines = Lines(stream, lost)
    structlog.configure(
        processors=[
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([style.pseudonyms.hide] if style.pseudonyms else []),
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
