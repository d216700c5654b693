"""How one definition of a method serves both clients: it builds a question, and the client answers it in its own way.

    @unary
    def get_lease(self, address: str) -> Ask[Lease]           Client: Lease            AsyncClient: Awaitable[Lease]
    @rows
    def list_leases(self) -> Pages[Lease]                     Client: Iterator[Lease]  AsyncClient: AsyncIterator[Lease]
    @rows
    def watch_leases(self) -> Follow[LeaseEvent]              the same, without an end

The law of this file: what a method takes, asks and says of itself is written once; nothing here knows a method's name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from everlease.client.calls import Ask, Download, Follow, Pages, Upload

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """A client whose methods return their answers."""


class Awaiting:
    """A client whose methods return what is awaited."""


class _Method:
    """A method as it is written: a function that builds a question. Bound, it asks its client."""

    answerer = ""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self.__doc__ = build.__doc__
        self.__wrapped__ = build  # for inspect.signature, help() and the generated reference

    def bind(self, client: Any) -> Callable[..., Any]:
        """The method of one client."""
        answer = getattr(client, self.answerer)

        @wraps(self._build)
        def method(*words: Any, **values: Any) -> Any:
            return answer(self._build(client, *words, **values))

        return method


class unary(_Method, Generic[P, T]):  # noqa: N801  (a decorator)
    """One question, one answer."""

    answerer = "_answer"

    def __init__(self, build: Callable[Concatenate[Any, P], Ask[T] | Upload[T]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """The method of that client; of none, this row."""
        return self if client is None else self.bind(client)


class rows(_Method, Generic[P, T]):  # noqa: N801  (a decorator)
    """One question, many answers, one after the other."""

    answerer = "_iterate"

    def __init__(self, build: Callable[Concatenate[Any, P], Pages[T] | Follow[T] | Download[T]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """The method of that client; of none, this row."""
        return self if client is None else self.bind(client)
