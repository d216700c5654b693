"""The program's commands as it knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from everlease.cli.main import app


def commands() -> Iterator[tuple[str, Any]]:
    """("lease list", the command) of each, in the order of --help."""
    yield from _below("", get_command(app))


def _below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = command.make_context(path or "everlease", [], resilient_parsing=True)
    for name in command.list_commands(context):
        yield from _below(f"{path} {name}".strip(), command.get_command(context, name))
