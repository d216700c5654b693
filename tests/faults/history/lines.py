"""From a node's log to events: its lines for ACKs, and all the others.

Law: a line that is no JSON (a traceback, what a library wrote) is kept as an error, for it is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from faults.history.events import Event, Line, Told

ENDS = frozenset({"release", "decline"})
"""The other lines of --log-leases: they name clients too, as asked, and what they tell is in the commits."""


def read(node: str, lines: Iterable[str]) -> Iterator[Event]:
    """The events of one log."""
    last = 0.0
    for number, text in enumerate(lines):
        fields = _fields(text)
        if fields is None:
            yield Line(last, node, "error", text.rstrip())
            continue
        last = datetime.fromisoformat(fields["timestamp"]).timestamp()
        event = fields.get("event")
        if event == "ack":
            yield _told(node, last, number, fields)
        elif event not in ENDS:
            yield Line(last, node, str(fields.get("level", "")), text.rstrip())


def _fields(text: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "timestamp" in fields else None


def _told(node: str, at: float, number: int, fields: dict[str, Any]) -> Told:
    names = set(Told.__struct_fields__) - {"at", "node", "number"}
    return Told(at=at, node=node, number=number, **{name: fields[name] for name in names})
