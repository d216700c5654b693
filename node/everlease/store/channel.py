"""One gRPC channel to one member of etcd, its methods bound by path, and what its errors mean.

Law: a write without a clear answer is *unknown*, never failed: every code that is not a clear refusal becomes
Unavailable. Every call has a deadline; nothing is retried here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from everlease.errors import ConfigError, StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import pem
from everlease.store.api import BadRequest, Compacted, NoSpace, Unavailable

OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own: one member's trouble stays its own
    ("grpc.enable_retries", 0),  # who repeats a write is the committer's decision
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 10_000),  # etcd refuses pings more often than every 5 s
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 8 << 20),
)

_SIGN_IN_AGAIN: Final = ("user name is empty", "revision of auth store is old", "revision in header is old")
"""INVALID_ARGUMENT without a token; and with one that is older than the last change of a user or role."""

_TARGET: Final = re.compile(r"([^/:@\[\]]+|\[[0-9A-Fa-f:.%a-z]+\]):[0-9]{1,5}")


class Unauthenticated(StoreError):
    """The token is missing or no longer good: authenticate once, then try again."""

    reason = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM files for TLS (ca alone: the server is checked; with cert and key: mutual), and a user with its password."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    username: str = ""
    password: str = ""

    def files(self) -> tuple[Path, ...]:
        """Those that there are."""
        return tuple(path for path in (self.ca, self.cert, self.key) if path is not None)


class Channel:
    """The calls of one member. Methods take and give messages, `txn` bytes; all raise what `store_error` makes."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        target, secure = target_of(endpoint)
        if secure:
            self._channel = grpc.aio.secure_channel(target, tls(credentials), options=OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self.txn = self._channel.unary_unary("/etcdserverpb.KV/Txn")
        self.range = self._unary("KV/Range", pb.RangeRequest, pb.RangeResponse)
        self.compact = self._unary("KV/Compact", pb.CompactionRequest, pb.CompactionResponse)
        self.status = self._unary("Maintenance/Status", pb.StatusRequest, pb.StatusResponse)
        self.move_leader = self._unary("Maintenance/MoveLeader", pb.MoveLeaderRequest, pb.MoveLeaderResponse)
        self.authenticate = self._unary("Auth/Authenticate", pb.AuthenticateRequest, pb.AuthenticateResponse)
        self.watch = self._channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )

    def _unary(self, path: str, request: Any, response: Any) -> Callable[..., Any]:
        method: Callable[..., Any] = self._channel.unary_unary(
            f"/etcdserverpb.{path}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return method

    async def close(self, grace: float | None = None) -> None:
        """Drop the connection; calls on it have `grace` seconds to end."""
        await self._channel.close(grace)


def target_of(endpoint: str) -> tuple[str, bool]:
    """(host:port, whether TLS) of an endpoint as operators write it; plain without a scheme. Raises ConfigError."""
    scheme, found, rest = endpoint.rpartition("://")
    target = rest.rstrip("/")
    if found and scheme not in ("http", "https"):
        raise ConfigError(f"etcd endpoint {endpoint!r}: neither http:// nor https://")
    if not _TARGET.fullmatch(target):
        raise ConfigError(
            f"etcd endpoint {endpoint!r}: write http://HOST:PORT or https://HOST:PORT (etcd's port is 2379)"
        )
    return target, scheme == "https"


def tls(credentials: Credentials) -> grpc.ChannelCredentials:
    """What a TLS connection to a member needs, from its PEM files. Raises ConfigError."""
    ca, cert, key = pem.read(credentials.ca, credentials.cert, credentials.key)
    return grpc.ssl_channel_credentials(ca, key, cert)


def store_error(error: grpc.aio.AioRpcError) -> StoreError:
    """What a failed call means for its caller (interfaces and texts of etcd 3.4 to 3.6)."""
    code, text = error.code(), error.details() or ""
    message = f"{code.name}: {text}"
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "space exceeded" in text:
        return NoSpace(message)  # every other RESOURCE_EXHAUSTED is unknown: "message larger than max" came after
    if code == grpc.StatusCode.UNAUTHENTICATED or any(words in text for words in _SIGN_IN_AGAIN):
        return Unauthenticated(message)
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
        return BadRequest(message)
    if code == grpc.StatusCode.OUT_OF_RANGE and "compacted" in text:
        return Compacted(message)
    return Unavailable(message)
