"""Three nodes, a real etcd, real DHCP messages: every lease method, and both streams while nodes and members die."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from admin.three import Three
from everlease.lab.netns import Namespace
from everlease.lab.processes import wait_until
from everlease.pb.admin.v1 import cluster_service_pb2 as cluster
from everlease.pb.admin.v1 import cluster_service_pb2_grpc, lease_service_pb2_grpc
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from lab.packet_client import PacketClient, ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

PATIENCE = 30.0


@pytest.fixture
def leases(three: Three) -> Iterator[list[Any]]:
    """A stub for each node."""
    channels = [three.channel(number) for number in range(3)]
    yield [lease_service_pb2_grpc.LeaseServiceStub(channel) for channel in channels]
    for channel in channels:
        channel.close()


@pytest.fixture
def link(three: Three) -> Namespace:
    """A place on the clients' link."""
    return three.site.client("drill")


@contextmanager
def talking(link: Namespace, mac: str) -> Iterator[PacketClient]:
    client = PacketClient(link, mac=mac)
    try:
        yield client
    finally:
        client.close()


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, ErrorInfo, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info, status = ErrorInfo(), rpc_status.from_call(caught.value)
    for detail in status.details if status else ():
        detail.Unpack(info)
    return caught.value.code(), info, caught.value.details()


def free_address(stub: Any, number: int) -> str:
    """One of the pool that no test has touched."""
    taken = {each.address for each in stub.ListLeases(pb.ListLeasesRequest(page_size=1000)).leases}
    return next(each for each in (f"10.77.{200 + number}.{last}" for last in range(1, 250)) if each not in taken)


def test_a_lease_is_found_taken_back_and_given_to_others_through_any_node(leases: list[Any], link: Namespace) -> None:
    with talking(link, "02:1e:00:00:00:01") as anna, talking(link, "02:1e:00:00:00:02") as bert:
        ack = anna.obtain({12: b"annas-desk"})
        address = f"10.77.{ack.packet.yiaddr >> 8 & 255}.{ack.packet.yiaddr & 255}"
        for stub, filters in zip(
            leases, ({"client": "02:1e:00:00:00:01"}, {"hostname": "NNAS-d"}, {"subnet": 1}), strict=True
        ):
            page = stub.ListLeases(pb.ListLeasesRequest(state=pb.LEASE_STATE_BOUND, page_size=1000, **filters))
            assert address in {each.address for each in page.leases}
        found = leases[1].GetLease(pb.GetLeaseRequest(client="02:1e:00:00:00:01"))
        assert (found.address, found.hostname) == (address, "annas-desk")

        wanted = {50: ipv4(address).to_bytes(4, "big")}
        taken = pb.AddLeaseRequest(address=address, hardware_address="02:1e:00:00:00:02")
        assert refused(lambda: leases[2].AddLease(taken))[0] is grpc.StatusCode.ALREADY_EXISTS
        released = leases[0].ReleaseLease(pb.ReleaseLeaseRequest(address=address, etag=found.etag))
        assert released.warning
        assert refused(lambda: leases[2].AddLease(taken))[0] is grpc.StatusCode.ALREADY_EXISTS
        assert bert.discover(wanted).packet.yiaddr != ack.packet.yiaddr
        stale = pb.ReleaseLeaseRequest(address=address, now=True, etag=found.etag)
        assert refused(lambda: leases[1].ReleaseLease(stale))[0] is grpc.StatusCode.ABORTED
        leases[1].ReleaseLease(pb.ReleaseLeaseRequest(address=address, now=True))
        assert leases[2].AddLease(taken).address == address
        assert bert.obtain().packet.yiaddr == ack.packet.yiaddr  # his by the operator's hand
        assert anna.obtain().packet.yiaddr != ack.packet.yiaddr


def test_what_a_client_declined_is_cleared_by_any_node(leases: list[Any], link: Namespace) -> None:
    with talking(link, "02:1e:00:00:00:03") as client:
        ack = client.obtain()
        client.decline(ack.packet.yiaddr, ack.server)
    declined = pb.ListLeasesRequest(state=pb.LEASE_STATE_DECLINED)
    found = wait_until(lambda: leases[0].ListLeases(declined).leases, PATIENCE, "the address is on probation")
    one = leases[1].ClearDeclined(pb.ClearDeclinedRequest(address=found[0].address, etag=found[0].etag))
    assert list(one.addresses) == [found[0].address]
    assert not leases[2].ListLeases(declined).leases
    assert leases[2].ClearDeclined(pb.ClearDeclinedRequest(subnet=1)).cleared_count == 0


def test_pages_and_watches_of_a_revision_that_etcd_forgot_say_where_to_start(three: Three, leases: list[Any]) -> None:
    first = leases[0].ListLeases(pb.ListLeasesRequest(page_size=1))
    for number in range(3):
        address = free_address(leases[0], 10 + number)
        leases[number].AddLease(pb.AddLeaseRequest(address=address, hardware_address=f"02:1e:00:00:01:{number:02x}"))
    head = json.loads(three.site.etcd.etcdctl("get", "/", "-w", "json"))["header"]["revision"]
    three.site.etcd.etcdctl("compact", str(head))
    again = pb.ListLeasesRequest(page_size=1, page_token=first.next_page_token)
    code, info, _ = refused(lambda: leases[1].ListLeases(again))
    assert (code, info.reason) == (grpc.StatusCode.OUT_OF_RANGE, "COMPACTED")
    old = pb.WatchLeasesRequest(start_revision=2)
    code, info, words = refused(lambda: next(leases[2].WatchLeases(old, timeout=PATIENCE)))
    restart = int(info.metadata["restart_revision"])
    assert (code, info.reason, restart >= head) == (grpc.StatusCode.OUT_OF_RANGE, "COMPACTED", True), words
    call = leases[2].WatchLeases(pb.WatchLeasesRequest(start_revision=restart), timeout=PATIENCE)
    address = free_address(leases[0], 13)
    leases[0].AddLease(pb.AddLeaseRequest(address=address, hardware_address="02:1e:00:00:01:10"))
    assert address in {event.lease.address for message in until_told(call, address) for event in message.events}
    call.cancel()


def until_told(call: Any, address: str) -> Iterator[pb.WatchLeasesResponse]:
    for message in call:
        yield message
        if any(event.lease.address == address for event in message.events):
            return


# --- failover ---------------------------------------------------------------------------------------------------------


class Follower(threading.Thread):
    """A program that follows all leases: when its stream ends it goes to the next node, from where it was."""

    def __init__(self, stubs: list[Any], first: int) -> None:
        super().__init__(daemon=True)
        self._stubs, self._place = stubs, first
        self.events: list[tuple[int, str]] = []
        self.resumed = 0
        self._told = 0
        self._over = threading.Event()
        self._call: Any = None

    def run(self) -> None:
        request = pb.WatchLeasesRequest(snapshot=True)
        while not self._over.is_set():
            with suppress(grpc.RpcError):
                self._call = self._stubs[self._place].WatchLeases(request)
                for message in self._call:
                    self._take(message)
            if self._told:
                request = pb.WatchLeasesRequest(start_revision=self._told + 1)
            self.resumed += 1
            self._place = (self._place + 1) % 3
            self._over.wait(0.2)

    def _take(self, message: pb.WatchLeasesResponse) -> None:
        if not message.snapshot_continues:
            assert message.revision >= self._told
            self._told = message.revision
        self.events += [(event.revision, event.lease.address) for event in message.events]

    def end(self) -> None:
        self._over.set()
        self._call.cancel()
        self.join(10)


def bind(stubs: list[Any], address: str, number: int) -> None:
    """Bind or renew an address through whichever node does it: UNAVAILABLE says nothing, so it is sent again."""
    request = pb.AddLeaseRequest(address=address, hardware_address=f"02:1e:00:01:00:{number:02x}")
    end = time.monotonic() + PATIENCE
    for turn in range(10_000):
        try:
            stubs[(number + turn) % 3].AddLease(request, timeout=2)
            return
        except grpc.RpcError as error:
            codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)
            assert error.code() in codes, error
            assert time.monotonic() < end, error
            time.sleep(0.1)


def versions(three: Three, addresses: set[str]) -> dict[str, tuple[int, int]]:
    """How often each record was written, and when last, as etcd itself says."""
    pairs = json.loads(three.site.etcd.etcdctl("get", "--prefix", "/everlease/v/leases/", "-w", "json"))["kvs"]
    records = {}
    for pair in pairs:
        number = int(base64.b64decode(pair["key"])[-8:], 16)
        address = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        records[address] = pair["version"], pair["mod_revision"]
    return {address: records[address] for address in addresses}


@pytest.mark.slow
def test_followers_miss_nothing_and_hear_nothing_twice_while_nodes_and_members_die(
    three: Three, leases: list[Any]
) -> None:
    followers = [Follower(leases, number) for number in range(3)]
    for follower in followers:
        follower.start()
    addresses = [f"10.77.240.{number}" for number in range(1, 41)]
    leader = three.site.etcd.leader()
    deeds = {
        10: three.site.nodes[0].kill,
        20: lambda: three.site.etcd.kill(leader),
        30: three.site.nodes[0].start,
        50: lambda: three.site.etcd.start_member(leader),
        60: three.site.nodes[1].pause,
        80: three.site.nodes[1].resume,
    }
    for turn in range(3 * len(addresses)):
        deeds.get(turn, int)()
        bind(leases, addresses[turn % len(addresses)], turn % len(addresses))
    written = versions(three, set(addresses))
    last = max(revision for _, revision in written.values())
    for number, follower in enumerate(followers):
        wait_until(lambda f=follower: f.events and f.events[-1][0] >= last, PATIENCE, f"follower {number} is told all")
        follower.end()
    assert sum(follower.resumed for follower in followers) > 3  # each ends once in the end
    for follower in followers:
        ours = [(revision, address) for revision, address in follower.events if address in written]
        assert len(ours) == len(set(ours))
        assert Counter(address for _, address in ours) == {address: count for address, (count, _) in written.items()}
        assert [revision for revision, _ in ours] == sorted(revision for revision, _ in ours)


@pytest.mark.slow
def test_a_watch_of_the_cluster_tells_when_a_node_goes_and_when_it_is_back(three: Three) -> None:
    def wait_for(eligible: set[str]) -> None:
        for message in call:
            if {node.node for node in message.status.nodes if node.eligible} == eligible:
                return

    with three.channel(1) as channel:
        stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
        call = stub.WatchStatus(cluster.WatchStatusRequest(max_interval=Duration(seconds=600)), timeout=60)
        wait_for({"node0", "node1", "node2"})
        three.site.nodes[0].kill()
        wait_for({"node1", "node2"})
        three.site.nodes[0].start()
        wait_for({"node0", "node1", "node2"})
        call.cancel()
