"""Three nodes and three etcd members in namespaces, once for the whole session, as an operator's programs meet them.

Law: a test may break what it likes, and leaves no mess: before each test everybody runs again, and the document that
all began with is in force. Leases, reservations and history stay: a test uses clients and addresses of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from everlease.lab.netns import Lab
from everlease.pb.admin.v1 import config_service_pb2 as pb
from everlease.pb.admin.v1 import config_service_pb2_grpc
from lab.nodes import Node
from lab.site import Site
from lab.window import Window

PATIENCE = 60.0
"""Seconds for a cluster to be whole again on a busy machine."""


class Three:
    """site: the nodes, members and links; servers: "HOST:PORT" of each node's admin API as a test reaches it.

    pages: the same of `/metrics`; document: what every test begins with (subnet 1, link office, pool 10.77.16.0 on).
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.site = Site(lab)
        self.document = self.site.simple()
        self.servers = [self._window(node, node.admin) for node in self.site.nodes]
        self.pages = [self._window(node, f"127.0.0.1:{node.metrics_port}") for node in self.site.nodes]
        self.site.start(self.document, PATIENCE)

    def _window(self, node: Node, inside: str) -> str:
        window = Window(node.place, inside)
        self.lab.on_close(window.close)
        return window.address

    @property
    def server(self) -> str:
        """All three, as `EVERLEASE_SERVER` and `--server` take them."""
        return ",".join(self.servers)

    def channel(self, number: int = 0) -> grpc.Channel:
        """A connection to one node's admin API; the caller closes it."""
        return grpc.insecure_channel(self.servers[number])

    def heal(self) -> None:
        """Everybody runs, everybody serves, and the first document is in force."""
        etcd = self.site.etcd
        for number, member in enumerate(etcd.members):
            if member.process is None or member.process.returncode is not None:
                etcd.start_member(number)
            etcd.resume(number)
        etcd.wait_healthy(PATIENCE)
        for node in self.site.nodes:
            if node.running.returncode is not None:
                node.start()
            node.resume()
        for node in self.site.nodes:
            node.wait_ready(PATIENCE)
        self._restore()
        self.site.wait_agreed(PATIENCE)

    def _restore(self) -> None:
        with self.channel() as channel:
            stub = config_service_pb2_grpc.ConfigServiceStub(channel)
            if stub.GetConfig(pb.GetConfigRequest(), timeout=PATIENCE).document != self.document:
                stub.ApplyConfig(pb.ApplyConfigRequest(document=self.document, force=True), timeout=PATIENCE)


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """The cluster; tests take `three`."""
    with Lab(tmp_path_factory.mktemp("three")) as lab:
        yield Three(lab)


@pytest.fixture
def three(three_nodes: Three) -> Three:
    """The cluster, whole and serving."""
    three_nodes.heal()
    return three_nodes
