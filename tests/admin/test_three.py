"""The shared cluster: what a test finds, whatever the one before it did."""

from __future__ import annotations

import grpc
import pytest

from admin.three import Three
from everlease.pb.admin.v1 import cluster_service_pb2 as pb
from everlease.pb.admin.v1 import cluster_service_pb2_grpc

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def eligible(channel: grpc.Channel) -> set[str]:
    status = cluster_service_pb2_grpc.ClusterServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=10)
    return {node.node for node in status.nodes if node.eligible}


def test_every_node_is_reached_and_tells_of_all_three_also_after_one_was_killed(three: Three) -> None:
    for number in range(3):
        with three.channel(number) as channel:
            assert eligible(channel) == {"node0", "node1", "node2"}
    three.site.nodes[1].kill()
    with three.channel(1) as channel, pytest.raises(grpc.RpcError):
        eligible(channel)
    three.heal()
    with three.channel(1) as channel:
        assert eligible(channel) == {"node0", "node1", "node2"}
