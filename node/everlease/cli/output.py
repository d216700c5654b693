"""One table, four ways to read it: for people, JSON, YAML, CSV.

The law of this file: what a program reads (json, yaml, csv) carries plain values under stable names; only the table
for people is shortened, coloured or drawn.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Format(StrEnum):
    """Values of `--output`."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """A column for people: heading, and the cell of a row (markup allowed, escape what comes from outside)."""

    heading: str
    cell: Callable[[Mapping[str, Any]], str]
    right: bool = False


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
    """Standard output; wide where it is no terminal, so that no value is cut off for `grep`."""
    width = None if sys.stdout.isatty() else 240
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def table_of(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table for people."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], output: Format, empty: str) -> None:
    """Print a list. empty: what to tell people when there is nothing."""
    if output is not Format.TABLE:
        write(list(rows), output)
    elif rows:
        console().print(table_of(columns, rows))
    else:
        typer.echo(empty, err=True)


def write(value: Any, output: Format) -> None:
    """Print a value, or a list of rows, for programs."""
    if output is Format.JSON:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    elif output is Format.YAML:
        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        _write_csv(value if isinstance(value, list) else [value])


def _write_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row.values()])


def details(row: Mapping[str, Any], output: Format) -> None:
    """Print one thing: a line for each of its values."""
    if output is not Format.TABLE:
        write(row, output)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for key in row:
        table.add_row(f"[bold]{key.replace('_', ' ')}[/bold]", plain(key)(row))
    console().print(table)
