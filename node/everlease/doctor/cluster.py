"""A cluster as one of its nodes sees it: who serves, whose clock is off, who lags behind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from everlease.doctor.findings import BAD, OK, WARN, Finding
from everlease.pb.admin.v1.cluster_service_pb2 import ClusterStatus, Node, NodeState

SUBJECT: Final = "cluster"

OFF: Final = 1.0
"""Seconds that two clocks may differ without a word: a node stops at half of the clock-margin, 2.5 s."""


def judge(status: ClusterStatus) -> list[Finding]:
    """All findings, node by node, then those of the cluster."""
    found = [finding for node in status.nodes for finding in _judge_node(node, status.config_revision)]
    return [*found, _judge_configuration(status), _judge_keeping(status), *_judge_links(status.nodes)]


def _judge_node(node: Node, revision: int) -> list[Finding]:
    subject, offset = f"node {node.node}", node.clock_offset.ToNanoseconds() / 1e9
    state = NodeState.Name(node.state).removeprefix("NODE_STATE_").lower()
    found = []
    if node.eligible:
        found.append(Finding(subject, "serves", OK, f"{node.owned_buckets} of 256 buckets"))
    else:
        seen = f"{state}: {node.reason}" if node.reason else state
        found.append(Finding(subject, "serves", WARN, seen, f"`everlease cluster status` and the log of {node.node}"))
    if abs(offset) > OFF:
        found.append(Finding(subject, "clock", WARN, f"{offset:+.1f} s off the cluster's", "run chrony or ntpd there"))
    if node.config_revision != revision and node.eligible:
        seen = f"decides with {node.config_revision}, {revision} is in force"
        found.append(Finding(subject, "configuration", WARN, seen, "it catches up, or its log says why not"))
    return found


def _judge_configuration(status: ClusterStatus) -> Finding:
    if status.config_error:
        return Finding(SUBJECT, "configuration", BAD, status.config_error, "`everlease config apply` one that is valid")
    if not status.config_revision:
        return Finding(SUBJECT, "configuration", BAD, "there is none", "`everlease config apply FILE`")
    return Finding(SUBJECT, "configuration", OK, f"revision {status.config_revision}")


def _judge_keeping(status: ClusterStatus) -> Finding:
    if status.store_trouble:
        return Finding(SUBJECT, "store", WARN, status.store_trouble, "docs/failures.md")
    if not status.keeper:
        advice = "nobody compacts: a node takes this over within 6 s, if it can commit"
        return Finding(SUBJECT, "store", WARN, "has no keeper", advice)
    return Finding(SUBJECT, "store", OK, f"kept by {status.keeper}")


def _judge_links(nodes: Sequence[Node]) -> list[Finding]:
    """A link that only one node serves has nobody to take over."""
    served = Counter(link for node in nodes if node.eligible for link in node.links if link)
    alone = sorted(link for link, count in served.items() if count < 2)
    advice = "a second node on it is what makes it highly available"
    return [Finding(SUBJECT, f"link {link}", WARN, "is served by one node only", advice) for link in alone]
