"""What a flag's text means, where that is plain: typer asks pydantic, which costs a node's start 100 ms and 10 MB.

The law of this file: a value that is not plain, or not right, goes typer's own way, and has typer's own message. It is
for commands whose flags have no bounds of typer's (`min`, `exists`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Final

_AS_IT_IS: Final = (str, bool, int, float)


def plainly(command: Any, ctx: Any) -> None:
    """Let the plain flags of a command, or of a group itself, be read without pydantic."""
    for parameter in command.get_params(ctx):  # with `--help`
        asked = getattr(parameter, "get_runtime_param", None)  # typer's, since it no longer uses click's types
        if asked is not None and not isinstance(asked, _Reading):
            parameter.get_runtime_param = _Reading(parameter.type_descriptor, asked)


class _Reading:
    """What typer asks to read a flag, and what reads it."""

    def __init__(self, descriptor: Any, typers: Callable[[], Any]) -> None:
        self._wanted, self._typers = descriptor.annotation, typers

    def __call__(self) -> _Reading:
        """Typer asks anew for each value."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of a flag; it may be a default one."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        found = self._plain(value)
        return self._typers().coerce(value, param=param, ctx=ctx) if found is None else found

    def _plain(self, value: Any) -> Any:
        """None for what is not plain."""
        wanted = self._wanted
        if wanted == list[str] and isinstance(value, list | tuple):
            return list(value) if all(isinstance(each, str) for each in value) else None
        if not isinstance(wanted, type):
            return None
        if wanted is float and type(value) is int:
            return float(value)
        if isinstance(value, wanted) and issubclass(wanted, (*_AS_IT_IS, Enum, Path)):
            return value
        if issubclass(wanted, Enum) and isinstance(value, str):
            return next((each for each in wanted if each.value == value), None)
        return Path(value) if wanted is Path and isinstance(value, str) and value != "-" else None
