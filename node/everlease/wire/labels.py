"""Domain names <-> labels on the wire, with RFC 1035 compression both ways (sections 3.1 and 4.1.4; RFC 3397).

The law of this file: a compression pointer goes strictly backwards, so no packet can make a reader turn in circles.
Text is the presentation form: labels joined by dots without the final one, `.` for the root, octets that would be
misread as `\\DDD` or `\\.`. Reading raises `WireError`; writing, which serves the operator, `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from everlease.errors import WireError
from everlease.wire.cursor import Cursor

LONGEST_LABEL: Final = 63
LONGEST_NAME: Final = 255  # with its length octets and the root
MOST_NAMES: Final = 256  # more than anybody searches; bounds the work that one option of pointers can ask for

_POINTER: Final = 0xC0
_ESCAPE: Final = re.compile(r"\\(?:(\d{3})|(\D))|([^\\.])|(\.)", re.ASCII | re.DOTALL)

Labels = tuple[bytes, ...]


def decode(data: bytes) -> list[str]:
    """All the names in `data`, compressed or not. `WireError` for bad pointers, lengths, or no name at all."""
    cursor = Cursor(data)
    names: list[str] = []
    while cursor.left or not names:
        if len(names) == MOST_NAMES:
            raise WireError(f"more than {MOST_NAMES} domain names in one option")
        names.append(to_text(read(cursor)))
    return names


def read(cursor: Cursor, *, partial: bool = False) -> Labels:
    """One name. Pointers count from the start of the cursor's data.

    `partial` accepts a name that ends with the data instead of the root label (RFC 4702 section 2.3.1).
    """
    labels: list[bytes] = []
    length = 1
    here = cursor  # where labels are read from; a pointer moves it, the caller's cursor stays behind the pointer
    bound = cursor.position
    while not (partial and not here.left):
        size = here.uint(1)
        if size >= _POINTER:
            target = (size & ~_POINTER) << 8 | here.uint(1)
            if target >= bound:
                raise WireError(f"a compression pointer to octet {target} does not go back")
            here, bound = Cursor(cursor.data, target, bound), target
            continue
        if size > LONGEST_LABEL:
            raise WireError(f"a label of {size} octets; at most {LONGEST_LABEL} are allowed")
        if size == 0:
            break
        labels.append(here.take(size))
        length += size + 1
        if length > LONGEST_NAME:
            raise WireError(f"a domain name of more than {LONGEST_NAME} octets")
    return tuple(labels)


def encode(names: Iterable[str], *, compress: bool = True) -> bytes:
    """Write names one behind the other, sharing their endings by pointers unless `compress` is false."""
    out = bytearray()
    seen: dict[Labels, int] = {}
    for name in names:
        labels = from_text(name)
        while labels and labels not in seen:
            if compress and len(out) < _POINTER << 8:
                seen[labels] = len(out)
            out += bytes((len(labels[0]),)) + labels[0]
            labels = labels[1:]
        out += (_POINTER << 8 | seen[labels]).to_bytes(2, "big") if labels else b"\0"
    return bytes(out)


def join(labels: Labels, *, root: bool = True) -> bytes:
    """Labels as they are written without compression, closed by the root label if `root`."""
    return b"".join(bytes((len(label),)) + label for label in labels) + (b"\0" if root else b"")


def to_text(labels: Labels) -> str:
    """Presentation form; `.` for no labels."""
    return ".".join(map(_label_text, labels)) or "."


def from_text(name: str) -> Labels:
    """Labels of a name as an operator writes it, with or without the final dot. `ValueError` says what is wrong."""
    if not name.isascii():
        raise ValueError(f"{name!r} is not ASCII: write international names in their xn-- form")
    if name == ".":
        return ()
    labels = tuple(_split(name.removesuffix(".") if not name.endswith("\\.") else name))
    if not all(labels):
        raise ValueError(f"{name!r} has an empty label")
    if any(len(label) > LONGEST_LABEL for label in labels):
        raise ValueError(f"{name!r} has a label of more than {LONGEST_LABEL} octets")
    if len(join(labels)) > LONGEST_NAME:
        raise ValueError(f"{name!r} is longer than {LONGEST_NAME} octets")
    return labels


def _split(name: str) -> list[bytes]:
    labels = [bytearray()]
    position = 0
    while position < len(name):
        match = _ESCAPE.match(name, position)
        if match is None or int(match[1] or 0) > 255:
            raise ValueError(f"{name!r} has a bad escape at character {position + 1}")
        number, escaped, plain, dot = match.groups()
        if dot:
            labels.append(bytearray())
        else:
            labels[-1].append(int(number) if number else ord(escaped or plain))
        position = match.end()
    return [bytes(label) for label in labels]


def _label_text(label: bytes) -> str:
    return "".join(
        f"\\{chr(octet)}" if octet in b".\\" else chr(octet) if 0x21 <= octet <= 0x7E else f"\\{octet:03d}"
        for octet in label
    )
