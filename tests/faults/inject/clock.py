"""Faults of one node's wall clock, by libfaketime: it steps, or runs too fast (F22).

Law: a false clock needs a node that was started with it: `environment` makes one, and it is right until it is told
otherwise. CLOCK_BOOTTIME is never touched, because nobody can.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from everlease.lab.processes import LabError
from faults.stage import Stage

_LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"
_TOLD = "faketime"
READ_EVERY = 1
"""Seconds between two looks of libfaketime at what the clock shall be; reading it each time would stall the node."""


def environment(folder: Path, number: int) -> dict[str, str]:
    """What a node is started with whose wall clock can be set."""
    library = next((str(path) for path in Path("/").glob(_LIBRARIES[1:])), "")
    if not library:
        raise LabError("libfaketime is not installed; ./tests/run.sh installs what the tests need")
    told = _file(folder, number)
    told.write_text("+0 x1.0\n")
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_CACHE_DURATION": str(READ_EVERY),
        "DONT_FAKE_MONOTONIC": "1",
    }


def stepped(seconds: float) -> Callable[[Stage, int], AbstractContextManager[None]]:
    """F22: the wall clock of a node is set wrong by so much; healed by setting it right."""
    return lambda stage, number: _told(stage, number, f"{seconds:+.0f}")


def drifting(stage: Stage, number: int) -> AbstractContextManager[None]:
    """F22: the wall clock of a node gains a second in ten."""
    return _told(stage, number, "+0 x1.1")


@contextlib.contextmanager
def _told(stage: Stage, number: int, words: str) -> Iterator[None]:
    told = _file(stage.lab.folder, number)
    told.write_text(words + "\n")
    try:
        yield
    finally:
        told.write_text("+0 x1.0\n")


def _file(folder: Path, number: int) -> Path:
    return folder / f"{_TOLD}-{number}"
