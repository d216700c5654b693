"""What both clients have in common: whom they know, who they are, and their connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Final, Self

import grpc

from everlease.client.api import Api
from everlease.client.calls import Call
from everlease.client.credentials import ANYBODY, Credentials
from everlease.client.errors import Unreachable
from everlease.client.servers import Servers, read_servers

DEFAULT_SERVER: Final = "127.0.0.1:9067"

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 << 20),  # a document with 100,000 reservations is 10 MB; 4 MB by default
    ("grpc.enable_retries", 0),  # who may be asked twice is decided in `talk.py`
    ("grpc.use_local_subchannel_pool", 1),  # a client's connections are its own
    ("grpc.keepalive_time_ms", 15_000),  # a server that stopped in the middle of a watch is noticed; it allows 10 s
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # which is what counts: a minute by default
    ("grpc.http2.max_pings_without_data", 0),  # after two of them it would ask once a minute, and a watch sends nothing
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

Shape = Callable[..., Any]


class Session(Api):
    """servers: "HOST:PORT[,HOST:PORT...]", tried in this order; timeout: seconds for each call, whoever answers;
    patience: seconds for which a watch goes on looking for a server. Raises ConfigError.
    """

    def __init__(
        self,
        servers: str | Iterable[str] = DEFAULT_SERVER,
        credentials: Credentials = ANYBODY,
        timeout: float = 10.0,
        patience: float = inf,
    ) -> None:
        self.servers = Servers(read_servers(servers))
        self._limits = (timeout, patience)
        self._credentials = credentials
        credentials.check(self.servers.names)
        self._secure = credentials.channel_credentials() if credentials.tls else None
        self._channels: dict[str, Any] = {}
        self._closed = False

    def only(self, server: str) -> Self:
        """A client of its own for one of the servers, for what each node tells of itself."""
        return type(self)(server, self._credentials, *self._limits)

    def _channel(self, server: str) -> Any:
        """The connection to a server; made when it is first needed, in the loop that needs it."""
        if self._closed:
            raise Unreachable("the client is closed")
        if server not in self._channels:
            self._channels[server] = self._connect(server, self._secure, _OPTIONS)
        return self._channels[server]

    def _let_go(self) -> list[Any]:
        """Connections to close; from now on nobody is asked."""
        self._closed = True
        return [self._channels.pop(name) for name in list(self._channels)]

    def _connect(self, server: str, secure: grpc.ChannelCredentials | None, options: Any) -> Any:
        raise NotImplementedError

    def _call(self, shape: str, server: str, call: Call[Any], request: Any, within: float | None = None) -> Any:
        """Begin a call. shape: gRPC's name of it; within: seconds, None = no end."""
        method = getattr(self._channel(server), shape)(
            call.path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=call.answer.FromString,
        )
        return method(request, timeout=within, metadata=self._credentials.metadata())
