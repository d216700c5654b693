"""The admin API's server: every service on one gRPC port of this node, in the node's own loop.

The law of this file: clients are bounded in number, size and idleness; they share the loop with the packet path.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from everlease.admin.access import Doorkeeper, Papers, is_loopback
from everlease.admin.applying import Applying
from everlease.admin.audit import Trail
from everlease.admin.auth import Role
from everlease.admin.backup import BackupService
from everlease.admin.cluster import ClusterService
from everlease.admin.config import ConfigService
from everlease.admin.explain import ExplainService
from everlease.admin.guard import Guard
from everlease.admin.leases import LeaseService
from everlease.admin.reservations import ReservationService
from everlease.admin.subnets import SubnetService
from everlease.errors import ConfigError
from everlease.pb.admin.v1 import (
    backup_service_pb2,
    backup_service_pb2_grpc,
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
    explain_service_pb2,
    explain_service_pb2_grpc,
    lease_service_pb2,
    lease_service_pb2_grpc,
    reservation_service_pb2,
    reservation_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)
from everlease.runtime.lifeline import Lifeline
from everlease.runtime.rooms import Rooms

LARGEST_REQUEST: Final = 32 << 20
"""Bytes: a document of 100,000 reservations is 10 MB."""

CALLS: Final = 64
"""At once; more are refused with RESOURCE_EXHAUSTED."""

CONNECTIONS: Final = 512
"""At once; more are closed. Each holds an open file, of which a process has 1,024 by default."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", LARGEST_REQUEST),
    ("grpc.max_send_message_length", LARGEST_REQUEST),
    ("grpc.max_concurrent_streams", 32),
    ("grpc.max_allowed_incoming_connections", CONNECTIONS),
    ("grpc.max_connection_idle_ms", 60_000),
    ("grpc.max_connection_age_ms", 3_600_000),  # a certificate is looked at only when a connection begins
    ("grpc.max_connection_age_grace_ms", 600_000),  # then streams end as well; watches resume
    ("grpc.server_handshake_timeout_ms", 5_000),  # two minutes by default, and each one holds an open file
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),  # half-open connections go after a minute
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # which is what counts: a minute by default
    ("grpc.so_reuseport", 0),
)
_SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (lease_service_pb2, "LeaseService"),
        (subnet_service_pb2, "SubnetService"),
        (reservation_service_pb2, "ReservationService"),
        (config_service_pb2, "ConfigService"),
        (cluster_service_pb2, "ClusterService"),
        (backup_service_pb2, "BackupService"),
        (explain_service_pb2, "ExplainService"),
    )
)
_NO_PAPERS: Final = Papers()
_READINESS_PERIOD: Final = 0.25
_GRACE: Final = 1.0


class Handle:
    """A listening server. port: as bound, for address `HOST:0`."""

    def __init__(self, server: grpc.aio.Server, port: int, doorkeeper: Doorkeeper, tasks: list[asyncio.Task[None]]):
        self._server = server
        self._doorkeeper = doorkeeper
        self._tasks = tasks
        self.port = port
        self.at_end = contextlib.AsyncExitStack()

    async def reread(self) -> None:
        """Certificates and roles again, for connections and calls to come; the log says how it went."""
        await self._doorkeeper.reread()

    def may_view(self, shown: Sequence[str]) -> bool:
        """Whether somebody on this machine may read leases by another port; shown: its `authorization` headers."""
        return self._doorkeeper.beside(shown) >= Role.VIEWER

    async def close(self) -> None:
        """Take no more calls; those that run may end within a second."""
        for task in self._tasks:
            task.cancel()
        await self._server.stop(_GRACE)
        await self.at_end.aclose()


async def serve(rooms: Rooms, address: str, papers: Papers = _NO_PAPERS) -> Handle:
    """Listen on "HOST:PORT". Raises ConfigError if that is not possible, or one of the papers cannot be used."""
    doorkeeper = Doorkeeper(papers, is_loopback(address), rooms.clock.now)
    rooms.certificates["admin"] = lambda: doorkeeper.ends
    guard = Guard(doorkeeper, Trail(rooms.clock.now))
    server = grpc.aio.server(interceptors=(guard,), options=_OPTIONS, maximum_concurrent_rpcs=CALLS)
    reservations = ReservationService(rooms)
    reservation_service_pb2_grpc.add_ReservationServiceServicer_to_server(reservations, server)
    _add_services(server, rooms)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = _bind(server, address, doorkeeper.credentials())
    await server.start()
    tasks = [asyncio.create_task(_tell_readiness(checks, rooms.lifeline), name="admin-health")]
    if papers:
        tasks.append(asyncio.create_task(doorkeeper.follow(), name="admin-papers"))
    handle = Handle(server, port, doorkeeper, tasks)
    handle.at_end.push_async_callback(reservations.close)
    return handle


def _add_services(server: grpc.aio.Server, rooms: Rooms) -> None:
    lease_service_pb2_grpc.add_LeaseServiceServicer_to_server(LeaseService(rooms), server)
    applying = Applying(rooms)
    subnet_service_pb2_grpc.add_SubnetServiceServicer_to_server(SubnetService(rooms, applying), server)
    config_service_pb2_grpc.add_ConfigServiceServicer_to_server(ConfigService(rooms, applying), server)
    cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(ClusterService(rooms), server)
    backup_service_pb2_grpc.add_BackupServiceServicer_to_server(BackupService(rooms), server)
    explain_service_pb2_grpc.add_ExplainServiceServicer_to_server(ExplainService(rooms), server)


def _bind(server: grpc.aio.Server, address: str, tls: grpc.ServerCredentials | None) -> int:
    _try(address)
    try:
        port = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls)
    except RuntimeError as error:
        raise ConfigError(f"--admin {address}: cannot listen: is the port in use? ({error})") from error
    if not port:
        raise ConfigError(f"--admin {address}: cannot listen")
    return port


def _try(address: str) -> None:
    """Ask the kernel first: where gRPC cannot bind it writes lines of its own, and does not say why."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except (OSError, ValueError, OverflowError) as error:
        words = error.strerror if isinstance(error, OSError) else "write HOST:PORT"
        raise ConfigError(f"--admin {address}: cannot listen: {words}") from error


async def _tell_readiness(checks: health.aio.HealthServicer, lifeline: Lifeline) -> None:
    """The services answer always; the server as a whole ("") says what `/readyz` says."""
    for name in _SERVICES:
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    told: bool | None = None
    while True:
        ready = lifeline.ready()
        if ready != told:
            told = ready
            status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
            await checks.set("", status)
        await asyncio.sleep(_READINESS_PERIOD)
