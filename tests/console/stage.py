"""Three nodes and three members with clients that have leases, for the page to show.

Law: node0 answers its metrics' port on loopback, as by default; node1 on every address, as operators do for Prometheus;
node2's admin API wants a token.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

from admin.papers import token_row
from cluster.crowd import Crowd
from console.browser import Browser
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from lab.nodes import Node
from lab.packet_client import PacketClient
from lab.site import Site

CLIENTS = 40
TOKEN = "viewer-" + "x" * 32
HOSTILE = "<b>bold</b> & 'quoted'"
"""A subnet's name that would be markup, were it ever taken for it."""


class Stage:
    """`start` it; `crowd` has leases on the office's link."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.site = Site(lab, nodes=3, members=3)
        opened = self.site.nodes[1].arguments
        opened[opened.index("--metrics") + 1] = "0.0.0.0:9167"
        roles = lab.folder / "roles.yaml"
        roles.write_text(f"loopback: none\ntokens:\n{token_row('eve', 'viewer', TOKEN)}")
        self.site.nodes[2].arguments += ["--admin-roles", str(roles)]

    def document(self) -> str:
        """The office, and a second subnet that nobody uses."""
        more = f'  - {{id: 2, name: "{HOSTILE}", prefix: 10.88.0.0/22, pools: [{{range: 10.88.0.10-10.88.2.200}}]}}\n'
        return self.site.simple().replace("  - id: 1\n", "  - id: 1\n    name: office\n") + more

    def start(self) -> Stage:
        """Nodes that serve, and clients that they serve."""
        self.site.start(self.document())
        self.talker = PacketClient(self.site.client("clients"))
        self.lab.on_close(self.talker.close)
        self.crowd = Crowd(self.talker, CLIENTS)
        self.crowd.boot(within=1.0)
        self.crowd.run(self.crowd.all_bound, 30)
        return self

    def browser(self, number: int) -> Browser:
        """A browser on a node's host."""
        return Browser(self.site.hosts[number], self.lab.folder)

    @property
    def node(self) -> Node:
        """The one whose page is looked at."""
        return self.site.nodes[0]

    def told(self, *command: str) -> Any:
        """What the admin API of that node says, by the command line."""
        return json.loads(self.node.cli(*command, "--output", "json"))

    def ask(self, host: int, address: str, path: str) -> tuple[int, str]:
        """(status, body) of a node's HTTP port, asked from a host."""

        def get() -> tuple[int, str]:
            connection = http.client.HTTPConnection(address, 9167, timeout=10)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        return self.site.hosts[host].call(get)

    def settled(self) -> None:
        """Until every node's view has every lease."""
        for node in self.site.nodes:
            wait_until(lambda node=node: node.metric("everlease_view_leases", state="leased") >= CLIENTS, 20, "views")  # type: ignore[misc]
