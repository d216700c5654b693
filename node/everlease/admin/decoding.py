"""Requests that are no message of theirs: refused like any other bad argument, without a traceback in the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

_UNREADABLE: Final = object()


class RefuseUnreadable(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT where gRPC would answer UNKNOWN; for methods with one request and one answer."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """grpc calls this for each call."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler

        def decode(data: bytes) -> object:
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                return _UNREADABLE

        async def call(request: object, context: grpc.aio.ServicerContext) -> object:
            if request is _UNREADABLE:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is not the message of this method")
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(call, decode, handler.response_serializer)
