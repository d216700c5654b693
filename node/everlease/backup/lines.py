"""The lines of a backup: JSON, one object a line, readable with any tool in ten years.

Law: the first line says what the file is, the last one how many lines of each kind there were and the SHA-256 of all
bytes before it (`head -n -1 FILE | sha256sum`); records stand as etcd held them, fields that we do not know included.
A file without its last line was cut, and nothing reads it as whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from everlease.errors import EverleaseError

VERSION: Final = 1
"""Of the format. A reader refuses a later one; an older one it reads for ever."""

LONGEST: Final = 1 << 20
"""Bytes of a line: a record is 0.3 KB, a part of a document at most `PART` characters."""

PART: Final = 100_000
"""Characters of a document in one line: with every character escaped that is 600 KB."""


class Damaged(EverleaseError):
    """Not a backup, or not the one that was saved. line: counted from 1, 0 = the file as a whole."""

    reason = "damaged"

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.line = line
        self.what = what


class Header(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="everlease-backup"):
    """What the file is. saved_at: ISO 8601, UTC; revision: etcd's, that all of it was read at, 0 = made from a table.

    cluster: etcd's cluster id in hexadecimal; node, software: who wrote it.
    """

    version: int
    saved_at: str
    revision: int = 0
    cluster: str = ""
    node: str = ""
    software: str = ""


class Configuration(msgspec.Struct, frozen=True, tag_field="kind", tag="configuration"):
    """The revision in force, as its history entry has it; the `Document` lines after it are its text."""

    record: msgspec.Raw


class Document(msgspec.Struct, frozen=True, tag_field="kind", tag="document"):
    """A part of the document in force, as it was written; the parts follow each other."""

    text: str


class Reservation(msgspec.Struct, frozen=True, tag_field="kind", tag="reservation"):
    """A reservation made through the API. key: the end of its key in etcd, the address in hexadecimal or none/ID."""

    space: str
    key: str
    record: msgspec.Raw


class Drain(msgspec.Struct, frozen=True, tag_field="kind", tag="drain"):
    """A node that an operator has taken out of service."""

    node: str
    record: msgspec.Raw


class Lease(msgspec.Struct, frozen=True, tag_field="kind", tag="lease"):
    """The record of an address, dotted."""

    space: str
    address: str
    record: msgspec.Raw


class Unreadable(msgspec.Struct, frozen=True, tag_field="kind", tag="unreadable"):
    """A value that nobody could read when the file was made (base64). It is kept here, and never put back."""

    key: str
    value: bytes


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """The last line. counts: lines of each kind; sha256: of all bytes before this line."""

    counts: dict[str, int]
    sha256: str


Line: TypeAlias = Header | Configuration | Document | Reservation | Drain | Lease | Unreadable | End

KINDS: Final = ("configuration", "document", "reservation", "drain", "lease", "unreadable")
"""What is counted."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode
_KIND: Final = {
    kind: str(kind.__struct_config__.tag)
    for kind in (Header, Configuration, Document, Reservation, Drain, Lease, Unreadable, End)
}


def kind_of(line: Line) -> str:
    """The word of a line's `kind`."""
    return _KIND[type(line)]


def document(text: str) -> Iterator[Document]:
    """A document in parts."""
    return (Document(text[start : start + PART]) for start in range(0, len(text), PART))


class Writer:
    """Lines -> bytes, counted and digested. The first one is a Header; `end` makes the last one."""

    def __init__(self) -> None:
        self.counts = Counter[str](dict.fromkeys(KINDS, 0))
        self._digest = hashlib.sha256()

    def write(self, lines: Iterable[Line]) -> bytes:
        """These lines."""
        parts = []
        for line in lines:
            parts.append(_encode(line))
            kind = _KIND[type(line)]
            if kind in self.counts:
                self.counts[kind] += 1
        data = b"\n".join(parts) + b"\n" if parts else b""
        self._digest.update(data)
        return data

    def end(self) -> bytes:
        """The last line."""
        return _encode(End(dict(self.counts), self._digest.hexdigest())) + b"\n"


class Reader:
    """Bytes as they come -> lines. Raises Damaged at the first that is not what was written.

    header, end: once they came; number: lines read so far.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self.end: End | None = None
        self.number = 0
        self.counts = Counter[str](dict.fromkeys(KINDS, 0))
        self._digest = hashlib.sha256()
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that these bytes complete; take them all before the next bytes."""
        whole = (self._rest + data).split(b"\n")
        self._rest = whole.pop()
        for raw in whole:
            yield self._line(raw)
        if len(self._rest) > LONGEST:
            raise Damaged(self.number + 1, f"longer than {LONGEST:,} bytes: this is no backup")

    def finish(self) -> End:
        """No more bytes will come. Raises Damaged if the file is not whole."""
        if self._rest:
            raise Damaged(self.number + 1, "the file ends in the middle of this line: it was cut")
        if self.end is None:
            where = f"after line {self.number}" if self.number else "before it begins"
            raise Damaged(0, f"the file ends {where}: it was cut")
        return self.end

    def _line(self, raw: bytes) -> Line:
        self.number += 1
        if len(raw) > LONGEST:
            raise Damaged(self.number, f"longer than {LONGEST:,} bytes: this is no backup")
        if self.end is not None:
            raise Damaged(self.number, "stands after the last line")
        line = self._decoded(raw)
        if (self.header is None) != isinstance(line, Header):
            raise Damaged(self.number, "a second head" if self.header else "the file does not begin as a backup does")
        if isinstance(line, End):
            self._check(line)
            self.end = line
            return line
        if isinstance(line, Header):
            self.header = line
        else:
            self.counts[_KIND[type(line)]] += 1
        self._digest.update(raw + b"\n")
        return line

    def _decoded(self, raw: bytes) -> Line:
        try:
            line: Line = _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
            if self.header is None:
                raise Damaged(self.number, "this is no backup of Everlease") from bad
            raise Damaged(self.number, f"cannot be read: {bad}") from bad
        if isinstance(line, Header) and line.version > VERSION:
            raise Damaged(self.number, f"format {line.version} is of a later version; this one reads up to {VERSION}")
        return line

    def _check(self, end: End) -> None:
        for kind, count in self.counts.items():
            told = end.counts.get(kind, 0)
            if told != count:
                raise Damaged(self.number, f"tells of {told} lines of the kind {kind}, and there are {count}")
        if end.sha256 != self._digest.hexdigest():
            raise Damaged(self.number, "the checksum differs: something before this line was changed")
