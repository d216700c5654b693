"""ClusterService: who serves, and why somebody does not."""

from __future__ import annotations

from datetime import timedelta

from everlease.client.calls import Ask, Call, Download, Follow, Kind
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import cluster_service_pb2 as pb

STATUS = Call("ClusterService/GetStatus", pb.ClusterStatus)
_WATCH = Call("ClusterService/WatchStatus", pb.WatchStatusResponse)
_AUDIT = Call("ClusterService/WatchAudit", pb.WatchAuditResponse)
_DRAIN = Call("ClusterService/DrainNode", pb.DrainNodeResponse, Kind.SETS)
_RESUME = Call("ClusterService/ResumeNode", pb.ResumeNodeResponse, Kind.SETS)


class Cluster:
    """Methods on the cluster."""

    @unary
    def get_status(self) -> Ask[pb.ClusterStatus]:
        """The cluster as the node that answers sees it."""
        return Ask(STATUS, pb.GetStatusRequest())

    @rows
    def watch_status(
        self, *, min_interval: timedelta | None = None, max_interval: timedelta | None = None
    ) -> Follow[pb.ClusterStatus]:
        """The same, and again whenever something has changed; at least min_interval (0.5 s) and at most max_interval
        (10 s) apart. When its node goes, another one tells (`observer` says who).
        """
        request = pb.WatchStatusRequest(min_interval=min_interval, max_interval=max_interval)
        return Follow(_WATCH, request, lambda message: (message.status,), lambda request, message: None)

    @unary
    def drain_node(self, node: str, *, author: str = "", force: bool = False) -> Ask[pb.DrainNodeResponse]:
        """A node serves nobody from now on. force: even if nobody is left to serve."""
        return Ask(_DRAIN, pb.DrainNodeRequest(node=node, author=author, force=force))

    @unary
    def resume_node(self, node: str) -> Ask[pb.ResumeNodeResponse]:
        """It serves again."""
        return Ask(_RESUME, pb.ResumeNodeRequest(node=node))

    @rows
    def watch_audit(self, from_number: int = 0) -> Download[pb.AuditRecord]:
        """Changes made through the API of one node, the one that answers (`only(server)` asks a certain one); 0 = only
        those to come, 1 = all that it still keeps. Raises Unreachable when that node goes: numbers are each node's own.
        """
        return Download(_AUDIT, pb.WatchAuditRequest(from_number=from_number), lambda message: (message.record,))
