"""A whole site: hosts with a node and an etcd member each, joined by a backbone, serving clients on one or more links.

backbone 10.99.0.0/24, host i is .i+1 (etcd, presence)          link k 10.(77+k).0.0/16, host i is .0.(i+2)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from everlease.lab.etcd import DEFAULTS, EtcdCluster, EtcdOptions
from everlease.lab.netns import Lab, Namespace, Switch
from everlease.lab.processes import wait_until
from lab.nodes import Node

FIRST_NETWORK = 77
BUCKETS = 256


class Site:
    """`start` brings up etcd and nodes; `client` gives a namespace on a link for one of `lab.clients`."""

    def __init__(
        self,
        lab: Lab,
        nodes: int = 3,
        members: int = 3,
        *,
        links: Sequence[str] | Mapping[str, Sequence[int]] = ("office",),
        options: EtcdOptions = DEFAULTS,
    ) -> None:
        """links: their labels, every host is on each; or label -> numbers of the hosts that are on it."""
        self.lab = lab
        everybody = range(max(nodes, members))
        self.plugs = dict(links) if isinstance(links, Mapping) else dict.fromkeys(links, everybody)
        self.backbone = lab.switch("backbone")
        self.links: dict[str, Switch] = {link: lab.switch(link) for link in links}
        self.hosts: list[Namespace] = []
        self.ports: dict[str, dict[int, str]] = {link: {} for link in links}
        for number in everybody:
            self._host(number)
        places = [(host, f"10.99.0.{number + 1}") for number, host in enumerate(self.hosts[:members])]
        self.etcd = EtcdCluster(lab.folder / "etcd", places=places, options=options)
        self.document = lab.folder / "everlease.yaml"
        self.nodes = [self._node(number) for number in range(nodes)]

    def _host(self, number: int) -> None:
        host = self.lab.namespace(f"host{number}")
        self.backbone.connect(host, "eth0", address=f"10.99.0.{number + 1}/24")
        for place, (link, switch) in enumerate(self.links.items()):
            if number in self.plugs[link]:
                address = f"10.{FIRST_NETWORK + place}.0.{number + 2}/16"
                self.ports[link][number] = switch.connect(host, interface_of(place), address=address)
        self.hosts.append(host)

    def _node(self, number: int) -> Node:
        endpoints = self.etcd.endpoints
        links = [(place, link) for place, link in enumerate(self.links) if number in self.plugs[link]]
        return Node(
            self.lab.folder,
            self.hosts[number],
            f"node{number}",
            endpoints[number % len(endpoints) :] + endpoints[: number % len(endpoints)],
            interfaces=[f"{link}={interface_of(place)}" for place, link in links],
            document=self.document,
        )

    def start(self, document: str | None = None, timeout: float = 60.0) -> Site:
        """Start etcd, then every node on `document` (YAML; default: `self.simple()`), and wait until all serve."""
        self.document.write_text(document if document is not None else self.simple())
        self.lab.on_close(self.stop)
        self.etcd.start(timeout)
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready(timeout)
        self.wait_agreed()
        return self

    def wait_agreed(self, timeout: float = 60.0) -> None:
        """Wait until each client has one owner. Nodes that do not know each other yet all answer, and alike."""
        running = [node for node in self.nodes if node.ready()]
        wait_until(
            lambda: sum(node.metric("everlease_owned_buckets") for node in running) == BUCKETS,
            timeout,
            "the nodes divide the buckets between them",
        )

    def simple(self, lifetime: str = "1h", more: str = "") -> str:
        """A document with a subnet and a pool of 10.N.16.0-10.N.255.250 for each link; `more` are keys of the top."""
        subnets = "".join(
            f"  - id: {number + 1}\n    prefix: 10.{FIRST_NETWORK + number}.0.0/16\n    link: {link}\n"
            f"    pools: [{{range: 10.{FIRST_NETWORK + number}.16.0-10.{FIRST_NETWORK + number}.255.250}}]\n"
            for number, link in enumerate(self.links)
        )
        return f"schema: 1\nvalid-lifetime: {lifetime}\n{more}subnets:\n{subnets}"

    def client(self, label: str, link: str = "", **settings: str) -> Namespace:
        """A fresh namespace whose eth0 is on a link (the first one unless named); settings as for `netns.cable`."""
        namespace = self.lab.namespace(label)
        self.links[link or next(iter(self.links))].connect(namespace, "eth0", **settings)
        return namespace

    def mute(self, number: int, link: str) -> None:
        """Lose what a node transmits on a link: it hears, and nobody hears it."""
        self.links[link].drop(self.ports[link][number], "udp sport 67")

    def unmute(self, number: int, link: str) -> None:
        """It is heard again."""
        self.links[link].deliver(self.ports[link][number])

    def stop(self) -> None:
        """End nodes and members, hard."""
        for node in self.nodes:
            if node.process is not None:
                node.kill()
        self.etcd.stop()


def interface_of(place: int) -> str:
    """The name of a host's interface on link number `place`; eth0 is the backbone."""
    return f"eth{place + 1}"
