"""A cluster's network as relay mode meets it: pods behind workers, an edge that routes to them, a relay outside.

outside 198.51.100.0/24: edge .1, relay .5, router .254      inside 172.20.0.0/24: edge .1, worker i .11+i, with etcd
pods 10.244.i.2, behind worker i                              floor 10.91.0.0/16: relay .0.1 = giaddr, router .0.254
load balancers 192.0.2.11+i, one for each replica, and 192.0.2.10, shared

Law: pods run what the chart renders, with the rights that it gives them. From inside giaddr cannot be reached: a reply
that does not go back through the NAT that the packet came by is lost.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import Lab, Namespace, Switch, cable
from everlease.lab.processes import LabError
from helm.chart import BASES, Values, arguments, merged, nodes, render
from lab.clients import Dhcrelay
from lab.nodes import Node

REPLICAS = 3
GIADDR = "10.91.0.1"
RELAY, ROUTER = "198.51.100.5", "198.51.100.254"
BALANCERS = [f"192.0.2.{11 + number}" for number in range(REPLICAS)]
SHARED = "192.0.2.10"
PODS = [f"10.244.{number}.2" for number in range(REPLICAS)]
PORT = 6767
DOCUMENT: Values = {
    "schema": 1,
    "valid-lifetime": "1h",
    "subnets": [
        {"id": 91, "prefix": "10.91.0.0/16", "pools": [{"range": "10.91.16.0-10.91.255.250"}]},
    ],
}
CLUSTER: Values = {
    "fullnameOverride": "dhcp",
    "etcd": {"endpoints": [f"http://172.20.0.{11 + number}:2379" for number in range(REPLICAS)]},
    "configuration": {"document": DOCUMENT},
    "relay": {"addresses": BALANCERS},
}
ONE_EACH = merged(BASES["relay"], CLUSTER)
ONE_FOR_ALL = merged(ONE_EACH, {"relay": {"addresses": [SHARED], "shared": {"enabled": True, "replicas": REPLICAS}}})

_RIGHTS = (
    *("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs"),
    *("--bounding-set=-all", "--inh-caps=-all"),
)


class Fabric:
    """The network, with etcd; `deploy` runs what the chart makes of some values."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.outside, self.inside, self.floor = (lab.switch(name) for name in ("outside", "inside", "floor"))
        self.edge = self._host(
            "edge", {"out0": (self.outside, "198.51.100.1/24"), "in0": (self.inside, "172.20.0.1/24")}
        )
        self.router = self._host(
            "router", {"up0": (self.outside, f"{ROUTER}/24"), "down0": (self.floor, "10.91.0.254/16")}
        )
        self.relay = self._host("relay", {"up0": (self.outside, f"{RELAY}/24"), "down0": (self.floor, f"{GIADDR}/16")})
        self.workers = [
            self._host(f"worker{number}", {"eth0": (self.inside, f"172.20.0.{11 + number}/24")})
            for number in range(REPLICAS)
        ]
        self.pods = [self._pod(number) for number in range(REPLICAS)]
        self._routes()
        places = [(worker, f"172.20.0.{11 + number}") for number, worker in enumerate(self.workers)]
        self.etcd = EtcdCluster(lab.folder / "etcd", places=places).start()
        lab.on_close(self.etcd.stop)
        self.nodes: list[Node] = []
        self._deployed: tuple[Values, tuple[str, ...]] | None = None
        self._mounted = Path(tempfile.mkdtemp(prefix="everlease-"))  # where the pods' user may look
        self._mounted.chmod(0o755)
        lab.on_close(lambda: shutil.rmtree(self._mounted))

    def _host(self, label: str, plugs: dict[str, tuple[Switch, str]]) -> Namespace:
        host = self.lab.namespace(label)
        for interface, (switch, address) in plugs.items():
            switch.connect(host, interface, address=address)
        host.sysctl("net.ipv4.ip_forward", "1")
        return host

    def _pod(self, number: int) -> Namespace:
        pod = self.lab.namespace(f"pod{number}")
        cable(pod, "eth0", self.workers[number], "pod0", address=f"{PODS[number]}/24")
        self.workers[number].ip("address", "add", f"10.244.{number}.1/24", "dev", "pod0")
        pod.ip("route", "add", "default", "via", f"10.244.{number}.1")
        return pod

    def _routes(self) -> None:
        for host in (self.relay, self.router):
            host.ip("route", "add", "192.0.2.0/24", "via", "198.51.100.1")
        self.edge.ip("route", "add", "10.91.0.0/16", "via", ROUTER)
        self.edge.ip("route", "add", "unreachable", f"{GIADDR}/32")
        for number, worker in enumerate(self.workers):
            worker.ip("route", "add", "default", "via", "172.20.0.1")
            for host in (self.edge, *self.workers):
                if host is not worker:
                    host.ip("route", "add", f"10.244.{number}.0/24", "via", f"172.20.0.{11 + number}")

    def land(self, offset: int) -> None:
        """Have the packets for replica i's load balancer land on worker i + offset."""
        for number, address in enumerate(BALANCERS):
            where = f"172.20.0.{11 + (number + offset) % REPLICAS}"
            self.edge.ip("route", "replace", f"{address}/32", "via", where)

    def helpers(self, *servers: str) -> Dhcrelay:
        """A real relay that knows these servers."""
        return Dhcrelay(self.lab, self.relay, "down0", "up0", *servers)

    def client(self, label: str) -> Namespace:
        """A namespace on the floor, its eth0 there, with the way that the router's option would give it."""
        namespace = self.lab.namespace(label)
        self.floor.connect(namespace, "eth0", address="10.91.1.1/16")
        namespace.ip("route", "add", "default", "via", "10.91.0.254")
        return namespace

    def deploy(self, values: Values, extra: Sequence[str] = ()) -> list[Node]:
        """Have the StatefulSet of these values run, each pod with its command line; returns when all are ready."""
        wanted = (values, tuple(extra))
        if wanted == self._deployed and all(node.ready() for node in self.nodes):
            return self.nodes
        self._deployed = wanted
        for node in self.nodes:
            node.stop()
        objects = render(values)
        (workload,) = nodes(objects)
        if workload["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"] != {
            "drop": ["ALL"]
        }:
            raise LabError("pods of relay mode have rights that this does not give them")
        (document,) = (each for each in objects if each["kind"] == "ConfigMap")
        file = self._mounted / "everlease.yaml"
        file.write_text(document["data"]["everlease.yaml"])
        self.nodes = [Pod(self, number, [*arguments(workload), *extra], file).start() for number in range(REPLICAS)]
        for node in self.nodes:
            node.wait_ready(40)
        return self.nodes


class Pod(Node):
    """A replica in its namespace: the chart's command line, an unprivileged user, no capability."""

    def __init__(self, fabric: Fabric, number: int, words: list[str], document: Path) -> None:
        self.name = f"dhcp-{number}"
        super().__init__(fabric.lab.folder, fabric.pods[number], self.name, ())
        known = {
            "$(POD_NAME)": self.name,
            "$(POD_IP)": PODS[number],
            "/etc/everlease/configuration/everlease.yaml": str(document),
        }
        for name, value in known.items():
            words = [word.replace(name, value) for word in words]
        self.program = [*_RIGHTS, *self.program]
        self.arguments = words
        self.admin = f"{PODS[number]}:9067"
        self._address = PODS[number]

    def _get(self, path: str) -> tuple[int, bytes]:
        return self.place.call(lambda: page(self._address, path))


def page(address: str, path: str, timeout: float = 2.0) -> tuple[int, bytes]:
    """A page of a pod, asked from a place that reaches it: (status, body); 0 = nobody answers."""
    connection = http.client.HTTPConnection(address, 9167, timeout=timeout)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    return 0, b""


def readiness(values: Values) -> dict[str, int]:
    """The readiness probe of a rendered node, as the kubelet reads it."""
    (workload,) = nodes(render(values))
    found: dict[str, int] = workload["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    return found
