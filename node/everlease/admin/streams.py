"""How a method that streams its answer says no: as `answers.answered`, also in the middle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import wraps
from typing import Any, TypeVar

import grpc.aio
from grpc_status import rpc_status

from everlease.admin.answers import Refusal, status_of
from everlease.errors import StoreError

Answer = TypeVar("Answer")
Streaming = Callable[[Any, Any, Any], AsyncIterator[Answer]]


def streamed(method: Streaming[Answer]) -> Streaming[Answer]:
    """Turn a method's errors into gRPC's."""

    @wraps(method)
    async def call(self: Any, request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Answer]:
        try:
            async with aclosing(method(self, request, context)) as answers:  # type: ignore[type-var]
                async for answer in answers:
                    yield answer
        except (Refusal, StoreError) as error:
            await context.abort_with_status(rpc_status.to_status(status_of(error)))

    return call
