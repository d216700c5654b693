"""A wall clock that a test sets: libfaketime in front of one process.

Law: only a process that was started with its environment has one. CLOCK_BOOTTIME is never touched, because nobody can.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from everlease.lab.processes import LabError

RIGHT: Final = "+0 x1.0"

READ_EVERY: Final = 1
"""Seconds between two looks of libfaketime at what the clock shall be; reading it each time would stall a busy node."""

_LIBRARIES: Final = "*/faketime/libfaketime.so.1"


@dataclass(frozen=True)
class FalseClock:
    """`file`: where a process is told its wall clock."""

    file: Path

    def environment(self) -> dict[str, str]:
        """Set the clock right, and say what a process is started with. LabError: libfaketime is not there."""
        library = next((str(path) for path in Path("/usr/lib").glob(_LIBRARIES)), "")
        if not library:
            raise LabError("libfaketime is not installed; ./tests/run.sh installs what the tests need")
        self.set(RIGHT)
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": str(READ_EVERY),
            "DONT_FAKE_MONOTONIC": "1",
            # Its own way of waiting until a moment ends waits too soon: Python's threads, which hand the interpreter
            # to each other by such waits, then turn in circles, and 140 ms go by between two packets.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set(self, words: str) -> None:
        """`+7200`: so many seconds ahead; `+0 x1.1`: a tenth too fast; within READ_EVERY seconds."""
        self.file.write_text(words + "\n")
