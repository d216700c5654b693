"""Pages: how large they are, and how a token says where the next one starts.

The law of this file: a token belongs to the request that it was made for; the loop turns after every few rows.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, TypeVar

import msgspec
from google.protobuf.message import Message

from everlease.admin.answers import invalid

USUAL: Final = 500
LARGEST: Final = 1000
"""Rows of a page: 250 KB of leases, a millisecond to serialise."""

SLICE: Final = 50
"""Rows between two turns of the loop: at 10 to 15 us a row, well below the 2 ms that nothing may exceed."""

T = TypeVar("T")


class Token(msgspec.Struct, array_like=True):
    """Where the next page starts. revision: of the snapshot; after: last key that was looked at; filters: checksum.

    word: the last key where keys are no numbers.
    """

    revision: int
    after: int
    filters: int
    word: str = ""


def size_of(page_size: int) -> int:
    """Rows to return for a request's `page_size`. Raises Refusal if negative (AIP-158)."""
    if page_size < 0:
        raise invalid("page_size", "must not be negative")
    return min(page_size or USUAL, LARGEST)


def filters_of(request: Message) -> int:
    """Checksum of what a request asks for, its page fields aside."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("page_size")
    bare.ClearField("page_token")
    return zlib.crc32(bare.SerializeToString(deterministic=True))


def read_token(text: str, filters: int) -> Token | None:
    """The token of a request; None for the first page. Raises Refusal for one that was made for another request."""
    if not text:
        return None
    try:
        token = msgspec.msgpack.decode(base64.urlsafe_b64decode(text), type=Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise invalid("page_token", "is none that this API made") from None
    if token.revision < 0 or not -1 <= token.after < 1 << 32:
        raise invalid("page_token", "is none that this API made")
    if token.filters != filters:
        raise invalid("page_token", "belongs to a request with other filters")
    return token


def write_token(token: Token) -> str:
    """The token as text."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).decode()


async def slices(rows: Sequence[T], size: int = SLICE) -> AsyncIterator[Sequence[T]]:
    """The rows in pieces, with a turn of the loop after each."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
        await asyncio.sleep(0)


async def breathing(rows: Iterable[T], size: int = SLICE) -> AsyncIterator[T]:
    """The rows, with a turn of the loop after each `size` of them."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % size == 0:
            await asyncio.sleep(0)
