"""What is wrong with a document: where, and what to do about it.

The law of this file: a problem is worth its place only if its message says how to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeAlias

from everlease.errors import ConfigError

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top of the document: ("subnets", 2, "pools", 0, "range")."""

MOST_SHOWN: Final = 50
MOST_KEPT: Final = 1000
"""More problems than this have one cause; a report without bounds would be an answer without bounds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem before its line is looked up; `{other}` in the message stands for the path `other`."""

    path: Path
    message: str
    other: Path = ()

    def moved(self, original: Callable[[Path], Path]) -> Finding:
        """The same problem with the paths of the text as it was written."""
        message = self.message.replace("{other}", path_text(original(self.other))) if self.other else self.message
        return Finding(original(self.path), message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. path: like `subnets[2].pools[0].range`, "" = the whole document; line and column count from 1."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.path} (line {self.line})" if self.path else f"line {self.line}, column {self.column}"
        return f"{place}: {self.message}"


class InvalidDocument(ConfigError):
    """A configuration that cannot be used; `problems` holds everything that is wrong with it, in the text's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.column))
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"... and {len(self.problems) - MOST_SHOWN} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[InvalidDocument], tuple[list[Problem]]]:
        return InvalidDocument, (self.problems,)


class Report:
    """Collects findings, at most MOST_KEPT of them."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, path: Path, message: str, other: Path = ()) -> None:
        """Note one problem; `{other}` in the message stands for the path `other`."""
        if len(self.findings) < MOST_KEPT:
            self.findings.append(Finding(path, message, other))

    @contextmanager
    def at(self, path: Path) -> Iterator[None]:
        """Turn a `ValueError` into a finding at `path`."""
        try:
            yield
        except ValueError as problem:
            self.add(path, str(problem))


def path_text(path: Path) -> str:
    """A path as people write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "prefix"?` for a near miss, else the empty string."""
    near = get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
