"""SubnetService: what is configured, and how full it is."""

from __future__ import annotations

from everlease.client.calls import Ask, Call, Pages
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import subnet_service_pb2 as pb

_LIST = Call("SubnetService/ListSubnets", pb.ListSubnetsResponse)
_GET = Call("SubnetService/GetSubnet", pb.Subnet)


class Subnets:
    """Methods on subnets."""

    @rows
    def list_subnets(self, *, page_size: int = 0) -> Pages[pb.Subnet]:
        """All subnets by id, with their usage."""
        return Pages(_LIST, pb.ListSubnetsRequest(page_size=page_size), "subnets")

    @unary
    def get_subnet(self, number: int) -> Ask[pb.Subnet]:
        """One subnet by its id."""
        return Ask(_GET, pb.GetSubnetRequest(id=number))
