"""How many may watch at a time: a stream holds a call for hours, and a node takes few calls at once.

The law of this file: who finds no seat is told so, and calls with an end always have some left (`server.CALLS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo

from everlease.admin.answers import DOMAIN, Refusal

WATCHES: Final = 20
"""Of each kind: with leases, status and audit there is a seat for every node's operators, and four calls in 64 left."""


class Seats:
    """Those of one kind of stream. what: "watches of leases"."""

    def __init__(self, what: str, count: int = WATCHES) -> None:
        self._what = what
        self._count = count
        self._taken = 0

    @property
    def count(self) -> int:
        """How many are taken."""
        return self._taken

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have one while the block lasts. Raises Refusal: RESOURCE_EXHAUSTED."""
        if self._taken >= self._count:
            words = f"this node has {self._count} {self._what} already: ask another node"
            raise Refusal(Code.RESOURCE_EXHAUSTED, words, [ErrorInfo(reason="TOO_MANY_WATCHES", domain=DOMAIN)])
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
