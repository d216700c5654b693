"""Bars for work that takes a while: on standard error, and only where somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Tell = Callable[[float, float | None], None]


@contextmanager
def progress(words: str, total: float | None, *, octets: bool = False) -> Iterator[Tell]:
    """A bar; it is told (how much is done, how much there is in all: None = as before). octets: it counts bytes."""
    from rich import progress as bars  # noqa: PLC0415  (for work that takes a while it may take a while)

    out = Console(file=sys.stderr)
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn() if octets else bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as shown:
        task = shown.add_task(words, total=total)

        def tell(done: float, all_of_it: float | None = None) -> None:
            shown.update(task, completed=done, total=total if all_of_it is None else all_of_it)

        yield tell


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """A sign of life, for work of which nobody knows how long it takes."""
    out = Console(file=sys.stderr)
    if not out.is_terminal:
        yield
        return
    with out.status(words):
        yield
