"""Who calls, and what that role may do.

The law of this file: the table names every method of every service; what is not in it needs the highest role; a call
that no guard has let in has no caller.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from everlease.errors import EverleaseError

if TYPE_CHECKING:
    import grpc.aio

    from everlease.admin.audit import Trail


class Role(IntEnum):
    """Each may do what those before it may. ANYBODY: also who shows no credentials at all."""

    ANYBODY = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As people write it."""
        return self.name.lower() if self else "none"


_BY_ROLE: Final = {
    Role.ANYBODY: ("grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"),
    Role.VIEWER: (
        "everlease.admin.v1.LeaseService/ListLeases",
        "everlease.admin.v1.LeaseService/GetLease",
        "everlease.admin.v1.LeaseService/WatchLeases",
        "everlease.admin.v1.SubnetService/ListSubnets",
        "everlease.admin.v1.SubnetService/GetSubnet",
        "everlease.admin.v1.ReservationService/ListReservations",
        "everlease.admin.v1.ReservationService/GetReservation",
        "everlease.admin.v1.ConfigService/ValidateConfig",
        "everlease.admin.v1.ConfigService/GetConfig",
        "everlease.admin.v1.ConfigService/ListConfigRevisions",
        "everlease.admin.v1.ConfigService/DiffConfigs",
        "everlease.admin.v1.ClusterService/GetStatus",
        "everlease.admin.v1.ClusterService/WatchStatus",
        "everlease.admin.v1.BackupService/ListMembers",
        "everlease.admin.v1.BackupService/ListAlarms",
        "everlease.admin.v1.ExplainService/Explain",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ),
    Role.OPERATOR: (
        "everlease.admin.v1.LeaseService/AddLease",
        "everlease.admin.v1.LeaseService/ReleaseLease",
        "everlease.admin.v1.LeaseService/ClearDeclined",
        "everlease.admin.v1.SubnetService/SetSubnetState",
        "everlease.admin.v1.ReservationService/CreateReservation",
        "everlease.admin.v1.ReservationService/UpdateReservation",
        "everlease.admin.v1.ReservationService/DeleteReservation",
        "everlease.admin.v1.ReservationService/BatchCreateReservations",
        "everlease.admin.v1.ReservationService/BatchDeleteReservations",
        "everlease.admin.v1.ClusterService/DrainNode",
        "everlease.admin.v1.ClusterService/ResumeNode",
        "everlease.admin.v1.ClusterService/WatchAudit",
    ),
    Role.ADMIN: (
        "everlease.admin.v1.ConfigService/ApplyConfig",
        "everlease.admin.v1.ConfigService/RollbackConfig",
        "everlease.admin.v1.BackupService/SaveBackup",  # it reads everything, in one piece
        "everlease.admin.v1.BackupService/RestoreBackup",
        "everlease.admin.v1.BackupService/EndRecovery",
        "everlease.admin.v1.BackupService/DisarmAlarm",
        "everlease.admin.v1.BackupService/SaveSnapshot",
    ),
}

ROLES: Final = MappingProxyType({f"/{method}": role for role, methods in _BY_ROLE.items() for method in methods})
"""Full name of a method, as it is called -> the least role that may call it."""

READING: Final = ("Get", "List", "Watch", "Validate", "Diff", "Explain", "Save", "Check", "ServerReflection")
"""How the names of methods begin that change nothing; all others leave a record (`admin.audit`)."""


class Unknown(EverleaseError):
    """Nobody knows who calls: no credentials, wrong ones, or ones that have ended; the message says which."""

    reason = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a call shows of who makes it. peer: where it comes from.

    authorization: values of that metadata; names: of the certificate's holder, such as "CN:anna".
    """

    peer: str
    authorization: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. name: as audit records show it, such as "token:ci", "CN:anna" or "local"."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the guard let in. method: with its leading slash; trail: where its audit records go.

    peer: where it came from; the context must not be asked any more once the caller has gone (grpc reads freed memory).
    """

    context: grpc.aio.ServicerContext
    method: str
    caller: Caller
    trail: Trail
    peer: str


LOCAL: Final = "local"
"""Who calls over loopback without credentials, where that is allowed."""

_CALL: ContextVar[Call | None] = ContextVar("everlease_admin_call", default=None)


def role_for(method: str) -> Role:
    """The least role that may call a method."""
    return ROLES.get(method, Role.ADMIN)


def mutates(method: str) -> bool:
    """Whether a method changes something."""
    return not method.rpartition("/")[2].startswith(READING)


def enter(call: Call) -> None:
    """The guard lets a call in: for the rest of the task that serves it."""
    _CALL.set(call)


def call_of(context: grpc.aio.ServicerContext) -> Call:
    """The call of a context. Raises PermissionError for one that no guard let in, tasks begun by it included."""
    call = _CALL.get()
    if call is None or call.context is not context:
        raise PermissionError("no guard has let this call in")
    return call


def caller(context: grpc.aio.ServicerContext) -> Caller:
    """Who calls. Raises PermissionError as `call_of`."""
    return call_of(context).caller


def author_of(context: grpc.aio.ServicerContext, said: str) -> str:
    """Whom history names: an identity that was proved, else what the caller says of itself."""
    name = caller(context).name
    return said or name if name == LOCAL else name
