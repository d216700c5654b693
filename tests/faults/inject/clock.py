"""Faults of one node's wall clock, by libfaketime: it steps, or runs too fast (F22).

Law: a false clock needs a node that was started with it: `environment`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from faults.stage import Stage
from lab.false_clock import RIGHT, FalseClock


def environment(folder: Path, number: int) -> dict[str, str]:
    """What a node is started with whose wall clock can be set."""
    return _clock(folder, number).environment()


def stepped(seconds: float) -> Callable[[Stage, int], AbstractContextManager[None]]:
    """F22: the wall clock of a node is set wrong by so much; healed by setting it right."""
    return lambda stage, number: _told(stage, number, f"{seconds:+.0f}")


def drifting(stage: Stage, number: int) -> AbstractContextManager[None]:
    """F22: the wall clock of a node gains a second in ten."""
    return _told(stage, number, "+0 x1.1")


@contextlib.contextmanager
def _told(stage: Stage, number: int, words: str) -> Iterator[None]:
    clock = _clock(stage.lab.folder, number)
    clock.set(words)
    try:
        yield
    finally:
        clock.set(RIGHT)


def _clock(folder: Path, number: int) -> FalseClock:
    return FalseClock(folder / f"clock-{number}")
