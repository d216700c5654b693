"""Before something is destroyed a person is asked; a script says --yes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from everlease.cli.connect import REFUSED, USAGE, fail

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Go on if a person says so. Leaves with 1 if not, and with 2 where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question} There is no terminal to ask at: say --yes to do it", USAGE)
    if not typer.confirm(question, err=True):
        fail("nothing was done", REFUSED)
