"""Who a client is: files for TLS, and a bearer token.

The law of this file: a token leaves this machine only over TLS, and never appears in a message or an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import grpc

from everlease.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Credentials:
    """`ca` alone checks the server; `cert` and `key` (PEM) say who we are; so does a token: as text, or in a file that
    is read again for each call (tokens that are renewed there need no new client).
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return any(each is not None for each in (self.ca, self.cert, self.key))

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For gRPC over TLS. Raises ConfigError for a file that cannot be read."""
        if (self.cert is None) != (self.key is None):
            raise ConfigError("--cert and --key belong together: give both or none")
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))

    def check(self, servers: Sequence[str]) -> None:
        """Raises ConfigError where a token would cross a network in the clear."""
        if self.tls or not (self.token or self.token_file):
            return
        for server in servers:
            if not _is_loopback(server.rpartition(":")[0].strip("[]")):
                raise ConfigError(f"a token is sent to {server} only over TLS: give --ca (or --cert and --key) as well")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. Raises ConfigError for a token's file that cannot be read."""
        token = self.token
        if self.token_file is not None:
            try:
                token = (_read(self.token_file) or b"").decode("ascii").strip()
            except UnicodeDecodeError:
                raise ConfigError(f"{self.token_file} holds no token: it is not ASCII") from None
        return (("authorization", f"Bearer {token}"),) if token else ()


ANYBODY: Final = Credentials()
"""No TLS, no token: enough for a node that listens on loopback."""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
