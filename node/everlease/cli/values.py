"""Protobuf's values as people and scripts write them."""

from __future__ import annotations

import getpass
import socket
from datetime import UTC, datetime
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

STATE_STYLES: Final = {
    "bound": "green", "offered": "cyan", "grace": "yellow", "declined": "red", "expired": "dim", "released": "dim",
    "serving": "green", "joining": "cyan", "extending": "yellow", "degraded": "red", "draining": "yellow",
    "stopped": "dim", "active": "green", "disabled": "red",
}  # fmt: skip
"""Colours of states, the same everywhere."""

FOREVER: Final = 0xFFFFFFFF
"""RFC 2131 section 3.3."""

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def enum_text(name: str, prefix: str) -> str:
    """LEASE_STATE_BOUND -> "bound"."""
    return name.removeprefix(prefix).lower()


def time_text(moment: Timestamp) -> str | None:
    """ISO 8601, UTC, whole seconds; None for no time."""
    if not moment.seconds:
        return None
    return datetime.fromtimestamp(moment.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(duration: Duration) -> float:
    """Seconds; a whole number where it is one."""
    whole: float = duration.seconds + duration.nanos / 1e9
    return int(whole) if whole == int(whole) else round(whole, 3)


def duration_text(seconds: float) -> str:
    """The two largest units: "1h 30m"; "0.25s" below a second; "forever" for RFC 2131's infinity."""
    if seconds == FOREVER:
        return "forever"
    if abs(seconds) < 1:
        return f"{seconds:.2g}s"
    rest, parts = int(seconds), []
    for size, unit in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return " ".join(parts[:2])


def author() -> str:
    """Who gives this command, for the records: user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a uid without a name, as in many containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
