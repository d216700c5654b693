"""Which server is asked first. Pure: time is an argument.

The law of this file: the server that answered last is asked again; one that did not answer is passed over for a while,
and is still asked when nobody else answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from everlease.errors import ConfigError

RESTING: Final = 10.0
"""Seconds for which a server that did not answer is asked last: a node is back within seconds of its restart."""

_PORT: Final = 9067


def read_servers(text: str | Iterable[str]) -> tuple[str, ...]:
    """ "A:9067,B" as ("A:9067", "B:9067"). Raises ConfigError for nothing, and for what is no HOST:PORT."""
    parts = text.split(",") if isinstance(text, str) else list(text)
    found = tuple(dict.fromkeys(_with_port(part.strip()) for part in parts if part.strip()))
    if not found:
        raise ConfigError("no server is named: write HOST:PORT[,HOST:PORT...]")
    return found


def _with_port(text: str) -> str:
    bracketed = text.startswith("[")
    host, colon, port = text.rpartition(":") if not text.endswith("]") and (":" in text) else (text, "", "")
    if not bracketed and ":" in host:
        raise ConfigError(f"{text!r} is no server: write [ADDRESS]:PORT for IPv6")
    if not colon:
        return f"{text}:{_PORT}"
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"{text!r} is no server: write HOST:PORT")
    return text


class Servers:
    """The servers of one client, in the order in which they are asked."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._resting: dict[str, float] = {}
        self._last = self.names[0]

    def order(self, now: float) -> list[str]:
        """All of them: who answered last, the others as given, then those that rest (who rests longest, first)."""
        until = self._resting
        awake = [name for name in self.names if until.get(name, 0.0) <= now]
        awake.sort(key=lambda name: name != self._last)
        return awake + sorted((name for name in self.names if name not in awake), key=until.__getitem__)

    def answered(self, name: str) -> None:
        """It is the one to ask from now on."""
        self._last = name
        self._resting.pop(name, None)

    def failed(self, name: str, now: float) -> None:
        """It is passed over for a while."""
        self._resting[name] = now + RESTING
