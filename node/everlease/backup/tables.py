"""Tables in two forms: CSV for spreadsheets, JSON lines for programs.

Law: what is written is read as it was; a column that is not known, or a cell that cannot be, is told with its line, and
nothing of the file is used.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from everlease.backup.lines import Damaged

CSV: Final = "csv"
JSONL: Final = "jsonl"
FORMATS: Final = (CSV, JSONL)

Row = Mapping[str, str]


def write(rows: Iterable[Row], columns: tuple[str, ...], form: str) -> Iterator[bytes]:
    """Rows as the bytes of a file: CSV with a head line, or a JSON object a line without what is empty."""
    if form == CSV:
        yield _csv_line(columns)
    for row in rows:
        if form == CSV:
            yield _csv_line([row.get(name, "") for name in columns])
        else:
            yield (
                json.dumps({name: row[name] for name in columns if row.get(name)}, ensure_ascii=False).encode() + b"\n"
            )


def _csv_line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def read(text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a table in either form. Raises Damaged for an unknown column and for a line of neither form."""
    begins = text.lstrip("\ufeff \r\n")[:1]
    return _read_json(text, columns) if begins == "{" else _read_csv(text.removeprefix("\ufeff"), columns)


def _read_json(text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, str | int | float | bool | dict[str, object] | None])
        except msgspec.MsgspecError as bad:
            raise Damaged(number, f"not a JSON object: {bad}") from bad
        _check(number, row, columns)
        yield number, {name: _cell(value) for name, value in row.items()}


def _cell(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)


def _read_csv(text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        _check(1, reader.fieldnames or (), columns)
        for row in reader:
            if None in row:
                raise Damaged(reader.line_num, "has more cells than the head line")
            yield reader.line_num, {name: value or "" for name, value in row.items()}
    except csv.Error as bad:
        raise Damaged(reader.line_num, f"not CSV: {bad}") from bad


def _check(line: int, names: Iterable[str], columns: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise Damaged(line, f"unknown column {unknown[0]!r}; there are {', '.join(columns)}")


# --- cells ------------------------------------------------------------------------------------------------------------


def octets_of(row: Row, name: str) -> bytes:
    """Hexadecimal, with or without colons; b"" for an empty cell. Raises ValueError."""
    try:
        return bytes.fromhex(row.get(name, "").replace(":", "").replace("-", ""))
    except ValueError:
        raise ValueError(f"{name}: {row[name]!r} is not hexadecimal") from None


def number_of(row: Row, name: str, default: int | None, most: int) -> int:
    """A number; default: of an empty cell, None = it must be there. Raises ValueError."""
    text = row.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdecimal() or int(text) > most:
        raise ValueError(f"{name}: {text!r} is no number from 0 to {most}" if text else f"{name} is missing")
    return int(text)


def time_of(row: Row, name: str) -> int | None:
    """Seconds UTC, from ISO 8601 or as they are; None for an empty cell. Raises ValueError."""
    text = row.get(name, "")
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no time: write 2026-11-23T14:00:00Z, or seconds since 1970") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def time_text(seconds: int) -> str:
    """The reverse of `time_of`; "" for 0."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""
