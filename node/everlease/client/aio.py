"""The asyncio client: a shell that carries out the steps of `talk.py` with grpc.aio.

    async with AsyncClient("10.0.0.1:9067,10.0.0.2:9067") as client:
        async for lease in client.list_leases(subnet=1):
            ...

Raises what `errors.py` names. A client belongs to the loop that it is first used in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from everlease.client.audits import Missing, of_all_awaited, unheeded
from everlease.client.calls import Ask, Upload
from everlease.client.errors import failure_of
from everlease.client.methods import Awaiting
from everlease.client.session import Session
from everlease.client.talk import Give, Open, Outcome, Pour, Read, Rows, Send, Step, Wait, answer_of, rows_of
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord

T = TypeVar("T")


class AsyncClient(Session, Awaiting):
    """As `Client`; its methods are awaited, its iterators asynchronous."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        for channel in self._let_go():
            await channel.close()

    def watch_audits(self, *, past: bool = False, missing: Missing = unheeded) -> AsyncIterator[AuditRecord]:
        """As `Client.watch_audits`."""
        return of_all_awaited(self, past, missing)

    def _connect(self, server: str, secure: grpc.ChannelCredentials | None, options: Any) -> grpc.aio.Channel:
        if secure is None:
            return grpc.aio.insecure_channel(server, options)
        return grpc.aio.secure_channel(server, secure, options)

    async def _answer(self, question: Ask[T] | Upload[T]) -> T:
        hands = _Hands(self)
        talk = answer_of(self.servers, question, self._limits[0], time.monotonic())
        try:
            step = next(talk)
            while True:
                step = talk.send(await hands.do(step))
        except StopIteration as done:
            return done.value

    async def _iterate(self, question: Rows[T]) -> AsyncIterator[T]:
        hands = _Hands(self)
        talk = rows_of(self.servers, question, self._limits, time.monotonic())
        try:
            step = next(talk)
            while True:
                if isinstance(step, Give):
                    for row in step.rows:
                        yield row
                step = talk.send(await hands.do(step))
        except StopIteration:
            return
        finally:
            hands.let_go()


class _Hands:
    """What a step does to the world. One question's own: it holds the stream that was opened last."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._stream: Any = None

    async def do(self, step: Step) -> Outcome:
        """Carry it out."""
        value, failure = None, None
        try:
            value = await self._do(step)
        except grpc.RpcError as error:
            failure = failure_of(error)
        return Outcome(time.monotonic(), value, failure)

    async def _do(self, step: Step) -> Any:
        client = self._client
        match step:
            case Send(server, call, request, within):
                return await client._call("unary_unary", server, call, request, within)
            case Pour(server, call, messages, within):
                return await client._call("stream_unary", server, call, iter(messages), within)
            case Open(server, call, request):
                self.let_go()
                self._stream = client._call("unary_stream", server, call, request)
                await self._stream.wait_for_connection()
                await self._stream.initial_metadata()
            case Read():
                message = await self._stream.read()
                return None if message is grpc.aio.EOF else message
            case Wait(seconds):
                await asyncio.sleep(seconds)
        return None

    def let_go(self) -> None:
        """End the stream, if there is one."""
        if self._stream is not None:
            self._stream.cancel()
