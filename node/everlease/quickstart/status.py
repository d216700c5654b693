"""What the cluster says of itself: readiness and metrics of every node, as rows for the story and its live table."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from everlease.lab.etcd import EtcdCluster
from everlease.quickstart.stage import Host

_STYLES = {"serving": "green", "extending": "yellow", "stopped": "red", "degraded": "red"}


@dataclass(slots=True)
class NodeStatus:
    """One node now: whether it is ready, its state, the buckets that it owns, what it counted."""

    name: str
    ready: bool = False
    state: str = "no answer"
    buckets: int = 0
    leases: int = 0
    sent: int = 0
    members: dict[str, bool] = field(default_factory=dict)


def ask(host: Host) -> NodeStatus:
    """Ask one node's HTTP port; a node that does not answer is "no answer"."""
    return host.place.call(lambda: _ask(host))


def _ask(host: Host) -> NodeStatus:
    status = NodeStatus(host.name)
    try:
        status.ready = _get(host.metrics, "/readyz")[0] == 200
        _code, text = _get(host.metrics, "/metrics")
    except OSError:
        return status
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            _note(status, sample.name, sample.labels, sample.value)
    return status


def _note(status: NodeStatus, name: str, labels: dict[str, str], value: float) -> None:
    if name == "everlease_node_state" and value:
        status.state = labels["state"]
    elif name == "everlease_owned_buckets":
        status.buckets = int(value)
    elif name == "everlease_view_leases" and labels["state"] == "bound":
        status.leases += int(value)
    elif name == "everlease_packets_sent_total":
        status.sent += int(value)
    elif name == "everlease_store_member_up":
        status.members[labels["member"]] = bool(value)


def _get(address: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def table(nodes: Iterable[NodeStatus], etcd: EtcdCluster, events: list[str]) -> Table:
    """The live table: nodes, members, and the last events below."""
    picture = Table(title="Everlease quickstart", caption="\n".join(events[-6:]), caption_justify="left")
    for column in ("host", "node", "buckets", "leases", "answers sent", "etcd member"):
        picture.add_column(column, justify="right" if column in ("buckets", "leases", "answers sent") else "left")
    for status, member in zip(nodes, etcd.members, strict=True):
        style = _STYLES.get(status.state, "dim")
        alive = "[green]commits[/]" if member.healthy() else "[red]does not commit[/]"
        numbers = (str(status.buckets), str(status.leases), str(status.sent))
        picture.add_row(status.name, f"[{style}]{status.state}[/]", *numbers, f"{member.name}: {alive}")
    return picture
