"""Three nodes, a real etcd, real DHCP messages: reservations, states and revisions are the whole cluster's at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from admin.three import Three
from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError, wait_until
from everlease.pb.admin.v1 import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    config_service_pb2_grpc,
    reservation_service_pb2_grpc,
    subnet_service_pb2_grpc,
)
from everlease.pb.admin.v1 import config_service_pb2 as configs
from everlease.pb.admin.v1 import reservation_service_pb2 as reservations
from everlease.pb.admin.v1 import subnet_service_pb2 as subnets
from lab.packet_client import PacketClient, ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

PATIENCE = 30.0
DESK, ADDRESS = "02:cf:00:00:00:01", "10.77.9.1"


@pytest.fixture
def channels(three: Three) -> Iterator[list[grpc.Channel]]:
    """A connection to each node."""
    found = [three.channel(number) for number in range(3)]
    yield found
    for channel in found:
        channel.close()


@contextmanager
def talking(three: Three, mac: str) -> Iterator[PacketClient]:
    link: Namespace = three.site.client(f"c{mac[-2:]}")
    client = PacketClient(link, mac=mac)
    try:
        yield client
    finally:
        client.close()


def revisions(channel: grpc.Channel) -> dict[str, int]:
    """Every node's revision, as one node sees them."""
    stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
    status = stub.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=PATIENCE)
    return {node.node: node.config_revision for node in status.nodes}


def everybody_at(revision: int, channels: list[grpc.Channel]) -> Callable[[], bool]:
    return lambda: all(set(revisions(channel).values()) == {revision} for channel in channels)


def told(client: PacketClient) -> tuple[int, bytes | None, int, bytes | None]:
    """Address, domain name, lifetime and DNS server of a lease taken anew."""
    packet = client.obtain(timeout=PATIENCE).packet
    assert packet is not None
    lifetime = int.from_bytes(packet.options[51], "big")
    return packet.yiaddr, packet.options.get(15), lifetime, packet.options.get(6)


def test_a_reservation_is_what_its_client_gets_whichever_node_wrote_it_and_answers(
    three: Three, channels: list[grpc.Channel]
) -> None:
    stubs = [reservation_service_pb2_grpc.ReservationServiceStub(channel) for channel in channels]
    wanted = reservations.Reservation(address=ADDRESS, hw_address=DESK, hostname="desk")
    options = {"domain-name-servers": ["10.77.9.9"], "domain-name": "desk.example"}
    wanted.parameters.update({"valid-lifetime": "2h", "option-data": options})
    made = stubs[0].CreateReservation(reservations.CreateReservationRequest(reservation=wanted), timeout=PATIENCE)
    try:
        with talking(three, DESK) as client:
            _seen(stubs, made.name, made.etag)
            assert told(client) == (ipv4(ADDRESS), b"desk.example", 7200, ipv4("10.77.9.9").to_bytes(4, "big"))
            made.parameters.update({"valid-lifetime": "3h"})
            update = reservations.UpdateReservationRequest(reservation=made, etag=made.etag)
            update.update_mask.paths.append("parameters")
            changed = stubs[1].UpdateReservation(update, timeout=PATIENCE)
            _seen(stubs, made.name, changed.etag)
            wait_until(lambda: told(client)[2] == 10800, PATIENCE, "the new lifetime is told")
        with talking(three, "02:cf:00:00:00:02") as other:
            packet = other.discover({50: ipv4(ADDRESS).to_bytes(4, "big")}, PATIENCE).packet
            assert packet is not None
            assert packet.yiaddr != ipv4(ADDRESS)
    finally:
        stubs[2].DeleteReservation(reservations.DeleteReservationRequest(name=made.name), timeout=PATIENCE)


def _seen(stubs: list[Any], name: str, etag: str) -> None:
    request = reservations.GetReservationRequest(name=name)
    assert {stub.GetReservation(request, timeout=PATIENCE).etag for stub in stubs} == {etag}


def test_a_pool_that_drains_gives_nothing_new_and_keeps_whom_it_has(three: Three, channels: list[grpc.Channel]) -> None:
    stub = subnet_service_pb2_grpc.SubnetServiceStub(channels[1])

    def become(state: subnets.SubnetState) -> None:
        request = subnets.SetSubnetStateRequest(id=1, pool="10.77.16.0", state=state, author="drill")
        revision = stub.SetSubnetState(request, timeout=PATIENCE).config_revision
        wait_until(everybody_at(revision, channels), PATIENCE, "every node has it")

    with talking(three, "02:cf:00:00:00:03") as old, talking(three, "02:cf:00:00:00:04") as new:
        ack = old.obtain(timeout=PATIENCE).packet
        assert ack is not None
        become(subnets.SUBNET_STATE_DRAINING)
        again = old.reboot(ack.yiaddr, PATIENCE)
        assert (again.kind, again.packet.yiaddr if again.packet else 0) == ("ACK", ack.yiaddr)
        with pytest.raises(LabError):
            new.discover(timeout=2.0)
        become(subnets.SUBNET_STATE_ACTIVE)
        assert new.obtain(timeout=PATIENCE).kind == "ACK"


def test_a_node_that_lags_behind_the_configuration_is_shown_and_catches_up(
    three: Three, channels: list[grpc.Channel]
) -> None:
    stub = config_service_pb2_grpc.ConfigServiceStub(channels[0])

    def apply(text: str) -> int:
        request = configs.ApplyConfigRequest(document=text, author="drill")
        revision: int = stub.ApplyConfig(request, timeout=PATIENCE).config.revision
        return revision

    before = apply(f"# one\n{three.document}")
    wait_until(everybody_at(before, channels), PATIENCE, "every node has it")
    three.site.nodes[2].pause()
    try:
        after = apply(f"# two\n{three.document}")
        wanted = {"node0": after, "node1": after, "node2": before}
        wait_until(lambda: revisions(channels[0]) == wanted, PATIENCE, "the node that stands still is shown")
    finally:
        three.site.nodes[2].resume()
    wait_until(everybody_at(after, channels), PATIENCE, "it catches up")
    back = stub.RollbackConfig(configs.RollbackConfigRequest(revision=before), timeout=PATIENCE).config.revision
    assert back == after + 1
    wait_until(everybody_at(back, channels), PATIENCE, "every node went back")
    assert stub.GetConfig(configs.GetConfigRequest(), timeout=PATIENCE).document == f"# one\n{three.document}"
