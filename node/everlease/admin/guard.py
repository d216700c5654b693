"""Asked before every call: who is it, and may it?

The law of this file: it fails closed, and before a message of the caller is read. A stream is asked for again with each
answer, so that who lost a role hears no more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from everlease.admin.audit import Trail
from everlease.admin.auth import Call, Caller, Role, Unknown, enter, role_for

_NO_MESSAGE = "the request is not the message of this method"


class Access(Protocol):
    """Knows the callers. edition: another number after each change of what it knows."""

    edition: int

    def identify(self, context: grpc.aio.ServicerContext) -> Caller:
        """Who a connection and its call's metadata are. Raises Unknown."""


class Guard(grpc.aio.ServerInterceptor):
    """Lets a call in, or answers UNAUTHENTICATED or PERMISSION_DENIED; INVALID_ARGUMENT for what is no message."""

    def __init__(self, access: Access, trail: Trail) -> None:
        self._access = access
        self._trail = trail

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """grpc calls this for each call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        # For gRPC every request is a stream: of the others it would read the message, of up to 32 MB, before it asks.
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(method, handler), None, handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(self._single(method, handler), None, handler.response_serializer)

    def _single(self, method: str, handler: Any) -> Any:
        inner = handler.stream_unary or handler.unary_unary

        async def call(octets: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Any:
            await self._admit(method, context)
            try:
                return await inner(await _request(handler, octets, context), context)
            except DecodeError:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_MESSAGE)

        return call

    def _streaming(self, method: str, handler: Any) -> Any:
        inner = handler.stream_stream or handler.unary_stream

        async def call(octets: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
            edition = await self._admit(method, context)
            try:
                answers = inner(await _request(handler, octets, context), context)
                if not hasattr(answers, "__aiter__"):
                    await answers  # it writes by itself, as grpc's own health service does
                    return
                async with aclosing(answers):
                    async for answer in answers:
                        if self._access.edition != edition:
                            edition = await self._admit(method, context)
                        await context.write(answer)
            except DecodeError:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_MESSAGE)

        return call

    async def _admit(self, method: str, context: grpc.aio.ServicerContext) -> int:
        """Abort, or let it in as of the edition that is returned."""
        edition, needed = self._access.edition, role_for(method)
        try:
            caller = self._access.identify(context)
        except Unknown as unknown:
            if needed > Role.ANYBODY:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(unknown))
            caller = Caller("", Role.ANYBODY)
        if caller.role < needed:
            words = f"{caller.name} has the role {caller.role.word}; this needs the role {needed.word}"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, words)
        enter(Call(context, method, caller, self._trail))
        return edition


async def _request(handler: Any, octets: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Any:
    """The one message of a call, or the stream of them. Raises DecodeError."""
    decode = handler.request_deserializer or bytes
    if handler.request_streaming:
        return _decoded(decode, octets)
    only = await context.read()
    if only is grpc.aio.EOF:
        raise DecodeError(_NO_MESSAGE)
    return decode(only)


async def _decoded(decode: Callable[[bytes], Any], octets: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for each in octets:
        yield decode(each)
