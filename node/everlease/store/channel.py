"""The gRPC calls of one member of etcd, bound by path, and what its errors mean.

Law: a write without a clear answer is *unknown*, never failed: every code that is not a clear refusal becomes
Unavailable. Every call has a deadline; nothing is retried here.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from everlease.errors import ConfigError, StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import pem
from everlease.store.api import BadRequest, Compacted, NoSpace, Unavailable
from everlease.store.rpc import Client, Code, MessageStream, Metadata, RpcError

Answer_co = TypeVar("Answer_co", bound=Message, covariant=True)

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


class _Method(Protocol[Answer_co]):
    async def __call__(self, request: Message, deadline: float, metadata: Metadata = ()) -> Answer_co: ...


class Channel:
    """The calls of one member: deadlines in seconds; all raise `rpc.RpcError`. `txn` takes and gives bytes."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        target, secure = target_of(endpoint)
        host, _, port = target.rpartition(":")
        self._client = Client(host.strip("[]"), int(port), _tls(credentials) if secure else None)
        self.range = self._unary("KV/Range", pb.RangeResponse)
        self.compact = self._unary("KV/Compact", pb.CompactionResponse)
        self.status = self._unary("Maintenance/Status", pb.StatusResponse)
        self.move_leader = self._unary("Maintenance/MoveLeader", pb.MoveLeaderResponse)
        self.authenticate = self._unary("Auth/Authenticate", pb.AuthenticateResponse)

    def _unary(self, path: str, response: type[Answer_co]) -> _Method[Answer_co]:
        async def call(request: Message, deadline: float, metadata: Metadata = ()) -> Answer_co:
            octets = await self._client.unary(f"/etcdserverpb.{path}", request.SerializeToString(), deadline, metadata)
            return response.FromString(octets)

        return call

    async def txn(self, request: bytes, deadline: float, metadata: Metadata = ()) -> bytes:
        """A serialised TxnResponse for a serialised TxnRequest."""
        return await self._client.unary("/etcdserverpb.KV/Txn", request, deadline, metadata)

    async def watch(self, deadline: float, metadata: Metadata = ()) -> MessageStream:
        """A stream of serialised WatchRequests out and WatchResponses in; the deadline is for a connection."""
        return await self._client.stream("/etcdserverpb.Watch/Watch", deadline, metadata)

    async def close(self) -> None:
        """Drop the connection; calls on it are lost."""
        await self._client.close()


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


def _tls(credentials: Credentials) -> ssl.SSLContext:
    context = pem.context(credentials.ca, credentials.cert, credentials.key)
    context.set_alpn_protocols(["h2"])
    return context


def store_error(error: RpcError) -> StoreError:
    """What a failed call means for its caller (interfaces and texts of etcd 3.4 to 3.6)."""
    code, text, message = error.code, error.details, str(error)
    if code == Code.RESOURCE_EXHAUSTED and "space exceeded" in text:
        return NoSpace(message)  # every other RESOURCE_EXHAUSTED is unknown: "message larger than max" came after
    if code == Code.UNAUTHENTICATED or any(words in text for words in _SIGN_IN_AGAIN):
        return Unauthenticated(message)
    if code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND):
        return BadRequest(message)
    if code == Code.OUT_OF_RANGE and "compacted" in text:
        return Compacted(message)
    return Unavailable(message)
