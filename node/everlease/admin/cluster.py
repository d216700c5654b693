"""ClusterService: the cluster as this node sees it, and which of its nodes shall serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

import grpc
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo

from everlease.admin.answers import DOMAIN, Refusal, answered, await_view, invalid, not_found, unready
from everlease.admin.audit import Lost, Record, record
from everlease.admin.auth import call_of
from everlease.admin.convert import dotted, duration, node_state, timestamp
from everlease.admin.statuses import Statuses
from everlease.admin.streams import streamed
from everlease.pb.admin.v1 import cluster_service_pb2 as pb
from everlease.pb.admin.v1 import cluster_service_pb2_grpc
from everlease.runtime.lifeline import SERVING
from everlease.runtime.members import Member
from everlease.runtime.rooms import Rooms
from everlease.store.api import Report, Store
from everlease.store.drains import Drains

LONGEST: Final = 200
"""Characters of an author."""


class ClusterService(cluster_service_pb2_grpc.ClusterServiceServicer):
    """Says who serves, and why somebody does not."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._drains = Drains(rooms.store, rooms.keys)
        self._statuses = Statuses(self._status)

    @answered
    async def GetStatus(self, request: pb.GetStatusRequest, context: grpc.aio.ServicerContext) -> pb.ClusterStatus:
        """All nodes and all store members, as of now."""
        return self._status()

    @streamed
    def WatchStatus(
        self, request: pb.WatchStatusRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        """The same whenever it changes."""
        return self._statuses.follow(request, asyncio.get_running_loop().time)

    def _status(self) -> pb.ClusterStatus:
        rooms = self._rooms
        config, store = rooms.configuration.current, rooms.store
        buckets = rooms.membership.buckets()
        others = sorted(rooms.membership.members.values(), key=lambda member: member.name)
        return pb.ClusterStatus(
            observer=rooms.name,
            observe_time=timestamp(rooms.clock.now()),
            config_revision=config.revision if config else 0,
            config_error=rooms.configuration.error,
            view_revision=rooms.view.revision,
            echo_age=duration(rooms.clock.boot() - rooms.lifeline.echo_at),
            leases=len(rooms.view),
            nodes=[self._own(buckets), *(self._other(member, buckets) for member in others)],
            members=[_member(store, name) for name in sorted(store.rank())],
            keeper=rooms.condition.keeper,
            store_trouble=rooms.condition.trouble,
            store_quota_bytes=rooms.condition.quota,
            recover_until_time=timestamp(self._recover_until()),
        )

    def _recover_until(self) -> float:
        until = max(self._rooms.configuration.recover_until, self._rooms.membership.restored)
        return until if until > self._rooms.clock.now() else 0.0

    @answered
    async def DrainNode(self, request: pb.DrainNodeRequest, context: grpc.aio.ServicerContext) -> pb.DrainNodeResponse:
        """By the key that the node obeys; the last one that serves only by force."""
        node = self._known(request.node)
        if len(request.author) > LONGEST:
            raise invalid("author", f"longer than {LONGEST} characters")
        if not request.force and not self._rooms.membership.eligible - {node}:
            raise unready(
                f"nobody but {node} is eligible: without it nobody would answer; --force drains it all the same"
            )
        revision = await self._drains.drain(node, request.author, self._rooms.clock.now())
        record(context, f"nodes/{node}", after="drained", revision=revision)
        return pb.DrainNodeResponse()

    @answered
    async def ResumeNode(
        self, request: pb.ResumeNodeRequest, context: grpc.aio.ServicerContext
    ) -> pb.ResumeNodeResponse:
        """Take the key away."""
        node = self._known(request.node)
        revision = await self._drains.resume(node)
        record(context, f"nodes/{node}", before="drained", revision=revision)
        return pb.ResumeNodeResponse()

    @streamed
    async def WatchAudit(
        self, request: pb.WatchAuditRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchAuditResponse]:
        """Of this node's trail; from when the caller hears that the stream has begun."""
        trail = call_of(context).trail
        start = max(request.from_number, 0) or trail.coming
        await context.send_initial_metadata(())
        try:
            async for entry in trail.follow(start):
                yield pb.WatchAuditResponse(record=_audit_record(self._rooms.name, entry))
        except Lost as lost:
            info = ErrorInfo(reason="COMPACTED", domain=DOMAIN, metadata={"restart_revision": str(lost.oldest)})
            raise Refusal(Code.OUT_OF_RANGE, f"{lost}: start again from there, or from 0", [info]) from lost

    def _known(self, node: str) -> str:
        await_view(self._rooms)
        if node not in self._rooms.membership.members and node != self._rooms.name:
            raise not_found(f"there is no node {node!r}" if node else "which node?")
        return node

    def _own(self, buckets: Mapping[str, int]) -> pb.Node:
        """This node, of which more is known than its presence says."""
        rooms, membership = self._rooms, self._rooms.membership
        config, lifeline, clock = rooms.configuration.current, rooms.lifeline, rooms.clock
        published = rooms.view.nodes.get(rooms.name)
        return pb.Node(
            name=f"nodes/{rooms.name}",
            node=rooms.name,
            state=node_state(lifeline.state),
            reason=lifeline.reason,
            eligible=rooms.name in membership.eligible and lifeline.ready(),
            presence_age=duration(clock.boot() - lifeline.echo_at),
            links=sorted(label for label in membership.links if label),
            relays=published.presence.relays if published else (),
            config_revision=config.revision if config else 0,
            view_revision=rooms.view.revision,
            server_identifiers=[
                dotted(each) for each in sorted({each for own in membership.links.values() for each in own})
            ],
            owned_buckets=buckets.get(rooms.name, 0),
            clock_offset=duration(clock.wall() - clock.now()),
            boot_id=membership.boot_id,
            observer=True,
        )

    def _other(self, member: Member, buckets: Mapping[str, int]) -> pb.Node:
        """Another node, by its presence."""
        membership, clock, presence = self._rooms.membership, self._rooms.clock, member.presence
        age = clock.boot() - member.seen_at
        return pb.Node(
            name=f"nodes/{member.name}",
            node=member.name,
            state=node_state(presence.state),
            reason=self._doubt(member, age),
            eligible=member.name in membership.eligible,
            presence_age=duration(age),
            links=sorted(member.links - {""}),
            relays=presence.relays,
            config_revision=presence.config,
            view_revision=presence.view,
            server_identifiers=[dotted(each) for each in sorted(member.identifiers)],
            owned_buckets=buckets.get(member.name, 0),
            clock_offset=None if member.offset is None else duration(member.offset - clock.later),
            boot_id=presence.boot,
        )

    def _doubt(self, member: Member, age: float) -> str:
        """Why another node is not let answer, as far as can be seen from here."""
        if not self._rooms.membership.is_fresh(member, self._rooms.clock.boot()):
            return f"its presence has not changed for {age:.1f} s"
        if member.presence.state != SERVING:
            return member.presence.reason or f"says of itself that it is {member.presence.state}"
        return ""


def _audit_record(node: str, entry: Record) -> pb.AuditRecord:
    return pb.AuditRecord(
        number=entry.number,
        record_time=timestamp(entry.at),
        node=node,
        caller=entry.who,
        role=entry.role,
        peer=entry.peer,
        method=entry.method,
        resource=entry.resource,
        before=entry.before,
        after=entry.after,
        revision=entry.revision,
    )


def _member(store: Store, name: str) -> pb.StoreMember:
    """A member as it is reached, and what it said of itself last."""
    report = store.report(name) or Report("", 0)
    return pb.StoreMember(
        endpoint=name,
        up=store.is_up(name),
        latency=duration(store.latency(name)),
        size_bytes=report.size,
        alarms=sorted(report.alarms),
        version=report.version,
    )
