"""How a question gets its answer: whom to ask, when to ask somebody else, when to give up. Pure.

Each function is a generator: it yields a Step, is sent the Outcome, and returns the answer or raises. The two shells
(`sync.py`, `aio.py`) carry out steps and decide nothing.

The law of this file: a question that may have been carried out is never asked twice, unless `repeatable` says so.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final, TypeVar

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from everlease.client.calls import Ask, Call, Download, Follow, Pages, Upload, harmless, repeatable
from everlease.client.errors import Failure, OutcomeUnknown, Unreachable
from everlease.client.servers import Servers

T = TypeVar("T")

PROVING: Final = 3.0
"""Seconds in which a server has to prove that it is there before a change, while there are others to try."""

HEALTH: Final = Call("grpc.health.v1.Health/Check", HealthCheckResponse)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two rounds of all servers, for a stream that wants to go on."""

_NO_ANSWER: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
_MAYBE_DONE: Final = _NO_ANSWER | {"UNKNOWN", "INTERNAL"}
_ENDED: Final = Failure("UNAVAILABLE", "the server ended the stream")
_GO_ON: Final = frozenset({"SLOW_READER", "TOO_MANY_WATCHES"})
"""Reasons with which a node ends a stream, or takes none, that is to be opened again, there or elsewhere."""

_NOT_BEGUN: Final = frozenset({"JOINING"})
"""Reasons with which a node declines before it has done anything."""


@dataclass(frozen=True, slots=True)
class Send:
    """Ask, and wait so many seconds for the answer."""

    server: str
    call: Call[Any]
    request: Any
    within: float


@dataclass(frozen=True, slots=True)
class Pour:
    """Send a stream of requests, and wait so many seconds for the answer to all of them."""

    server: str
    call: Call[Any]
    messages: Iterable[Any]
    within: float


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a stream of answers, in place of the one before; done when the server has begun to answer."""

    server: str
    call: Call[Any]
    request: Any


@dataclass(frozen=True, slots=True)
class Read:
    """The next message of the stream; None = the server has ended it."""


@dataclass(frozen=True, slots=True)
class Give:
    """Hand rows to whoever asked."""

    rows: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many seconds pass."""

    seconds: float


Step = Send | Pour | Open | Read | Give | Wait


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step, at `now` (seconds, any monotonic clock)."""

    now: float
    value: Any = None
    failure: Failure | None = None


Talk = Generator[Step, Outcome, T]
Rows = Pages[T] | Follow[T] | Download[T]


def answer_of(servers: Servers, question: Ask[T] | Upload[T], timeout: float, now: float) -> Talk[T]:
    """One answer, from whoever gives it. Raises Unreachable, OutcomeUnknown, Refused."""
    if isinstance(question, Upload):
        return pour(servers, question, timeout, now)
    return ask(servers, question, timeout, now)


def ask(servers: Servers, question: Ask[T], timeout: float, now: float) -> Talk[T]:
    """One answer to one request; another server is asked where that is safe."""
    call, request = question.call, question.request
    again, safe = repeatable(call, request), harmless(call, request)
    end, failures, doubt = now + max(timeout, call.least), [], None
    order = servers.order(now)
    for index, server in enumerate(order):
        share = (end - now) / (len(order) - index)
        if share <= 0:
            break
        if not safe:
            silent, now = yield from _silent(server, min(share, PROVING) if index + 1 < len(order) else share)
            if silent is not None:
                servers.failed(server, now)
                failures.append((server, silent))
                continue
        outcome = yield Send(server, call, request, share if again else end - now)
        now = outcome.now
        failure = outcome.failure
        if failure is None:
            servers.answered(server)
            return outcome.value
        if not _ask_another(failure, again):
            raise _final(server, failure, doubt, safe)
        servers.failed(server, now)
        failures.append((server, failure))
        doubt = doubt or (None if safe or failure.reason in _NOT_BEGUN else failure)
    raise _nobody(failures) if doubt is None else _lost(failures[-1][0], doubt)


def pour(servers: Servers, question: Upload[T], timeout: float, now: float) -> Talk[T]:
    """The answer to a stream of requests, from the first server that is there. Raises as `ask`."""
    failures, order = [], servers.order(now)
    for server in order:
        silent, now = yield from _silent(server, PROVING if len(order) > 1 else timeout)
        if silent is None:
            outcome = yield Pour(server, question.call, question.messages, max(timeout, question.call.least))
            if outcome.failure is None:
                servers.answered(server)
                return outcome.value
            raise _final(server, outcome.failure, None, safe=False)
        servers.failed(server, now)
        failures.append((server, silent))
    raise _nobody(failures)


def _silent(server: str, within: float) -> Talk[tuple[Failure | None, float]]:
    """Before what cannot be asked twice: whether a server answers anything at all. Why not, or None; and the time."""
    outcome = yield Send(server, HEALTH, HealthCheckRequest(), within)
    failure = outcome.failure
    return (failure if failure is not None and failure.code in _NO_ANSWER else None), outcome.now


def rows_of(servers: Servers, question: Rows[T], limits: tuple[float, float], now: float) -> Talk[None]:
    """Rows, page after page or as they happen. limits: timeout for a page, patience of a stream, in seconds."""
    if isinstance(question, Follow):
        return follow(servers, question, limits, now)
    if isinstance(question, Download):
        return download(servers, question, now)
    return list_all(servers, question, limits[0], now)


def download(servers: Servers, stream: Download[T], now: float) -> Talk[None]:
    """Every message up to the end, of the first server that begins. Raises Unreachable where it breaks off."""
    failures = []
    whole: Follow[T] = Follow(stream.call, stream.request, stream.rows, lambda request, message: None)
    for server in servers.order(now):
        outcome = yield from _one_stream(servers, server, whole, stream.request)
        if outcome.failure is None:
            return
        if not _ask_another(outcome.failure, True):
            raise outcome.failure.refusal()
        servers.failed(server, outcome.now)
        failures.append((server, outcome.failure))
        if outcome.value:
            raise Unreachable(f"{server} broke off in the middle ({outcome.failure.message}): start again")
    raise _nobody(failures)


def list_all(servers: Servers, listing: Pages[T], timeout: float, now: float) -> Talk[None]:
    """Every row of every page; each page by whoever answers, all of the first one's revision."""
    request = type(listing.request)()
    request.CopyFrom(listing.request)
    while True:
        page = yield from ask(servers, Ask(listing.call, request), timeout, now)
        now = (yield Give(getattr(page, listing.rows))).now
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def follow(servers: Servers, stream: Follow[T], limits: tuple[float, float], now: float) -> Talk[None]:
    """Every message, across servers, without a gap. Raises Unreachable at first, or after `patience` seconds of
    nobody; Refused (Compacted: the gap that cannot be closed) as soon as a node says so.
    """
    timeout, patience = limits
    request = type(stream.request)()
    request.CopyFrom(stream.request)
    if stream.first is not None:
        stream.advance(request, (yield from ask(servers, stream.first, timeout, now)))
    heard, pause = -inf, FIRST_PAUSE
    while True:
        failures = []
        for server in servers.order(now):
            outcome = yield from _one_stream(servers, server, stream, request)
            failure, now = outcome.failure or _ENDED, outcome.now
            if failure.reason not in _GO_ON and not _ask_another(failure, True):
                raise failure.refusal()
            if outcome.value:
                heard, pause = now, FIRST_PAUSE
            if failure.reason not in _GO_ON:
                servers.failed(server, now)
            failures.append((server, failure))
        if now - heard > patience or heard == -inf:
            raise _nobody(failures)
        now = (yield Wait(pause)).now
        pause = min(pause * 2, LONGEST_PAUSE)


def _one_stream(servers: Servers, server: str, stream: Follow[T], request: Any) -> Talk[Outcome]:
    """Its messages as long as it lasts; the outcome's failure is what ended it, its value whether it ever began."""
    outcome = yield Open(server, stream.call, request)
    if outcome.failure is not None:
        return outcome
    servers.answered(server)
    while True:
        outcome = yield Read()
        if outcome.value is None:
            return Outcome(outcome.now, True, outcome.failure)
        rows = stream.rows(outcome.value)
        stream.advance(request, outcome.value)
        if rows:
            yield Give(rows)


def _ask_another(failure: Failure, again: bool) -> bool:
    """Whether another server may be asked the same."""
    if again:
        return failure.code in _NO_ANSWER
    return failure.reason in _NOT_BEGUN


def _final(server: str, failure: Failure, doubt: Failure | None, safe: bool) -> Exception:
    """The error that ends it. doubt: of a server that was asked before, and may have done it."""
    if doubt is not None and failure.code in {"ABORTED", "NOT_FOUND", "ALREADY_EXISTS"}:
        return OutcomeUnknown(
            f"an answer was lost ({doubt.message}); asked again, {server} says: {failure.message}. "
            "That may be because the first time had succeeded: look before you ask again",
            answered=True,
        )
    if not safe and failure.code in _MAYBE_DONE:
        return _lost(server, failure)
    return failure.refusal()


def _lost(server: str, failure: Failure) -> OutcomeUnknown:
    words = f"{server} was asked, and gave no answer ({failure.message}): it may have been done"
    return OutcomeUnknown(f"{words}. Look before you ask again", answered=failure.answered)


def _nobody(failures: Sequence[tuple[str, Failure]]) -> Unreachable:
    """Everybody was asked."""
    if not failures:
        return Unreachable("there was no time left to ask anybody")
    answered = [failure for _, failure in failures if failure.answered]
    if answered:
        return Unreachable(answered[0].message, answered=True)
    said = {server: failure.message for server, failure in failures}
    return Unreachable("; ".join(f"{server}: {words}" for server, words in said.items()), said=said)
