"""SubnetService: what is configured, and how full it is."""

from __future__ import annotations

from collections.abc import Mapping

from everlease.client.calls import COMPILING, Ask, Call, Kind, Pages
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import subnet_service_pb2 as pb

_LIST = Call("SubnetService/ListSubnets", pb.ListSubnetsResponse)
_GET = Call("SubnetService/GetSubnet", pb.Subnet)
_SET = Call("SubnetService/SetSubnetState", pb.SetSubnetStateResponse, Kind.SETS, COMPILING)


class Subnets:
    """Methods on subnets."""

    @rows
    def list_subnets(
        self,
        *,
        space: str = "",
        state: str = "unspecified",
        shared_network: str = "",
        link: str = "",
        address: str = "",
        labels: Mapping[str, str] | None = None,
        text: str = "",
        page_size: int = 0,
    ) -> Pages[pb.Subnet]:
        """All subnets that match, by id, with their usage. state: "active", "draining", "disabled"; address: the subnet
        that holds it; labels: those that it must have; text: part of its name or description.
        """
        request = pb.ListSubnetsRequest(
            space=space,
            state=f"SUBNET_STATE_{state.upper()}",
            shared_network=shared_network,
            link=link,
            address=address,
            labels=labels or {},
            text=text,
            page_size=page_size,
        )
        return Pages(_LIST, request, "subnets")

    @unary
    def get_subnet(self, number: int) -> Ask[pb.Subnet]:
        """One subnet by its id."""
        return Ask(_GET, pb.GetSubnetRequest(id=number))

    @unary
    def set_subnet_state(
        self,
        number: int,
        state: str,
        *,
        pool: str = "",
        etag: str = "",
        validate_only: bool = False,
        force: bool = False,
        comment: str = "",
        author: str = "",
    ) -> Ask[pb.SetSubnetStateResponse]:
        """A subnet, or one pool of it (its first address), is "active", "draining" (renewals only) or "disabled"
        (silence) from now on: a new revision of the document says so. force: although live leases would go unserved.
        """
        request = pb.SetSubnetStateRequest(
            id=number,
            pool=pool,
            state=f"SUBNET_STATE_{state.upper()}",
            etag=etag,
            validate_only=validate_only,
            force=force,
            comment=comment,
            author=author,
        )
        return Ask(_SET, request)
