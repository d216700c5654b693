"""LeaseService: who has which address."""

from __future__ import annotations

from everlease.client.calls import Ask, Call, Pages
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import lease_service_pb2 as pb

_LIST = Call("LeaseService/ListLeases", pb.ListLeasesResponse)
_GET = Call("LeaseService/GetLease", pb.Lease)


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
        page_size: int = 0,
    ) -> Pages[pb.Lease]:
        """All leases that match, in address order, all of one revision. state: "bound", "declined", ..."""
        request = pb.ListLeasesRequest(
            space=space, subnet=subnet, state=f"LEASE_STATE_{state.upper()}", client=client, page_size=page_size
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
