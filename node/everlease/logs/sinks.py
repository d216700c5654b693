"""Where `--log-leases` writes: a file that rotates, syslog, or standard output. All of it on a thread of `logs.lines`.

The law of this file: what cannot be written is an OSError, which costs that line and is counted; the next one is tried
afresh. Nothing here is called by the loop.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from everlease.logs.lines import Stream

LOG: Final = "log"
"""The node's own log: no sink of its own."""

PATIENCE: Final = 1.0
"""Seconds that a stuck syslog may hold its thread for one line."""

_NOTICE: Final = 10 << 3 | 5
"""Facility authpriv, severity notice (RFC 5424 section 6.2.1): who had which address is for few eyes."""

_LOOK: Final = 1.0
"""Seconds between two looks whether somebody else has moved the file away."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file and its rotation: when it is `size` octets or `every` seconds old; `keep` old ones stay as NAME.1, ..."""

    path: Path
    size: int = 64 << 20
    every: float = 86_400.0
    keep: int = 14


@dataclass(frozen=True, slots=True)
class SyslogPlace:
    """A datagram socket: a path (RFC 3164's short form, which local daemons read), or host and port (RFC 5424)."""

    path: str = "/dev/log"
    host: str = ""
    port: int = 514


@dataclass(frozen=True, slots=True)
class StdoutPlace:
    """Standard output."""


Place = FilePlace | SyslogPlace | StdoutPlace


def open_sink(place: Place) -> Stream:
    """A stream for `Lines`. Raises OSError if a file cannot be opened now."""
    if isinstance(place, FilePlace):
        return RotatingFile(place)
    return Syslog(place) if isinstance(place, SyslogPlace) else sys.stdout


class RotatingFile:
    """Appends; rotates by size and age; opens anew when the file was moved away (logrotate) or writing failed."""

    def __init__(self, place: FilePlace) -> None:
        self._place = place
        self._file = -1
        self._torn = False
        self._open()

    def _open(self) -> None:
        self._file = os.open(self._place.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        status = os.fstat(self._file)
        self._size, self._inode = status.st_size, (status.st_dev, status.st_ino)
        # Its age survives a restart: a file that had lines keeps the day that its first line says.
        self._born = _first_time(self._place.path) if status.st_size else time.time()
        self._looked = time.monotonic()

    def write(self, text: str) -> None:
        """One line, whole or not at all as far as the disk lets it: what was torn gets an end before the next."""
        data = (b"\n" if self._torn else b"") + text.encode(errors="backslashreplace")
        self._ready(len(data))
        written = os.write(self._file, data)
        self._size += written
        self._torn = written < len(data)
        if self._torn:
            raise OSError("no room for the whole line")

    def flush(self) -> None:
        """Written lines are the kernel's already."""

    def _ready(self, more: int) -> None:
        if self._file < 0 or self._is_gone():
            self._close()
            self._open()
        if self._size and (self._size + more > self._place.size or time.time() - self._born >= self._place.every):
            self._rotate()

    def _is_gone(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return False
        self._looked = now
        try:
            status = self._place.path.stat()
        except FileNotFoundError:
            return True
        return (status.st_dev, status.st_ino) != self._inode

    def _rotate(self) -> None:
        path, keep = self._place.path, self._place.keep
        self._close()
        for number in range(keep, 0, -1):
            older = path if number == 1 else _numbered(path, number - 1)
            if older.exists():
                older.replace(_numbered(path, number))
        if not keep:
            path.unlink(missing_ok=True)
        self._open()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._torn = -1, False


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _first_time(path: Path) -> float:
    """When the first line of a file was written; now for one that does not say."""
    try:
        with path.open("rb") as file:
            return datetime.fromisoformat(file.read(64).split(b'"')[3].decode()).timestamp()
    except (OSError, ValueError, IndexError):
        return time.time()


class Syslog:
    """One datagram a line; the socket is opened when there is one to send, and after each error."""

    def __init__(self, place: SyslogPlace) -> None:
        self._place = place
        self._socket: socket.socket | None = None
        self._who = f"everlease[{os.getpid()}]"

    def write(self, text: str) -> None:
        """Raises OSError when nobody takes it within `PATIENCE`."""
        try:
            self._connected().send(self._framed(text.rstrip("\n")))
        except OSError:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            raise

    def flush(self) -> None:
        """A datagram has left."""

    def _connected(self) -> socket.socket:
        if self._socket is None:
            place = self._place
            if place.host:
                family, kind, protocol, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_DGRAM)[
                    0
                ]
                self._socket = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
            else:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                address = place.path  # type: ignore[assignment]
            self._socket.settimeout(PATIENCE)
            self._socket.connect(address)
        return self._socket

    def _framed(self, text: str) -> bytes:
        if not self._place.host:
            return f"<{_NOTICE}>{self._who}: {text}".encode()
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return f"<{_NOTICE}>1 {now} {socket.gethostname()} everlease {os.getpid()} lease - {text}".encode()
