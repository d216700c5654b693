"""Long work on documents' texts, in a process of its own: comparing two, and editing one place of one.

The law of this file: a node that serves never walks a document itself; what a chore cannot do it says in one line.
"""

from __future__ import annotations

import asyncio
import difflib
import gc
import pickle
import sys
from collections.abc import Callable
from typing import Any, Final

from everlease.config.beside import Beside
from everlease.errors import ConfigError

PATIENCE: Final = 60.0
"""Seconds: documents of 10 MB that have nothing in common take half of it."""

LONGEST: Final = 8_000_000
"""Characters of a comparison."""

_DONE: Final = b"done\n"
"""Begins what a process says that has done its work."""

_CUT: Final = "... cut here: the texts differ in more than this\n"


async def text_diff(old: str, new: str, names: tuple[str, str]) -> str:
    """A unified diff; "" = the same text. Raises ConfigError if no process could do it."""
    return "" if old == new else await _chore("diff", old, new, names)


async def edited(text: str, subnet: int, pool: int, state: str) -> str:
    """The document with another `state` in one place (`config.edit`). Raises ConfigError with the reason if not."""
    return await _chore("state", text, subnet, pool, state)


async def _chore(name: str, *arguments: object) -> str:
    process = await Beside.start("everlease.config.chores")
    try:
        async with asyncio.timeout(PATIENCE):
            await process.send(await asyncio.to_thread(pickle.dumps, (name, arguments)))
            process.writer.write_eof()
            out = await process.reader.read()
            if not out.startswith(_DONE):
                raise ConfigError(await process.fate())
    except TimeoutError:
        raise ConfigError(f"it takes longer than {PATIENCE:.0f} seconds") from None
    except OSError:
        raise ConfigError(f"the process that reads documents ended: {await process.fate()}") from None
    finally:
        await process.end()
    return await asyncio.to_thread(out.removeprefix(_DONE).decode)


def _diff(old: str, new: str, names: tuple[str, str]) -> str:
    """Equal lines at both ends are set aside first: what is compared is what was touched."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for lines in (before, after):
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
    found: list[str] = []
    length = 0
    for line in difflib.unified_diff(before, after, *names):
        length += len(line)
        if length > LONGEST:
            found.append(_CUT)
            break
        found.append(line)
    return "".join(found)


def _state(*place: Any) -> str:
    from everlease.config.edit import set_state  # noqa: PLC0415  (YAML: only in the process that edits)

    return set_state(*place)


CHORES: Final[dict[str, Callable[..., str]]] = {"diff": _diff, "state": _state}


def main() -> int:
    """`python -m everlease.config.chores`: what to do on standard input, the text on standard output."""
    gc.disable()
    name, arguments = _read(sys.stdin.buffer.read())
    try:
        text = CHORES[name](*arguments)
    except ConfigError as refused:
        sys.stderr.write(f"{' '.join(str(refused).split())}\n")
        return 1
    sys.stdout.buffer.write(_DONE + text.encode())
    return 0


def _read(data: bytes) -> tuple[str, tuple[Any, ...]]:
    name, arguments = pickle.loads(data)  # only what the node itself wrote
    return name, arguments


if __name__ == "__main__":
    sys.exit(main())
