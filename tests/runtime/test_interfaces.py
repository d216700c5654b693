"""What the kernel says about interfaces, and how soon it says that they changed."""

from __future__ import annotations

import select
import time

import pytest

from everlease.lab.netns import Lab, Namespace, cable
from everlease.runtime.interfaces import LinkMonitor, describe
from runtime.network import DIRECTED, SERVER

pytestmark = pytest.mark.root


def pair(lab: Lab) -> tuple[Namespace, Namespace]:
    server, other = lab.namespace("server"), lab.namespace("other")
    cable(server, "eth0", other, "p1", address="10.77.0.2/24", mac="02:00:00:00:00:02", mtu="1400")
    return server, other


def watch(lab: Lab, server: Namespace, *names: str) -> LinkMonitor:
    monitor = server.call(lambda: LinkMonitor(names))
    lab.on_close(monitor.close)
    return monitor


def changes(monitor: LinkMonitor) -> set[str]:
    """What is told; the kernel may take a second to tell of carrier."""
    select.select([monitor], [], [], 3)
    time.sleep(0.1)
    return monitor.changes()


def test_an_interface_is_described_with_its_addresses_in_order(lab: Lab) -> None:
    server, _ = pair(lab)
    server.ip("address", "add", "10.77.0.3/24", "dev", "eth0")
    server.ip("address", "add", "192.0.2.1/32", "dev", "eth0")
    info = server.call(lambda: describe("eth0"))
    assert (info.mac.hex(":"), info.mtu, info.carrier) == ("02:00:00:00:00:02", 1400, True)
    assert info.addresses == ((SERVER, 24), (0xC0000201, 32), (SERVER + 1, 24))  # secondary addresses last
    assert info.broadcasts == {DIRECTED}


def test_a_point_to_point_prefix_has_no_broadcast(lab: Lab) -> None:
    server, other = lab.namespace("server"), lab.namespace("other")
    cable(server, "eth0", other, "p1")
    server.ip("address", "add", "192.0.2.0/31", "dev", "eth0")
    assert server.call(lambda: describe("eth0")).broadcasts == frozenset()


def test_the_loss_and_the_return_of_carrier_are_told(lab: Lab) -> None:
    server, other = pair(lab)
    monitor = watch(lab, server, "eth0")
    other.ip("link", "set", "p1", "down")
    assert changes(monitor) == {"eth0"}
    assert not server.call(lambda: describe("eth0")).carrier
    other.ip("link", "set", "p1", "up")
    assert changes(monitor) == {"eth0"}
    assert server.call(lambda: describe("eth0")).carrier


def test_new_and_lost_addresses_are_told(lab: Lab) -> None:
    server, _ = pair(lab)
    monitor = watch(lab, server, "eth0")
    server.ip("address", "add", "10.78.0.2/24", "dev", "eth0")
    assert changes(monitor) == {"eth0"}
    server.ip("address", "delete", "10.78.0.2/24", "dev", "eth0")
    assert changes(monitor) == {"eth0"}


def test_deletion_and_return_are_told_although_the_index_is_another(lab: Lab) -> None:
    server, other = pair(lab)
    monitor = watch(lab, server, "eth0")
    before = server.call(lambda: describe("eth0")).index
    server.ip("link", "delete", "eth0")
    assert changes(monitor) == {"eth0"}
    cable(server, "eth0", other, "p1", address="10.77.0.2/24")
    assert changes(monitor) == {"eth0"}
    assert server.call(lambda: describe("eth0")).index != before
    server.ip("address", "add", "10.79.0.2/24", "dev", "eth0")
    assert changes(monitor) == {"eth0"}


def test_interfaces_that_nobody_watches_are_not_told(lab: Lab) -> None:
    server, other = pair(lab)
    monitor = watch(lab, server, "eth7")
    cable(server, "eth1", other, "p2", address="10.79.0.2/24")
    time.sleep(0.1)
    assert monitor.changes() == set()


def test_a_name_taken_from_the_interface_is_told(lab: Lab) -> None:
    server, _ = pair(lab)
    monitor = watch(lab, server, "eth0")
    server.ip("link", "set", "eth0", "down")
    assert changes(monitor) == {"eth0"}
    server.ip("link", "set", "eth0", "name", "lan0")
    assert changes(monitor) == {"eth0"}
