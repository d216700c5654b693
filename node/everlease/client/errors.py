"""What a call may fail with: nobody answered, or somebody refused. Nothing else leaves `everlease.client`.

A refusal keeps what the server said in full: gRPC's code, its message, and google.rpc's details.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure
from grpc_status import rpc_status

from everlease.errors import EverleaseError

_NOBODY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was sent: path in the document or request, line from 1 (0 = unknown)."""

    path: str
    line: int
    message: str


class Unreachable(EverleaseError):
    """No answer in time, or one that says that the store gave none. `answered`: a node did answer."""

    reason = "unreachable"

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class Refused(EverleaseError):
    """The node refused. `code`: gRPC's name, such as NOT_FOUND; `problems`: all of them, may be empty."""

    reason = "refused"

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = tuple(problems)


def translate(error: grpc.RpcError) -> Unreachable | Refused:
    """The error to raise in place of gRPC's."""
    status = rpc_status.from_call(error)
    if error.code() in _NOBODY:
        return Unreachable(error.details() or error.code().name, answered=status is not None)
    details = () if status is None else status.details
    return Refused(error.code().name, error.details() or error.code().name, _problems(details))


def _problems(details: Sequence[AnyMessage]) -> list[Problem]:
    """Violations of google.rpc's two kinds, as one list."""
    bad, early = BadRequest(), PreconditionFailure()
    for detail in details:
        if not detail.Unpack(bad):
            detail.Unpack(early)
    found = [Problem(each.field, 0, each.description) for each in bad.field_violations]
    return found + [Problem(each.subject, 0, each.description) for each in early.violations]
