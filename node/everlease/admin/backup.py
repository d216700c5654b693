"""BackupService: the portable copy of the cluster, and etcd's members, alarms and snapshots.

The law of this file: what streams out waits for its reader and nobody waits for it; one restore at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Final

import grpc
import grpc.aio

from everlease.admin import audit
from everlease.admin.answers import Refusal, answered, await_view, invalid, not_found, unready
from everlease.admin.convert import timestamp
from everlease.admin.members import Members, snapshot
from everlease.admin.restoring import Outcome, Restore, Wish
from everlease.admin.streams import streamed
from everlease.backup.lines import LONGEST
from everlease.backup.rules import ADDED, EXTENDED, KEPT, SKIPPED
from everlease.backup.saving import Place, save
from everlease.config.aside import compile_aside, retire, run
from everlease.core.model import Config
from everlease.errors import StoreError
from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.pb.admin.v1 import backup_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.runtime.settle import prefixes_of
from everlease.store.configuration import Conflict

HEARD_OUT: Final = 2.0
"""Seconds for what a client still sends of a file that is refused."""

_RECOVERY: Final = {pb.RECOVERY_ON: True, pb.RECOVERY_OFF: False}


class BackupService(backup_service_pb2_grpc.BackupServiceServicer):
    """Saves, restores, and looks at the members."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._restoring = asyncio.Lock()
        self._members = Members(rooms)

    # --- the portable copy --------------------------------------------------------------------------------------------

    @streamed
    async def SaveBackup(
        self, request: pb.SaveBackupRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.SaveBackupResponse]:
        """Piece by piece."""
        await_view(self._rooms)
        rooms = self._rooms
        place = Place(
            rooms.store,
            rooms.keys,
            rooms.configuration.documents,
            lambda: prefixes_of(rooms.configuration.current),
            rooms.view.spans,
            rooms.clock.now,
            rooms.name,
        )
        began, leases = rooms.clock.now(), 0
        async for data in save(place):
            leases += data.count(b'{"kind":"lease"')
            yield pb.SaveBackupResponse(data=data, leases=leases, leases_expected=len(rooms.view))
        rooms.counters.backed_up_at = began

    @answered
    async def RestoreBackup(
        self, request_iterator: AsyncIterator[pb.RestoreBackupRequest], context: grpc.aio.ServicerContext
    ) -> pb.RestoreBackupResponse:
        """The file comes in pieces; its answer at the end."""
        await_view(self._rooms)
        if self._restoring.locked():
            raise unready("another restore is running on this node")
        async with self._restoring:
            try:
                return await self._restore(request_iterator, context)
            except (Refusal, StoreError):
                await _hear_out(request_iterator)
                raise

    async def _restore(
        self, request_iterator: AsyncIterator[pb.RestoreBackupRequest], context: grpc.aio.ServicerContext
    ) -> pb.RestoreBackupResponse:
        first = await anext(aiter(request_iterator), None) or pb.RestoreBackupRequest()
        wish = Wish(first.validate_only, _RECOVERY.get(first.recovery))
        restore = Restore(self._rooms, wish, self._compile)
        before = self._holdings()
        if not wish.validate_only:
            audit.record(context, "backups/-", before, "a restore has begun", self._rooms.view.revision)
        outcome = await restore.run(_pieces(first, request_iterator))
        answer = _answer(outcome)
        if not wish.validate_only:
            audit.record(context, "backups/-", before, _summary(answer), await self._moment())
        return answer

    def _holdings(self) -> str:
        """What a restore finds, in words."""
        current = self._rooms.view.current
        return f"{len(self._rooms.view)} leases, configuration {current.revision if current is not None else 'none'}"

    async def _moment(self) -> int:
        """etcd's revision now; the last one known here if it does not say, for what was done is done."""
        key = self._rooms.keys.config_current
        with suppress(StoreError):
            return (await self._rooms.store.get_range(key, key + b"\0", limit=1)).revision
        return self._rooms.view.revision

    async def _compile(self, text: str) -> Config:
        config = await compile_aside(text)
        await run(retire(config))
        return config

    @answered
    async def EndRecovery(
        self, request: pb.EndRecoveryRequest, context: grpc.aio.ServicerContext
    ) -> pb.EndRecoveryResponse:
        """By the key that every node obeys."""
        documents = self._rooms.configuration.documents
        current, _ = await documents.current()
        if current is None or current.recover_until <= self._rooms.clock.now():
            raise not_found("no recovery is on")
        try:
            await documents.recover(0.0)
        except Conflict as other:
            raise unready("somebody applied a configuration meanwhile: try again") from other
        audit.record(context, "cluster/recovery", f"until {current.recover_until:.0f}", revision=await self._moment())
        return pb.EndRecoveryResponse()

    # --- etcd's members -----------------------------------------------------------------------------------------------

    @answered
    async def ListMembers(
        self, request: pb.ListMembersRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListMembersResponse:
        """As etcd has them."""
        return pb.ListMembersResponse(members=await self._members.everybody())

    @answered
    async def ListAlarms(
        self, request: pb.ListAlarmsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListAlarmsResponse:
        """Of all members."""
        return pb.ListAlarmsResponse(alarms=await self._members.alarms())

    @answered
    async def DisarmAlarm(
        self, request: pb.DisarmAlarmRequest, context: grpc.aio.ServicerContext
    ) -> pb.DisarmAlarmResponse:
        """NOSPACE only."""
        await self._members.disarm(request.member)
        audit.record(context, f"members/{request.member}/alarms/NOSPACE", "raised", revision=await self._moment())
        return pb.DisarmAlarmResponse()

    @streamed
    async def SaveSnapshot(
        self, request: pb.SaveSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.SaveSnapshotResponse]:
        """Of one member."""
        begun = self._rooms.clock.now()
        async for data, size in snapshot(self._members, request.endpoint):
            yield pb.SaveSnapshotResponse(data=data, total_bytes=size)
        self._rooms.counters.backed_up_at = begun


async def _pieces(first: pb.RestoreBackupRequest, rest: AsyncIterator[pb.RestoreBackupRequest]) -> AsyncIterator[bytes]:
    """The data of all messages, with a turn of the loop between them."""
    yield first.data
    async for each in rest:
        if len(each.data) > LONGEST:
            raise invalid("data", f"a piece of {len(each.data):,} bytes; at most {LONGEST:,} are taken at a time")
        yield each.data
        await asyncio.sleep(0)


async def _hear_out(rest: AsyncIterator[pb.RestoreBackupRequest]) -> None:
    """grpc's asyncio client takes a refusal that comes while it sends for an error of its own, without our words."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARD_OUT):
            async for _ in rest:
                pass


def _answer(outcome: Outcome) -> pb.RestoreBackupResponse:
    tally = outcome.tally
    return pb.RestoreBackupResponse(
        save_time=timestamp(datetime.fromisoformat(outcome.saved_at).timestamp()),
        leases_added=tally.leases[ADDED],
        leases_extended=tally.leases[EXTENDED],
        leases_kept=tally.leases[KEPT],
        leases_skipped=tally.leases[SKIPPED],
        reservations_added=tally.reservations_added,
        reservations_kept=tally.reservations_kept,
        config_revision=outcome.config_revision,
        drains_added=tally.drains_added,
        unreadable=tally.unreadable,
        conflict_count=tally.conflict_count,
        conflicts=[
            pb.Conflict(kind=pb.ConflictKind.Name(each.kind), resource=each.resource, description=each.description)
            for each in tally.conflicts
        ],
        recover_until_time=timestamp(outcome.until),
    )


def _summary(answer: pb.RestoreBackupResponse) -> pb.RestoreBackupResponse:
    """Without the conflicts one by one."""
    summary = pb.RestoreBackupResponse()
    summary.CopyFrom(answer)
    summary.ClearField("conflicts")
    return summary
