"""`--watch`: the same view again every second, while nodes come and go, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from everlease.cli.connect import cause_of
from everlease.cli.output import Format, console, write_next
from everlease.client import Unreachable

T = TypeVar("T")
PERIOD: Final = 1.0

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Again every second, until Ctrl-C.")]


def follow(
    read: Callable[[], T],
    picture: Callable[[T], RenderableType],
    output: Format,
    values: Callable[[T], Any] = lambda found: found,
) -> None:
    """read: asks the cluster; picture: for people; values: for programs. Raises Unreachable if the first one fails."""
    with suppress(KeyboardInterrupt):
        found = read()
        if output is not Format.TABLE:
            _write(read, found, output, values)
        with Live(picture(found), console=console(), auto_refresh=False, screen=console().is_terminal) as live:
            while True:
                time.sleep(PERIOD)
                try:
                    found = read()
                except Unreachable as error:
                    live.update(Group(_nobody(error), picture(found)), refresh=True)
                else:
                    live.update(picture(found), refresh=True)


def _write(read: Callable[[], T], found: T, output: Format, values: Callable[[T], Any]) -> None:
    """Without end; while nobody answers, nothing is printed."""
    first = True
    while True:
        write_next(values(found), output, first)
        first = False
        time.sleep(PERIOD)
        with suppress(Unreachable):
            found = read()


def _nobody(error: Unreachable) -> Text:
    words = " ".join(dict.fromkeys(cause_of(said) for said in error.said.values())) or str(error)
    return Text(f"Nobody answers ({words}); as it was:", style="red")
