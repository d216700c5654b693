"""BackupService: the portable copy of a cluster, and etcd's own members, alarms and snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from everlease.client.calls import Ask, Call, Download, Kind, Upload
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import backup_service_pb2 as pb

RESTORING: Final = 3600.0
"""Seconds that a restore may take: a million leases take minutes, with pauses for the clients' sake."""

_SAVE = Call("BackupService/SaveBackup", pb.SaveBackupResponse)
_RESTORE = Call("BackupService/RestoreBackup", pb.RestoreBackupResponse, Kind.CHANGE, RESTORING)
_END = Call("BackupService/EndRecovery", pb.EndRecoveryResponse, Kind.SETS)
_MEMBERS = Call("BackupService/ListMembers", pb.ListMembersResponse)
_ALARMS = Call("BackupService/ListAlarms", pb.ListAlarmsResponse)
_DISARM = Call("BackupService/DisarmAlarm", pb.DisarmAlarmResponse, Kind.SETS)
_SNAPSHOT = Call("BackupService/SaveSnapshot", pb.SaveSnapshotResponse)


class Backups:
    """Methods on copies and on the store's members."""

    @rows
    def save_backup(self) -> Download[pb.SaveBackupResponse]:
        """The pieces (`data`) of one file, in order. Only the whole is a backup; one that breaks off: Unreachable."""
        return Download(_SAVE, pb.SaveBackupRequest())

    @unary
    def restore_backup(
        self, chunks: Iterable[bytes], *, validate_only: bool = False, recovery: str = "unspecified"
    ) -> Upload[pb.RestoreBackupResponse]:
        """Put a saved file back; chunks: its bytes, up to 1 MiB each. No live promise is shortened; again: nothing
        changes. recovery: "on" = it is the copy of a cluster that was lost, "off" = nothing was granted since.
        """
        return Upload(_RESTORE, _pieces(chunks, validate_only, recovery))

    @unary
    def end_recovery(self) -> Ask[pb.EndRecoveryResponse]:
        """Addresses without a record go to anybody again."""
        return Ask(_END, pb.EndRecoveryRequest())

    @unary
    def list_members(self) -> Ask[pb.ListMembersResponse]:
        """etcd's members, as etcd has them."""
        return Ask(_MEMBERS, pb.ListMembersRequest())

    @unary
    def list_alarms(self) -> Ask[pb.ListAlarmsResponse]:
        """Alarms that members have raised."""
        return Ask(_ALARMS, pb.ListAlarmsRequest())

    @unary
    def disarm_alarm(self, member: str) -> Ask[pb.DisarmAlarmResponse]:
        """Take back a NOSPACE alarm. member: its id, hexadecimal."""
        return Ask(_DISARM, pb.DisarmAlarmRequest(member=member))

    @rows
    def save_snapshot(self, endpoint: str = "") -> Download[pb.SaveSnapshotResponse]:
        """The pieces of etcd's own snapshot of one member; "" = one that does not lead."""
        return Download(_SNAPSHOT, pb.SaveSnapshotRequest(endpoint=endpoint))


def _pieces(chunks: Iterable[bytes], validate_only: bool, recovery: str) -> Iterator[pb.RestoreBackupRequest]:
    """The first message says how."""
    yield pb.RestoreBackupRequest(validate_only=validate_only, recovery=f"RECOVERY_{recovery.upper()}")
    for chunk in chunks:
        yield pb.RestoreBackupRequest(data=chunk)
