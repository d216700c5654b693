"""Asked before every call: who is it, and may it?

The law of this file: it fails closed, and before a message of the caller is read. A stream is asked for again with each
answer, so that who lost a role hears no more. A request that this node understands in part would be carried out in part
(`validate_only` of tomorrow, for good today), so it is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from everlease import logs
from everlease.admin.audit import Trail
from everlease.admin.auth import Call, Caller, Role, Shown, Unknown, enter, role_for
from everlease.runtime.buckets import Buckets

_NO_MESSAGE: Final = "the request is not the message of this method"
_NEWER: Final = "the request has fields that this node does not know; is the node older than the client?"


_NAMES: Final = (
    ("CN", "x509_common_name"), ("DNS", "peer_dns"), ("URI", "peer_uri"), ("EMAIL", "peer_email"), ("IP", "peer_ip"),
)  # fmt: skip
"""Kinds of names, and what gRPC calls them."""


class _NewerRequest(DecodeError):
    """A message with unknown fields."""


class Access(Protocol):
    """Knows the callers. edition: another number after each change of what it knows."""

    edition: int

    def identify(self, shown: Shown) -> Caller:
        """Who shows this. Raises Unknown."""


class Guard(grpc.aio.ServerInterceptor):
    """Lets a call in, or answers UNAUTHENTICATED or PERMISSION_DENIED; INVALID_ARGUMENT for what is no message."""

    def __init__(self, access: Access, trail: Trail) -> None:
        self._access = access
        self._trail = trail
        self._told = Buckets(1.0, seconds=10.0)

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
            await self._admit(method, _shown_by(context), context)
            try:
                return await inner(await _request(handler, octets, context), context)
            except DecodeError as bad:
                await _refuse(context, bad)

        return call

    def _streaming(self, method: str, handler: Any) -> Any:
        inner = handler.stream_stream or handler.unary_stream

        async def call(octets: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
            shown = _shown_by(context)
            edition = await self._admit(method, shown, context)
            try:
                answers = inner(await _request(handler, octets, context), context)
                if not hasattr(answers, "__aiter__"):
                    await answers  # it writes by itself, as grpc's own health service does
                    return
                async with aclosing(answers):
                    async for answer in answers:
                        if self._access.edition != edition:
                            edition = await self._admit(method, shown, context)
                        await context.write(answer)
            except DecodeError as bad:
                await _refuse(context, bad)

        return call

    async def _admit(self, method: str, shown: Shown, context: grpc.aio.ServicerContext) -> int:
        """Abort, or let it in as of the edition that is returned."""
        edition, needed = self._access.edition, role_for(method)
        try:
            caller = self._access.identify(shown)
        except Unknown as unknown:
            if needed > Role.ANYBODY:
                self._tell(method, shown, "", str(unknown))
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(unknown))
            caller = Caller("", Role.ANYBODY)
        if caller.role < needed:
            words = f"{caller.name} has the role {caller.role.word}; this needs the role {needed.word}"
            self._tell(method, shown, caller.name, words)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, words)
        enter(Call(context, method, caller, self._trail, shown.peer))
        return edition

    def _tell(self, method: str, shown: Shown, who: str, reason: str) -> None:
        """In the log, unless somebody wants to fill it."""
        if self._told.allows("", self._trail.now()):
            logs.get().warning("admin call refused", who=who, peer=shown.peer, method=method.strip("/"), reason=reason)


def _shown_by(context: grpc.aio.ServicerContext) -> Shown:
    """Ask once, at the beginning: grpc has forgotten it when the caller goes."""
    metadata, known = context.invocation_metadata() or (), context.auth_context()
    return Shown(
        context.peer(),
        tuple(str(value) for name, value in metadata if name == "authorization"),
        tuple(f"{kind}:{value.decode('utf-8', 'replace')}" for kind, key in _NAMES for value in known.get(key, ())),
    )


async def _refuse(context: grpc.aio.ServicerContext, bad: DecodeError) -> None:
    words = _NEWER if isinstance(bad, _NewerRequest) else _NO_MESSAGE
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, words)


async def _request(handler: Any, octets: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Any:
    """The one message of a call, or the stream of them. Raises DecodeError."""
    decode = handler.request_deserializer or bytes
    if handler.request_streaming:
        return _decoded(decode, octets)
    only = await context.read()
    if only is grpc.aio.EOF:
        raise DecodeError(_NO_MESSAGE)
    return _whole(decode(only))


async def _decoded(decode: Callable[[bytes], Any], octets: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for each in octets:
        yield _whole(decode(each))


def _whole(message: Any) -> Any:
    """A message, if all of it is understood. Raises DecodeError."""
    if isinstance(message, Message):
        size = message.ByteSize()
        message.DiscardUnknownFields()
        if message.ByteSize() != size:
            raise _NewerRequest
    return message
