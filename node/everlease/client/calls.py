"""What is asked: a method of the admin API with its request. Values only; nothing here opens a connection.

The law of this file: each row says whether its method may be asked twice. Reads may; a change may only where asking
again cannot change anything more: by its nature, or because the request names what it expects to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
_PACKAGE: Final = "everlease.admin.v1"

COMPILING: Final = 120.0
"""Seconds for a call that compiles a document: 10,000 subnets take some on a busy host."""


class Kind(Enum):
    """What asking twice would do."""

    READ = "nothing"
    SETS = "nothing more: it says how things shall be, not what to do"
    CHANGE = "it again"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A method: "LeaseService/GetLease", the message that it answers with, and the seconds it is given at least."""

    method: str
    answer: type[T]
    kind: Kind = Kind.READ
    least: float = 0.0

    @property
    def path(self) -> str:
        """As gRPC sends it."""
        return f"/{self.method}" if self.method.startswith("grpc.") else f"/{_PACKAGE}.{self.method}"


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One question: a unary call."""

    call: Call[T]
    request: Any


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list, page by page. rows: the field of the answer that holds them."""

    call: Call[Any]
    request: Any
    rows: str


@dataclass(frozen=True, slots=True)
class Follow(Generic[T]):
    """A stream without end. rows: those of a message; advance: moves the request behind a message, so that a new
    stream goes on there; first: what to ask before the stream, for `advance` as well (a stream "from now on" would have
    no place to go on from if it broke before its first message).
    """

    call: Call[Any]
    request: Any
    rows: Callable[[Any], Sequence[T]]
    advance: Callable[[Any, Any], None]
    first: Ask[Any] | None = None


@dataclass(frozen=True, slots=True)
class Download(Generic[T]):
    """A stream that nobody can go on with in the middle. rows: those of a message."""

    call: Call[Any]
    request: Any
    rows: Callable[[Any], Sequence[T]] = lambda message: (message,)


@dataclass(frozen=True, slots=True)
class Upload(Generic[T]):
    """A stream of requests with one answer; what has been read of it cannot be sent again."""

    call: Call[T]
    messages: Iterable[Any]


def harmless(call: Call[Any], request: Any) -> bool:
    """Whether a request changes nothing."""
    return call.kind is Kind.READ or getattr(request, "validate_only", False)


def repeatable(call: Call[Any], request: Any) -> bool:
    """Whether a request may be sent again although the first one may have been carried out."""
    if call.kind is Kind.SETS or harmless(call, request):
        return True
    if getattr(request, "force", False):
        return False
    names = request.DESCRIPTOR.fields_by_name
    expects = "expect_revision" in names and request.HasField("expect_revision")
    return expects or bool(getattr(request, "etag", ""))
