"""Protobuf's values as people and scripts write them."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape

from everlease.cli.connect import USAGE, fail

STATE_STYLES: Final = {
    "bound": "green", "offered": "cyan", "grace": "yellow", "declined": "red", "expired": "dim", "released": "dim",
    "serving": "green", "joining": "cyan", "extending": "yellow", "degraded": "red", "draining": "yellow",
    "stopped": "dim", "deleted": "dim", "active": "green", "disabled": "red",
}  # fmt: skip
"""Colours of states, the same everywhere."""

FOREVER: Final = 0xFFFFFFFF
"""RFC 2131 section 3.3."""

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")

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


def mebibytes(octets: int) -> str:
    """ "1.5 MiB"; nothing for 0, which is not known."""
    return f"{octets / (1 << 20):,.1f} MiB" if octets else ""


def values_of(message: Message) -> dict[str, Any]:
    """A flat message as programs get it: every field by its name, whether set or not."""
    found = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        found[field.name] = list(value) if field.is_repeated else value
    return found


def state_cell(row: Mapping[str, Any]) -> str:
    """A state in its colour, as markup."""
    return f"[{STATE_STYLES.get(row['state'], 'default')}]{escape(row['state'])}[/]"


def is_address(text: str) -> bool:
    """Whether it is an IPv4 address."""
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def parse_duration(option: str, text: str) -> int:
    """ "8h", "1h30m", "90" as seconds. Leaves with 2 for anything else."""
    found = _DURATION.fullmatch(text.replace(" ", ""))
    if not text or found is None:
        fail(f"{option} {text}: write it like 90s, 8h or 1h30m", USAGE)
    sizes = (86400, 3600, 60, 1)
    return sum(int(number) * size for number, size in zip(found.groups(), sizes, strict=True) if number)


def parse_moment(option: str, text: str) -> datetime | None:
    """ "2h" (from now) or ISO 8601 (UTC unless it says otherwise) as a moment; None for "". Leaves with 2."""
    if not text:
        return None
    if _DURATION.fullmatch(text):
        return datetime.now(UTC) + timedelta(seconds=parse_duration(option, text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: write 2h (from now) or 2026-01-31T12:00Z", USAGE)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def author() -> str:
    """Who gives this command, for the records: user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a uid without a name, as in many containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
