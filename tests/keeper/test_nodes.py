"""Whole nodes on whole members: what an operator sees of the keeper, and which starts are refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from everlease.lab.etcd import EtcdCluster, free_ports
from everlease.lab.processes import Loopback, run, wait_until
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.versions import warnings
from keeper.stage import flat_put
from lab.nodes import Node, free_listen
from lab.scope import EtcdScope

pytestmark = pytest.mark.etcd
SMALL = 16 << 20
GOOD = "schema: 1\nsubnets: [{id: 1, prefix: 10.77.0.0/16, relays: [127.0.0.1], pools: [{range: 10.77.16.0/24}]}]\n"

MakeNode = Callable[..., Node]


@pytest.fixture
def node_on(tmp_path: Path) -> Iterator[MakeNode]:
    """`node_on(endpoints, name, *flags)`: started, and gone at the end."""
    document = tmp_path / "good.yaml"
    document.write_text(GOOD)
    with ExitStack() as stack:

        def make(endpoints: list[str], name: str = "n1", *flags: str, prefix: str = "/everlease") -> Node:
            where = {"listens": [free_listen()], "prefix": prefix}
            node = Node(tmp_path, Loopback(), name, endpoints, document=document, flags=flags, **where)
            stack.callback(lambda: node.process and node.kill())
            return node.start()

        yield make


class Writer:
    """Puts through one member, as any client of that etcd would."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(endpoint.removeprefix("http://"))
        self._txn = self._channel.unary_unary("/etcdserverpb.KV/Txn")

    def put(self, size: int, key: bytes = b"/filler") -> bool:
        """False: there is no space."""
        try:
            self._txn(flat_put(key, size), timeout=5.0)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
                return False
            raise
        return True


@pytest.mark.alone
def test_f7_is_healed_by_nodes_alone_and_they_say_what_it_was(tmp_path: Path, node_on: MakeNode) -> None:
    cluster = EtcdCluster(tmp_path / "etcd", 3)
    cluster.members[1].flags = (f"--quota-backend-bytes={SMALL}",)
    with cluster:
        nodes = [node_on(cluster.endpoints, name) for name in ("n1", "n2")]
        for node in nodes:
            node.wait_ready()
        wait_until(lambda: sum(node.metric("everlease_keeper") for node in nodes) == 1, 20, "one keeper")
        keeper = next(node for node in nodes if node.metric("everlease_keeper"))
        wait_until(lambda: keeper.metric("everlease_store_quota_bytes") == SMALL, 20, "the quota is measured")
        writer = Writer(cluster.endpoints[0])
        while writer.put(100_000):
            pass
        full = time.monotonic()
        wait_until(lambda: writer.put(8), 15, "writes resume")
        assert time.monotonic() - full < 15
        wait_until(lambda: keeper.metric("everlease_keeper_actions_total", action="disarm", result="done"), 5, "told")
        assert "has used up its quota (NOSPACE)" in keeper.log.read_text()
        assert "etcd's alarms are over" in keeper.log.read_text()
        status = nodes[0].cli("cluster", "status", "--output", "json")
        assert f'"keeper": "{keeper.name}"' in status
        assert f'"quota_bytes": {SMALL}' in status
        assert all(node.ready() for node in nodes)


def test_a_node_takes_snapshots_and_serves_beside(tmp_path: Path, etcd: EtcdScope, node_on: MakeNode) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    flags = ("--snapshots", str(folder), "--snapshot-every", "1s", "--snapshot-keep", "2")
    node = node_on(etcd.endpoints, "n1", *flags, prefix=etcd.prefix)
    node.wait_ready()
    wait_until(
        lambda: node.metric("everlease_keeper_actions_total", action="snapshot", result="done") >= 3, 30, "three"
    )
    wait_until(lambda: len(list(folder.glob("everlease-*.db"))) == 2, 10, "two are kept")
    assert node.metric("everlease_snapshot_time_seconds") > time.time() - 60
    assert node.metric("everlease_snapshot_size_bytes") > 10_000
    assert node.stop() == 0


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--snapshots", "/none"), 1, "--snapshots /none: not a directory"),
        (("--snapshots", "-", "--snapshot-every", "soon"), 2, "--snapshot-every: 'soon' is not a duration"),
        (("--snapshots", "-", "--snapshot-keep", "0"), 2, "--snapshot-keep: 1 or more"),
    ],
)
def test_a_schedule_that_cannot_be_kept_refuses_the_start(
    etcd: EtcdScope, node_on: MakeNode, flags: tuple[str, ...], code: int, words: str
) -> None:
    node = node_on(etcd.endpoints, "n1", *flags, prefix=etcd.prefix)
    assert node.running.wait(20) == code
    assert words in node.log.read_text()


# --- versions ---------------------------------------------------------------------------------------------------------


class Member(grpc.GenericRpcHandler):
    """A member of etcd that tells its version, and nothing else."""

    def __init__(self, version: str) -> None:
        self._answer = pb.StatusResponse(version=version, leader=1).SerializeToString()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if handler_call_details.method != "/etcdserverpb.Maintenance/Status":
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self._answer)


@pytest.fixture
def telling() -> Iterator[Callable[[str], str]]:
    """`telling(version)`: the endpoint of such a member."""
    with ExitStack() as stack:

        def start(version: str) -> str:
            server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(Member(version),))
            (port,) = free_ports(1)
            server.add_insecure_port(f"127.0.0.1:{port}")
            server.start()
            stack.callback(server.stop, None)
            return f"http://127.0.0.1:{port}"

        yield start


@pytest.mark.parametrize("version", ["3.5.0", "3.5.2"])
def test_an_etcd_that_corrupts_data_is_refused_in_one_line(
    telling: Callable[[str], str], node_on: MakeNode, version: str
) -> None:
    bad, fine = telling(version), telling("3.6.14")
    node = node_on([fine, bad])
    assert node.running.wait(20) == 1
    (line,) = [each for each in node.log.read_text().splitlines() if each.startswith("everlease node:")]
    assert f"--etcd {bad}: etcd {version} can corrupt its data" in line
    assert "3.5.33" in line


def test_an_etcd_with_known_faults_is_warned_about_once_and_used(etcd: EtcdScope, node_on: MakeNode) -> None:
    node = node_on(etcd.endpoints, prefix=etcd.prefix)
    node.wait_ready()
    wait_until(lambda: node.metric("everlease_keeper"), 10, "it keeps")
    time.sleep(3)  # looks of the keeper
    version = run(["etcd", "--version"]).split()[2]
    assert node.log.read_text().count("etcd has known faults") == bool(warnings(version))
