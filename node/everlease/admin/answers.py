"""How every method says no: gRPC's code, a sentence, and google.rpc's details; and nothing else escapes.

The law of this file: a client error names every field that is wrong; trouble with the store is UNAVAILABLE, so that a
client may ask again or ask another node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from everlease.core.model import Config
from everlease.errors import EverleaseError, StoreError
from everlease.runtime.rooms import Rooms
from everlease.store.api import Compacted
from everlease.store.feed import Interrupted, RolledBack, Slow

DOMAIN = "everlease"
"""`ErrorInfo.domain`; its `reason` is the upper-case word of the error."""

Answer = TypeVar("Answer")
Method = Callable[[Any, Any, Any], Awaitable[Answer]]


class Refusal(EverleaseError):
    """A call that is answered with an error. code: one of google.rpc.Code's values; details: messages of google.rpc."""

    reason = "refused"

    def __init__(self, code: int, message: str, details: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


def invalid(field: str, description: str) -> Refusal:
    """INVALID_ARGUMENT for one field of the request."""
    violation = BadRequest.FieldViolation(field=field, description=description)
    return Refusal(Code.INVALID_ARGUMENT, f"{field}: {description}", [BadRequest(field_violations=[violation])])


def not_found(what: str) -> Refusal:
    """NOT_FOUND."""
    return Refusal(Code.NOT_FOUND, what)


def unready(what: str) -> Refusal:
    """FAILED_PRECONDITION: the cluster has to be told something first."""
    return Refusal(Code.FAILED_PRECONDITION, what)


def await_view(rooms: Rooms) -> None:
    """Refuse with UNAVAILABLE, and the node's reason, while its view is not complete: half of one would be a lie."""
    if not rooms.view.revision:
        info = ErrorInfo(reason="JOINING", domain=DOMAIN)
        raise Refusal(Code.UNAVAILABLE, f"this node has not read the leases yet: {rooms.lifeline.reason}", [info])


def config_of(rooms: Rooms) -> Config:
    """The configuration in force, and a view beside it. Raises Refusal: UNAVAILABLE; FAILED_PRECONDITION for none."""
    await_view(rooms)
    if rooms.configuration.current is None:
        raise unready("the cluster has no configuration yet: `everlease config apply FILE`")
    return rooms.configuration.current


def answered(method: Method[Answer]) -> Method[Answer]:
    """Turn a method's errors into gRPC's."""

    @wraps(method)
    async def call(self: Any, request: Any, context: grpc.aio.ServicerContext) -> Answer:
        try:
            return await method(self, request, context)
        except (Refusal, StoreError) as error:
            await context.abort_with_status(rpc_status.to_status(status_of(error)))
            raise

    return call


def status_of(error: Refusal | StoreError) -> Status:
    """The rich status of an error."""
    if isinstance(error, Refusal):
        return _status(error.code, str(error), error.details)
    info = ErrorInfo(reason=error.reason.upper(), domain=DOMAIN)
    if isinstance(error, Compacted):
        if error.revision:
            info.metadata["restart_revision"] = str(error.revision)
        oldest = f"; the oldest that is kept is {error.revision}" if error.revision else ""
        return _status(Code.OUT_OF_RANGE, f"that revision has been compacted away: start again{oldest}", [info])
    if isinstance(error, Interrupted):
        return _interrupted(error, info)
    return _status(Code.UNAVAILABLE, f"the store: {error}", [info])


def _interrupted(error: Interrupted, info: ErrorInfo) -> Status:
    """A watch that was ended, and where it goes on; after a rollback it does not."""
    if isinstance(error, RolledBack):
        return _status(Code.OUT_OF_RANGE, str(error), [info])
    info.metadata["resume_revision"] = str(error.revision)
    code = Code.RESOURCE_EXHAUSTED if isinstance(error, Slow) else Code.UNAVAILABLE
    return _status(code, f"{error}: watch again from revision {error.revision}", [info])


def _status(code: int, message: str, details: Sequence[Message]) -> Status:
    packed = [AnyMessage() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    return Status(code=code, message=message, details=packed)
