"""structlog without rich, which it imports wherever that is installed: 80 ms of a node's start and 7 MB.

The law of this file: what the import of structlog would find anyway, because somebody has loaded it, it finds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["structlog"]


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """A module that is not loaded yet is not to be found (None in `sys.modules`, as the import system has it)."""
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]
    hide = name not in modules
    if hide:
        modules[name] = None
    try:
        yield
    finally:
        if hide:
            del modules[name]


with _hidden("rich"):  # no log line has a traceback drawn by it
    import structlog
