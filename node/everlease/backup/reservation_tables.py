"""Reservations as a table, as ReservationService has them."""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from everlease.backup.lines import Damaged
from everlease.backup.tables import Row, number_of, read
from everlease.pb.admin.v1 import reservation_service_pb2 as pb

COLUMNS: Final = (
    "address", "hw_address", "client_id", "circuit_id", "remote_id", "subnet", "relay", "hostname", "parameters",
    "description", "space",
)  # fmt: skip
"""As ReservationService has them; parameters: a JSON object."""

_IDENTIFIERS: Final = ("hw_address", "client_id", "circuit_id", "remote_id")


def row_of(reservation: pb.Reservation) -> dict[str, str]:
    """A reservation as ListReservations shows it."""
    row = {name: str(getattr(reservation, name) or "") for name in COLUMNS if name != "parameters"}
    parameters = MessageToDict(reservation.parameters)
    return {**row, "parameters": json.dumps(parameters) if parameters else ""}


def reservations(text: str) -> list[tuple[int, pb.Reservation]]:
    """(line, reservation) of a table, for BatchCreateReservations. Raises Damaged for the first that cannot be."""
    return [(number, _made(number, row)) for number, row in read(text, COLUMNS)]


def _made(line: int, row: Row) -> pb.Reservation:
    named = [name for name in _IDENTIFIERS if row.get(name)]
    if len(named) != 1:
        raise Damaged(line, f"exactly one of {', '.join(_IDENTIFIERS)} says whom it is for")
    made = pb.Reservation()
    for name in ("address", "relay", "hostname", "description", "space", named[0]):
        setattr(made, name, row.get(name, ""))
    try:
        made.subnet = number_of(row, "subnet", 0, 0xFFFFFFFF)
        made.parameters.update(_object(row.get("parameters", "")))
    except ValueError as bad:
        raise Damaged(line, str(bad)) from bad
    return made


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError as bad:
        raise ValueError(f"parameters: not JSON: {bad}") from bad
    if not isinstance(found, dict):
        raise ValueError("parameters: not a JSON object")
    return found
