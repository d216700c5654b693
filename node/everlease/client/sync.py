"""The blocking client: one server, one channel; every call has a deadline.

    with Client("127.0.0.1:9067") as client:
        for lease in client.list_leases(subnet=1):
            ...

Calls raise `Unreachable` or `Refused`. Nothing is retried here: a lost answer to a change is not a failed change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import grpc

from everlease.client.errors import translate
from everlease.errors import ConfigError
from everlease.pb.admin.v1 import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
    explain_service_pb2,
    explain_service_pb2_grpc,
    lease_service_pb2,
    lease_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)

DEFAULT_SERVER: Final = "127.0.0.1:9067"
COMPILING: Final = 120.0
"""Seconds for a call that compiles a document: 10,000 subnets take some on a busy host."""

_Answer = TypeVar("_Answer")
_LARGEST: Final = 64 << 20
"""Bytes: a configuration document with 100,000 reservations is 10 MB; grpc's default is 4 MB."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files for TLS: `ca` alone checks the server; `cert` and `key` (PEM) say who we are."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """For gRPC; None = without TLS. Raises ConfigError for a file that cannot be read."""
        if self.ca is None and self.cert is None and self.key is None:
            return None
        if (self.cert is None) != (self.key is None):
            raise ConfigError("--cert and --key belong together: give both or none")
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


class Client:
    """One node's admin API. server: "HOST:PORT"; timeout: seconds for each call."""

    def __init__(
        self, server: str = DEFAULT_SERVER, credentials: Credentials = Credentials(), timeout: float = 10.0
    ) -> None:
        options = [("grpc.max_receive_message_length", _LARGEST), ("grpc.enable_retries", 0)]
        tls = credentials.channel_credentials()
        self.server = server
        self._timeout = timeout
        self._channel = (
            grpc.insecure_channel(server, options) if tls is None else grpc.secure_channel(server, tls, options)
        )
        self._leases = lease_service_pb2_grpc.LeaseServiceStub(self._channel)
        self._subnets = subnet_service_pb2_grpc.SubnetServiceStub(self._channel)
        self._config = config_service_pb2_grpc.ConfigServiceStub(self._channel)
        self._cluster = cluster_service_pb2_grpc.ClusterServiceStub(self._channel)
        self._explain = explain_service_pb2_grpc.ExplainServiceStub(self._channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()

    def list_leases(
        self,
        *,
        space: str = "",
        subnet: int = 0,
        state: str = "unspecified",
        client: str = "",
        page_size: int = 0,
    ) -> Iterator[lease_service_pb2.Lease]:
        """All leases that match, in address order, all of one revision. state: "bound", "declined", ..."""
        request = lease_service_pb2.ListLeasesRequest(
            space=space, subnet=subnet, state=f"LEASE_STATE_{state.upper()}", client=client, page_size=page_size
        )
        while True:
            page = self._call(self._leases.ListLeases, request)
            yield from page.leases
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def get_lease(self, *, space: str = "", address: str = "", client: str = "") -> lease_service_pb2.Lease:
        """One lease, by address or by client."""
        request = lease_service_pb2.GetLeaseRequest(space=space)
        if client:
            request.client = client
        else:
            request.address = address
        return self._call(self._leases.GetLease, request)

    def list_subnets(self, *, page_size: int = 0) -> Iterator[subnet_service_pb2.Subnet]:
        """All subnets by id."""
        request = subnet_service_pb2.ListSubnetsRequest(page_size=page_size)
        while True:
            page = self._call(self._subnets.ListSubnets, request)
            yield from page.subnets
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def get_subnet(self, number: int) -> subnet_service_pb2.Subnet:
        """One subnet by its id."""
        return self._call(self._subnets.GetSubnet, subnet_service_pb2.GetSubnetRequest(id=number))

    def validate_config(self, document: str) -> config_service_pb2.ValidateConfigResponse:
        """Everything that is wrong with a document."""
        return self._call(
            self._config.ValidateConfig, config_service_pb2.ValidateConfigRequest(document=document), COMPILING
        )

    def apply_config(self, request: config_service_pb2.ApplyConfigRequest) -> config_service_pb2.ApplyConfigResponse:
        """Put a document in force, or say what would change."""
        return self._call(self._config.ApplyConfig, request, COMPILING)

    def get_config(self, revision: int = 0) -> config_service_pb2.Config:
        """A document as it was written; 0 = the one in force."""
        return self._call(self._config.GetConfig, config_service_pb2.GetConfigRequest(revision=revision))

    def status(self) -> cluster_service_pb2.ClusterStatus:
        """The cluster as this node sees it."""
        return self._call(self._cluster.GetStatus, cluster_service_pb2.GetStatusRequest())

    def drain_node(self, node: str, *, author: str = "", force: bool = False) -> None:
        """A node serves nobody from now on."""
        request = cluster_service_pb2.DrainNodeRequest(node=node, author=author, force=force)
        self._call(self._cluster.DrainNode, request)

    def resume_node(self, node: str) -> None:
        """It serves again."""
        self._call(self._cluster.ResumeNode, cluster_service_pb2.ResumeNodeRequest(node=node))

    def explain(self, request: explain_service_pb2.ExplainRequest) -> explain_service_pb2.ExplainResponse:
        """What a client would get, and why."""
        return self._call(self._explain.Explain, request)

    def _call(self, method: Callable[..., _Answer], request: object, least: float = 0.0) -> _Answer:
        """least: seconds that this call may take whatever the client's timeout is."""
        try:
            return method(request, timeout=max(self._timeout, least))
        except grpc.RpcError as error:
            raise translate(error) from error
