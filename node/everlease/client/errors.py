"""What a call may fail with: nobody answered, or somebody refused. Nothing else leaves `everlease.client`.

    EverleaseError
      Unreachable        no answer in time from any server; exit code 3 of the command line
        OutcomeUnknown   a change was sent and its answer was lost: it may have been made, look before asking again
      Refused            a node said no; `code` is gRPC's name; exit code 1
        Invalid          INVALID_ARGUMENT: the request or document is wrong, `problems` says where
        NotFound         NOT_FOUND
        Conflict         ABORTED, ALREADY_EXISTS: somebody else changed it first, or has it
        Unready          FAILED_PRECONDITION: something has to be done, or said, first
        Compacted        OUT_OF_RANGE: that part of the history is gone: list again, or go on at `restart_revision`
        Denied           UNAUTHENTICATED, PERMISSION_DENIED

A refusal keeps what the server said in full: gRPC's code, its message, and google.rpc's details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from everlease.errors import EverleaseError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was sent: path in the document or request, line from 1 (0 = unknown)."""

    path: str
    line: int
    message: str


class Unreachable(EverleaseError):
    """No answer in time, or one that says that the store gave none. `answered`: a node did answer; `said`: what was
    heard of each server that was asked.
    """

    reason = "unreachable"

    def __init__(self, message: str, *, answered: bool = False, said: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answered = answered
        self.said = dict(said or {})


class OutcomeUnknown(Unreachable):
    """A change was sent and its answer was lost: it may have been made. Read before you ask again."""

    reason = "unknown"


class Refused(EverleaseError):
    """A node refused. `code`: gRPC's name, such as NOT_FOUND; `problems`: all of them, may be empty; `info`: the rest,
    google.rpc's `ErrorInfo`, whose `reason` tells apart what has one code.
    """

    reason = "refused"

    def __init__(
        self, code: str, message: str, problems: Sequence[Problem] = (), info: ErrorInfo | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.problems = tuple(problems)
        self.info = info or ErrorInfo()


class Invalid(Refused):
    """The request, or the document in it, is wrong."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """Somebody else changed it first, or has it."""


class Unready(Refused):
    """Something has to be done, or said, first."""


class Denied(Refused):
    """Who asks is not known, or may not do this."""


class Compacted(Refused):
    """What was asked for is gone from the store's history: a watch has a gap that cannot be closed, a list's snapshot
    is no longer there. List again; or go on at `restart_revision` (0 = not known) and know that something is missing.
    """

    @property
    def restart_revision(self) -> int:
        """As the server said it."""
        return int(self.info.metadata.get("restart_revision", "0"))


_CLASSES: Final[dict[str, type[Refused]]] = {
    "INVALID_ARGUMENT": Invalid, "NOT_FOUND": NotFound, "ABORTED": Conflict, "ALREADY_EXISTS": Conflict,
    "FAILED_PRECONDITION": Unready, "UNAUTHENTICATED": Denied, "PERMISSION_DENIED": Denied, "OUT_OF_RANGE": Compacted,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed, as a value. answered: a node said it, not gRPC."""

    code: str
    message: str
    answered: bool = False
    problems: tuple[Problem, ...] = ()
    info: ErrorInfo = field(default_factory=ErrorInfo)

    @property
    def reason(self) -> str:
        """The server's word for it; "" without one."""
        return str(self.info.reason)

    def refusal(self) -> Refused:
        """The error to raise for a node's no."""
        return _CLASSES.get(self.code, Refused)(self.code, self.message, self.problems, self.info)


def failure_of(error: Any) -> Failure:
    """A `grpc.RpcError`, of either of gRPC's two interfaces, as a value."""
    code: grpc.StatusCode = error.code()
    status = rpc_status.from_call(error)
    words = error.details() or code.name
    if status is None:
        return Failure(code.name, words)
    info = ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    return Failure(code.name, words, True, tuple(_problems(status)), info)


def _problems(status: Status) -> list[Problem]:
    """Violations of google.rpc's two kinds, as one list."""
    bad, early = BadRequest(), PreconditionFailure()
    for detail in status.details:
        if not detail.Unpack(bad):
            detail.Unpack(early)
    found = [Problem(each.field, 0, each.description) for each in bad.field_violations]
    return found + [Problem(each.subject, 0, each.description) for each in early.violations]
