"""LeaseService: who has which address."""

from __future__ import annotations

from datetime import datetime, timedelta

from everlease.client.calls import Ask, Call, Follow, Kind, Pages
from everlease.client.cluster import STATUS
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.pb.admin.v1.cluster_service_pb2 import ClusterStatus, GetStatusRequest

_LIST = Call("LeaseService/ListLeases", pb.ListLeasesResponse)
_GET = Call("LeaseService/GetLease", pb.Lease)
_ADD = Call("LeaseService/AddLease", pb.Lease, Kind.CHANGE)
_RELEASE = Call("LeaseService/ReleaseLease", pb.ReleaseLeaseResponse, Kind.CHANGE)
_CLEAR = Call("LeaseService/ClearDeclined", pb.ClearDeclinedResponse, Kind.CHANGE)
_WATCH = Call("LeaseService/WatchLeases", pb.WatchLeasesResponse)


class Leases:
    """Methods on leases."""

    @rows
    def list_leases(
        self,
        *,
        space: str = "",
        subnet: int = 0,
        state: str = "unspecified",
        client: str = "",
        hostname: str = "",
        relay: str = "",
        expire_before: datetime | None = None,
        expire_after: datetime | None = None,
        page_size: int = 0,
    ) -> Pages[pb.Lease]:
        """All leases that match, in address order, all of one revision. state: "bound", "declined", ...; client: its
        hardware address or key; hostname: part of it; expire_before, expire_after: the committed end, grace included.
        """
        request = pb.ListLeasesRequest(
            space=space,
            subnet=subnet,
            state=f"LEASE_STATE_{state.upper()}",
            client=client,
            hostname=hostname,
            relay=relay,
            expire_before=expire_before,
            expire_after=expire_after,
            page_size=page_size,
        )
        return Pages(_LIST, request, "leases")

    @unary
    def get_lease(self, *, address: str = "", client: str = "", space: str = "") -> Ask[pb.Lease]:
        """One lease, by address or by client; of a client's several leases the one that ends last."""
        request = pb.GetLeaseRequest(space=space)
        if client:
            request.client = client
        else:
            request.address = address
        return Ask(_GET, request)

    @unary
    def add_lease(
        self,
        address: str,
        hardware_address: str,
        *,
        client_id: str = "",
        valid_lifetime: timedelta | None = None,
        hostname: str = "",
        space: str = "",
        etag: str = "",
        validate_only: bool = False,
    ) -> Ask[pb.Lease]:
        """Bind an address to a client as if it had asked for it; again: renew it. Raises Conflict if somebody else has
        it. valid_lifetime: without it the subnet's.
        """
        request = pb.AddLeaseRequest(
            space=space,
            address=address,
            hardware_address=hardware_address,
            client_id=client_id,
            valid_lifetime=valid_lifetime,
            hostname=hostname,
            etag=etag,
            validate_only=validate_only,
        )
        return Ask(_ADD, request)

    @unary
    def release_lease(
        self, address: str, *, now: bool = False, space: str = "", etag: str = "", validate_only: bool = False
    ) -> Ask[pb.ReleaseLeaseResponse]:
        """Take a binding back. Others get the address after its committed end, or at once (`now`), although its client
        may still use it.
        """
        request = pb.ReleaseLeaseRequest(space=space, address=address, now=now, etag=etag, validate_only=validate_only)
        return Ask(_RELEASE, request)

    @unary
    def clear_declined(
        self, *, address: str = "", subnet: int = 0, space: str = "", etag: str = "", validate_only: bool = False
    ) -> Ask[pb.ClearDeclinedResponse]:
        """Make a declined address usable again, or all of a subnet, before their probation ends."""
        request = pb.ClearDeclinedRequest(space=space, etag=etag, validate_only=validate_only)
        if address:
            request.address = address
        elif subnet:
            request.subnet = subnet
        return Ask(_CLEAR, request)

    @rows
    def watch_leases(
        self, *, start_revision: int = 0, snapshot: bool = False, subnet: int = 0, client: str = "", space: str = ""
    ) -> Follow[pb.LeaseEvent]:
        """Every change of every lease that matches, each once, in order and without a gap, across servers. Raises
        Compacted for the one gap that cannot be closed. start_revision: 0 = from now on; to go on later, give the last
        event's `revision` (whose events come again). snapshot: all that match first, anew if that breaks off.
        """
        request = pb.WatchLeasesRequest(
            space=space, subnet=subnet, client=client, start_revision=start_revision, snapshot=snapshot
        )
        now = None if start_revision or snapshot else Ask(STATUS, GetStatusRequest())
        return Follow(_WATCH, request, lambda message: message.events, _behind, now)


def _behind(request: pb.WatchLeasesRequest, message: pb.WatchLeasesResponse | ClusterStatus) -> None:
    """Go on after a message, or from what a node has seen; within a snapshot that cannot be."""
    if isinstance(message, ClusterStatus):
        request.start_revision = message.view_revision + 1
    elif not message.snapshot_continues:
        request.snapshot = False
        request.start_revision = message.revision + 1
