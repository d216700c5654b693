"""Reservations between files and messages: CSV, JSON lines, JSON or YAML lists, with the document's keys.

The law of this file: what `reservation list` prints can be read here again; a row that is wrong is named by its line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from everlease.cli.values import enum_text, time_text
from everlease.errors import ConfigError
from everlease.pb.admin.v1.reservation_service_pb2 import Reservation, ReservationSource

IDENTIFIERS: Final = ("hw_address", "client_id", "circuit_id", "remote_id")
_WORDS: Final = ("address", *IDENTIFIERS, "relay", "hostname", "description", "space")
_TOLD: Final = frozenset({"name", "source", "updated", "author", "etag"})
"""Printed, and not read: the cluster's own words."""


def row_of(reservation: Reservation) -> dict[str, Any]:
    """A reservation as programs get it."""
    return {
        "name": reservation.name,
        "address": reservation.address,
        "subnet": reservation.subnet,
        **{key: getattr(reservation, key) for key in IDENTIFIERS},
        "relay": reservation.relay,
        "hostname": reservation.hostname,
        "parameters": MessageToDict(reservation.parameters),
        "description": reservation.description,
        "source": enum_text(ReservationSource.Name(reservation.source), "RESERVATION_SOURCE_"),
        "updated": time_text(reservation.update_time),
        "author": reservation.author,
        "space": reservation.space,
        "etag": reservation.etag,
    }


def message_of(row: Mapping[str, Any]) -> Reservation:
    """A row as a message. Raises ConfigError for a key or a value that a reservation cannot have."""
    given = {key.strip().replace("-", "_"): value for key, value in row.items() if value not in (None, "", [], {})}
    unknown = given.keys() - {*_WORDS, *_TOLD, "subnet", "parameters"}
    if unknown:
        raise ConfigError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(sorted(_WORDS))}, parameters")
    named = [key for key in IDENTIFIERS if key in given]
    if len(named) != 1:
        wanted, there = ", ".join(IDENTIFIERS), " and ".join(named) or "none"
        raise ConfigError(f"one of {wanted} says whom it is for: there is {there}")
    found = Reservation()
    for key in _WORDS:
        if key in given:
            setattr(found, key, str(given[key]))
    try:
        found.subnet = int(given.get("subnet", 0))
        parameters = given.get("parameters", {})
        ParseDict(json.loads(parameters) if isinstance(parameters, str) else parameters, found.parameters)
    except (ValueError, TypeError, ParseError) as error:
        raise ConfigError(str(error)) from error
    return found


def name_of(row: Mapping[str, Any], space: str) -> str:
    """The resource name of a row: as `list` prints it, or by its address. space: where the row names none."""
    own = row.get("space") or space or "default"
    return str(row.get("name") or f"spaces/{own}/reservations/{row.get('address') or ''}")


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(line, or place from 1, and row) of a file, by its suffix. Raises ConfigError, OSError."""
    with path.open(encoding="utf-8", newline="") as file:
        try:
            if path.suffix == ".csv":
                reader = csv.DictReader(file)
                yield from ((reader.line_num, row) for row in reader)
            elif path.suffix in {".jsonl", ".ndjson"}:
                yield from ((number, json.loads(line)) for number, line in enumerate(file, 1) if line.strip())
            elif path.suffix in {".json", ".yaml", ".yml"}:
                yield from enumerate(_listed(yaml.load(file, yaml.CSafeLoader)), 1)
            else:
                raise ConfigError(f"{path}: a name that ends in .csv, .jsonl, .json or .yaml says what is in it")
        except (ValueError, yaml.YAMLError, csv.Error) as error:
            raise ConfigError(f"{path}: {error}") from error


def _listed(value: Any) -> Iterable[Any]:
    rows = value.get("reservations", ()) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise ConfigError("a list of reservations is expected, or one under the key `reservations`")
    return rows
