"""The blocking client: a shell that carries out the steps of `talk.py` with gRPC.

    with Client("10.0.0.1:9067,10.0.0.2:9067") as client:
        for lease in client.list_leases(subnet=1):
            ...

Raises what `errors.py` names. A client may be used by several threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from everlease.client.audits import Missing, of_all, unheeded
from everlease.client.calls import Ask, Upload
from everlease.client.errors import failure_of
from everlease.client.methods import Blocking
from everlease.client.session import Session
from everlease.client.talk import Give, Open, Outcome, Pour, Read, Rows, Send, Step, Wait, answer_of, rows_of
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord

T = TypeVar("T")


class Client(Session, Blocking):
    """The admin API of a cluster; methods return their answers, lists and watches are iterators."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        for channel in self._let_go():
            channel.close()

    def watch_audits(self, *, past: bool = False, missing: Missing = unheeded) -> Iterator[AuditRecord]:
        """Changes made through any of the servers, in one stream, as they are told; of each server in order. past: also
        those that each still keeps. missing: hears of a server that is away; it is asked again and again. Raises
        Unreachable if nobody answers at first.
        """
        return of_all(self, past, missing)

    def _connect(self, server: str, secure: grpc.ChannelCredentials | None, options: Any) -> grpc.Channel:
        if secure is None:
            return grpc.insecure_channel(server, options)
        return grpc.secure_channel(server, secure, options)

    def _answer(self, question: Ask[T] | Upload[T]) -> T:
        hands = _Hands(self)
        talk = answer_of(self.servers, question, self._limits[0], time.monotonic())
        try:
            step = next(talk)
            while True:
                step = talk.send(hands.do(step))
        except StopIteration as done:
            return done.value

    def _iterate(self, question: Rows[T]) -> Iterator[T]:
        hands = _Hands(self)
        talk = rows_of(self.servers, question, self._limits, time.monotonic())
        try:
            step = next(talk)
            while True:
                if isinstance(step, Give):
                    yield from step.rows
                step = talk.send(hands.do(step))
        except StopIteration:
            return
        finally:
            hands.let_go()


class _Hands:
    """What a step does to the world. One question's own: it holds the stream that was opened last."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stream: Any = None

    def do(self, step: Step) -> Outcome:
        """Carry it out."""
        value, failure = None, None
        try:
            value = self._do(step)
        except grpc.RpcError as error:
            failure = failure_of(error)
        return Outcome(time.monotonic(), value, failure)

    def _do(self, step: Step) -> Any:
        client = self._client
        match step:
            case Send(server, call, request, within):
                return client._call("unary_unary", server, call, request, within)
            case Pour(server, call, messages, within):
                return client._call("stream_unary", server, call, iter(messages), within)
            case Open(server, call, request):
                self.let_go()
                self._stream = client._call("unary_stream", server, call, request)
                self._stream.initial_metadata()
                if not self._stream.is_active() and self._stream.code() is not grpc.StatusCode.OK:
                    raise self._stream
            case Read():
                return next(self._stream, None)
            case Wait(seconds):
                time.sleep(seconds)
        return None

    def let_go(self) -> None:
        """End the stream, if there is one."""
        if self._stream is not None:
            self._stream.cancel()
