"""Files that are whole or not there: a backup, a snapshot, an export.

Law: a file has its final name only when it is complete and on the disk; whatever happens before leaves no trace.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from everlease.backup.lines import End, Reader

CHUNK: Final = 256 << 10
"""Bytes that are read, and sent, at a time."""


def write_whole(path: Path, chunks: Iterable[bytes]) -> int:
    """Write what comes and give it its name at the end; its bytes. Raises OSError, and whatever `chunks` raises."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part, size = Path(name), 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _synchronise(path.parent)
    return size


def _synchronise(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def checked(chunks: Iterable[bytes], reader: Reader | None = None) -> Iterator[bytes]:
    """Pass a backup on as it comes, and raise Damaged where it is not what was sent, or ends early."""
    reader = reader or Reader()
    for chunk in chunks:
        for _ in reader.feed(chunk):
            pass
        yield chunk
    reader.finish()


def save(path: Path, chunks: Iterable[bytes]) -> End:
    """Write a backup that comes from a node (`SaveBackup`): whole and checked, or not at all. What it holds.

    Raises Damaged, OSError, and whatever `chunks` raises.
    """
    reader = Reader()
    write_whole(path, checked(chunks, reader))
    return reader.finish()


def read(path: Path) -> Iterator[bytes]:
    """A file in pieces, for `RestoreBackup`. Raises OSError."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
