"""One host's wall clock is wrong: nothing is freed, nothing revived, and the node that has it says so (F22, I15)."""

from __future__ import annotations

import pytest

from cluster.audit import Records
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.false_clock import RIGHT, FalseClock
from lab.nodes import Node
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

HOURS = 7200
LIFETIME, GRACE = 3600, 600
ONE_ADDRESS = """schema: 1
valid-lifetime: 1h
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, pools: [{range: 10.77.16.1-10.77.16.2}]}
"""


def false_clock(lab: Lab, node: Node) -> FalseClock:
    """The wall clock of a node that has not started yet."""
    clock = FalseClock(lab.folder / f"clock-of-{node.name}")
    node.environment = clock.environment()
    return clock


def new_client(lab: Lab, site: Site, label: str) -> PacketClient:
    client = PacketClient(site.client(label))
    lab.on_close(client.close)
    return client


def stamped_right(site: Site, client: PacketClient) -> None:
    """Bind a client; what etcd holds begins now and ends with the promise and its grace."""
    ack = client.obtain()
    assert ack.packet is not None
    lease = Records(site.etcd).bound()[ack.packet.yiaddr]
    assert lease.granted_at == pytest.approx(ack.time, abs=2)
    assert lease.expires_at == pytest.approx(ack.time + LIFETIME + GRACE, abs=3)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(f"+{HOURS}", id="ahead"),
        pytest.param(f"-{HOURS}", id="back", marks=pytest.mark.slow),
        pytest.param("+0 x1.1", id="drift", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_clock_of_one_of_three_silences_its_node_alone(lab: Lab, words: str) -> None:
    site = Site(lab)
    clock, wrong = false_clock(lab, site.nodes[2]), site.nodes[2]
    site.start()
    stamped_right(site, new_client(lab, site, "before"))
    clock.set(words)
    wait_until(lambda: not wrong.ready(), 60, "the node doubts its clock")
    assert "the clock of this host differs from the cluster's" in wrong.readiness()
    assert abs(wrong.metric("everlease_clock_offset_seconds")) > 2.4
    assert '"state": "degraded"' in wrong.log.read_text()
    assert "check its time synchronisation" in wrong.log.read_text()
    wait_until(lambda: site.nodes[0].metric("everlease_owned_buckets") < 200, 5, "its buckets are shared")
    for number in range(3):
        stamped_right(site, new_client(lab, site, f"during{number}"))
    assert all(node.ready() for node in site.nodes[:2])
    clock.set(RIGHT)
    wrong.wait_ready(10)


def test_of_two_clocks_that_disagree_the_later_stamps_and_the_earlier_permits_reuse(lab: Lab) -> None:
    site = Site(lab, nodes=2, members=1)
    clock = false_clock(lab, site.nodes[1])
    site.start(ONE_ADDRESS)
    first = new_client(lab, site, "first").obtain()
    assert first.packet is not None
    clock.set(f"+{HOURS}")
    second = new_client(lab, site, "second")
    wait_until(lambda: abs(site.nodes[0].metric("everlease_clock_offset_seconds")) > HOURS - 60, 10, "both know")
    wait_until(lambda: abs(site.nodes[1].metric("everlease_clock_offset_seconds")) < 60, 10, "both know")
    ack = second.obtain()
    assert ack.packet is not None
    assert ack.packet.yiaddr != first.packet.yiaddr
    assert int.from_bytes(ack.packet.options[51], "big") <= LIFETIME
    lease = Records(site.etcd).bound()[ack.packet.yiaddr]
    assert lease.granted_at == pytest.approx(ack.time + HOURS, abs=3)
    thief = new_client(lab, site, "thief")
    wanted = {50: first.packet.yiaddr.to_bytes(4, "big")}
    for _ in range(3):  # by the later clock the first lease has ended, and the pool has no other address
        assert thief.ask_all(thief.message(v4.DISCOVER, wanted), within=1.0) == []
    clock.set(RIGHT)
    wait_until(lambda: abs(site.nodes[1].metric("everlease_clock_offset_seconds")) > 60, 10, "it is right again")
    assert all(node.ready() for node in site.nodes)  # not behind what was granted two hours ahead
    assert second.reboot(ack.packet.yiaddr).kind == "ACK"


@pytest.mark.slow
def test_a_node_that_starts_with_a_wrong_clock_grants_nothing(lab: Lab) -> None:
    site = Site(lab)
    clock, wrong = false_clock(lab, site.nodes[2]), site.nodes[2]
    site.start()
    wrong.stop()
    clock.set(f"+{HOURS}")
    wrong.start()
    wait_until(lambda: "differs from the cluster's" in wrong.readiness(), 20, "the node doubts its clock")
    assert '"state": "serving"' not in wrong.log.read_text().rpartition("node started")[2]
    for number in range(3):
        stamped_right(site, new_client(lab, site, f"client{number}"))
    clock.set(RIGHT)
    wrong.wait_ready(10)
