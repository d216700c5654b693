"""`--log-privacy`: lines above debug say that it was the same client, and not which one (RFC 7844 section 2).

The law of this file: a pseudonym is a keyed hash; the key is drawn at each start and never leaves the process, so that
nobody can try all hardware addresses, and lines of two runs, or of two nodes, cannot be joined.

An address is hidden as well: together with a time it names the client in everybody else's logs. What remains is what
belongs to the operator: nodes, links, subnets, relays, servers.
"""

from __future__ import annotations

import os
import re
import traceback
from hashlib import blake2s
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

NAMING: Final = frozenset({"client", "hardware", "hostname", "address", "option82"})
"""Fields that name a client, in every line that has them."""

OPERATORS: Final = frozenset({"server_hardware"})
"""Fields that look like a client's, and are not."""

_HARDWARE: Final = re.compile(r"(?<![0-9a-fA-F:-])(?:[0-9a-fA-F]{2}[:-]){5,}[0-9a-fA-F]{2}(?![0-9a-fA-F:-])")


class Pseudonyms:
    """One life of a node. key: at least 16 octets; drawn unless given."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key or os.urandom(32)

    def of(self, name: object) -> str:
        """What stands for a name: "~" and 48 bits; "" stays."""
        text = str(name)
        return f"~{blake2s(text.lower().encode(), key=self._key, digest_size=6).hexdigest()}" if text else ""

    def hide(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """structlog's processor: a line of debug stays as it is."""
        return event if method == "debug" else self.hidden(event)

    def hidden(self, event: EventDict) -> EventDict:
        """The same line without names; the message of an exception may hold anything, so only its place is told."""
        fault = event.pop("exc_info", None)
        told: EventDict = {
            name: self.of(value) if name in NAMING else value if name in OPERATORS else self._scrubbed(value)
            for name, value in event.items()
        }
        if fault:
            told["exception"] = _place(fault)
        return told

    def _scrubbed(self, value: Any) -> Any:
        if isinstance(value, str):
            return _HARDWARE.sub(lambda found: self.of(found[0]), value)
        if isinstance(value, list | tuple):
            return [self._scrubbed(each) for each in value]
        return value


def _place(fault: Any) -> str:
    error = fault[1] if isinstance(fault, tuple) else fault
    if not isinstance(error, BaseException):
        return "unknown"
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join([type(error).__name__, *(f"{each.filename}:{each.lineno}" for each in reversed(frames))])
