"""Echo requests on real networks: by which link they leave, whose answers count, and with which rights."""

from __future__ import annotations

import select
import socket
import sys
import time

import pytest

from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import LabError
from everlease.runtime.icmp import EchoSocket, hardware_of
from lab.packet_client import ipv4

pytestmark = pytest.mark.root

HOST = ipv4("10.0.0.2")

ASK = f"""
import select
from everlease.runtime.icmp import EchoSocket
asked = EchoSocket()
asked.send({HOST}, 0, 0)
select.select([asked], [], [], 5)
print([address for _, address in asked.receive(8)] == [{HOST}])
"""


def index_of(namespace: Namespace, interface: str) -> int:
    return namespace.call(lambda: socket.if_nametoindex(interface))


def answers(asked: EchoSocket, within: float = 0.5) -> list[tuple[int, int]]:
    """All that come in so many seconds."""
    found: list[tuple[int, int]] = []
    end = time.monotonic() + within
    while (left := end - time.monotonic()) > 0:
        if select.select([asked], [], [], left)[0]:
            found += asked.receive(8)
    return found


def test_a_question_leaves_by_the_link_that_it_is_about_and_nobody_answers_for_a_silent_address(lab: Lab) -> None:
    node, here, there = lab.namespace("node"), lab.switch("here"), lab.switch("there")
    for name, switch in (("eth1", here), ("eth2", there)):  # two tenants with the same network
        switch.connect(node, name, address="10.0.0.1/24")
        node.sysctl(f"net.ipv4.conf.{name}.rp_filter", "0")
    tenant = lab.namespace("tenant")
    there.connect(tenant, "eth0", address="10.0.0.2/24")
    asked = node.call(EchoSocket)
    one, two = index_of(node, "eth1"), index_of(node, "eth2")
    assert asked.send(HOST, one, ipv4("10.0.0.1"))
    assert answers(asked) == []
    assert asked.send(HOST, two, ipv4("10.0.0.1"))
    assert asked.send(HOST + 1, two, ipv4("10.0.0.1"))
    assert answers(asked) == [(two, HOST)]
    mac = tenant.ip("-o", "link", "show", "dev", "eth0").partition("link/ether ")[2].split()[0]
    assert node.call(lambda: hardware_of(HOST, two)).hex(":") == mac
    assert node.call(lambda: hardware_of(HOST + 1, two)) == b""
    assert node.call(lambda: hardware_of(HOST, one)) == b""
    assert node.call(lambda: hardware_of(HOST, 9999)) == b""
    asked.close()


def test_the_answer_to_somebody_elses_question_is_not_ours(lab: Lab) -> None:
    node = lab.namespace("node")
    node.ip("address", "add", "10.0.0.2/24", "dev", "lo")
    asked, other = node.call(EchoSocket), node.call(EchoSocket)
    assert other.send(HOST, 0, 0)
    assert answers(asked) == []
    assert [address for _, address in answers(other)] == [HOST]
    asked.close()
    other.close()


def test_without_the_right_to_raw_sockets_the_kernels_own_kind_is_used_where_it_is_allowed(lab: Lab) -> None:
    node = lab.namespace("node")
    node.ip("address", "add", "10.0.0.2/24", "dev", "lo")
    ask = ["setpriv", "--bounding-set", "-net_raw", sys.executable, "-c", ASK]
    node.sysctl("net.ipv4.ping_group_range", "0 0")
    assert node.run(*ask).strip() == "True"
    node.sysctl("net.ipv4.ping_group_range", "1 0")
    with pytest.raises(LabError, match="PermissionError"):
        node.run(*ask)
