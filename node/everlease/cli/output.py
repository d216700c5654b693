"""One table, four ways to read it: for people, JSON, YAML, CSV.

The law of this file: what a program reads (json, yaml, csv) carries plain values under stable names, row after row as
they come; only the table for people is shortened, coloured or drawn. Where there is no terminal nothing is left out.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from math import ceil
from typing import Any, Final

import typer
import yaml
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

WIDEST: Final = 10_000
"""Characters of a line where there is no terminal: nothing is cut off for `grep`."""

GAP: Final = 2
"""Blanks between two columns."""

CHUNK: Final = 500
"""Rows that are drawn at a time: a million leases begin to appear with the first page."""


class Format(StrEnum):
    """Values of `--output`."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """A column for people: heading, and the cell of a row (markup allowed, escape what comes from outside).

    On a terminal that is too narrow it is shortened to `most` characters, then left out: `spare`, the highest first;
    0 = never.
    """

    heading: str
    cell: Callable[[Mapping[str, Any]], str]
    right: bool = False
    spare: int = 0
    most: int = 0


def plain(key: str) -> Callable[[Mapping[str, Any]], str]:
    """A cell that shows the value as it is; nothing, for nothing."""

    def cell(row: Mapping[str, Any]) -> str:
        value = row[key]
        if isinstance(value, list):
            value = " ".join(str(each) for each in value)
        return "" if value is None else escape(printable(str(value)))

    return cell


def printable(text: str) -> str:
    """Text from the network without what a terminal would act upon."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def console() -> Console:
    """Standard output; as wide as it takes where it is no terminal."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDEST, highlight=False, soft_wrap=False)


def say(text: RenderableType) -> None:
    """Print for people. Where there is no terminal, without blanks at the ends of lines."""
    out = console()
    if out.is_terminal:
        out.print(text)
        return
    with out.capture() as captured:
        out.print(text)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def table_of(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> Table:
    """The table for people, in full."""
    return _table(columns, [[column.cell(row) for column in columns] for row in rows])


def fitting(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns that fit the terminal: spare ones are left out as need be. All of them where there is no terminal."""
    left, out = list(columns), console()
    if not out.is_terminal:
        return left
    widths = {column.heading: _width(column, rows[:CHUNK]) for column in left}

    def fits() -> bool:
        return sum(widths[column.heading] + GAP for column in left) - GAP <= out.width

    for index, column in enumerate(left):
        if not fits() and 0 < column.most < widths[column.heading]:
            widths[column.heading] = column.most
            left[index] = replace(column, cell=_shortened(column))
    while not fits() and any(column.spare for column in left):
        left.remove(max(left, key=lambda column: column.spare))
    return left


def _shortened(column: Column) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        text = Text.from_markup(column.cell(row))
        text.truncate(column.most, overflow="ellipsis")
        return text.markup

    return cell


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], output: Format, empty: str) -> int:
    """Print a list, as it comes; how many there were. empty: what to tell people when there is nothing."""
    if output is not Format.TABLE:
        return _write_rows(rows, output)
    coming = iter(rows)
    first = list(islice(coming, CHUNK))
    if not first:
        typer.echo(empty, err=True)
        return 0
    chosen, count = fitting(columns, first), len(first)
    say(table_of(chosen, first))
    more = list(islice(coming, CHUNK))
    widths = [_width(column, first) for column in chosen] if more else []
    while more:
        say(_table(chosen, [[column.cell(row) for column in chosen] for row in more], widths))
        count += len(more)
        more = list(islice(coming, CHUNK))
    return count


def write(value: Any, output: Format) -> None:
    """Print one value for programs."""
    if output is Format.CSV:
        _write_rows([value], output)
    elif output is Format.JSON:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


def write_next(value: Any, output: Format, first: bool) -> None:
    """Print one of many that come without end: JSON one a line, YAML as documents, CSV with its heading at first."""
    if output is Format.JSON:
        typer.echo(json.dumps(value, ensure_ascii=False))
    elif output is Format.YAML:
        typer.echo(f"---\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True)}", nl=False)
    else:
        for number, row in enumerate(value if isinstance(value, list) else [value]):
            _csv_row(row, heading=first and not number)
    sys.stdout.flush()


def details(row: Mapping[str, Any], output: Format) -> None:
    """Print one thing: a line for each of its values."""
    if output is not Format.TABLE:
        write(row, output)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
    for key in row:
        table.add_row(f"[bold]{escape(key.replace('_', ' '))}[/bold]", plain(key)(row))
    say(table)


def bar(share: float, width: int = 20) -> str:
    """How full something is, 0 to 1, as markup; in ASCII where the output takes nothing else."""
    colour = "red" if share >= 0.95 else "yellow" if share >= 0.8 else "green"
    full, empty = ("█", "░") if "utf" in (sys.stdout.encoding or "").lower() else ("#", ".")
    filled = min(ceil(share * width), width - (share < 1))  # what is not empty, or not full, shows
    return f"[{colour}]{full * filled}[/][dim]{empty * (width - filled)}[/] {share:4.0%}"


# --- parts ------------------------------------------------------------------------------------------------------------


def _table(columns: Sequence[Column], cells: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> Table:
    """widths: at least, in characters; then it goes on with a table that has begun, without a heading."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0), show_header=not widths)
    wrap = sys.stdout.isatty()
    for index, column in enumerate(columns):
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=not wrap,
            overflow="fold",
            min_width=widths[index] if widths else None,
        )
    for row in cells:
        table.add_row(*row)
    return table


def _write_rows(rows: Iterable[Mapping[str, Any]], output: Format) -> int:
    count = 0
    for count, row in enumerate(rows, 1):
        if output is Format.CSV:
            _csv_row(row, heading=count == 1)
        elif output is Format.YAML:
            typer.echo(yaml.safe_dump([row], sort_keys=False, allow_unicode=True), nl=False)
        else:
            typer.echo(f"{'[' if count == 1 else ','}\n{_indented(row)}", nl=False)
    if output is Format.JSON:
        typer.echo("\n]" if count else "[]")
    elif output is Format.YAML and not count:
        typer.echo("[]")
    return count


def _indented(row: Mapping[str, Any]) -> str:
    """A row within an array, as `json.dumps` would write it."""
    return "\n".join(f"  {line}" for line in json.dumps(row, indent=2, ensure_ascii=False).split("\n"))


def _width(column: Column, rows: Sequence[Mapping[str, Any]]) -> int:
    cells = (cell_len(Text.from_markup(column.cell(row)).plain) for row in rows)
    return max(len(column.heading), *cells)


def _csv_row(row: Mapping[str, Any], heading: bool) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if heading:
        writer.writerow(row)
    writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row.values()])
