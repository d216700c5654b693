"""The load: who comes and goes by its plan, what is written down of each, and a real node that it drives."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from msgspec.structs import replace

from everlease.lab.netns import Lab
from everlease.wire import v4
from faults.client import Diary, LoadClient, Plan, Relayed, Report
from faults.client.crew import Crew
from lab.guest import PATIENT
from lab.packet_client import EVERYBODY
from lab.site import Site

SERVER = 0x0A4D0002
POOL = 0x0A4D1000


class Echo:
    """A wire with a server that gives each client its own address, and answers only while `answering`."""

    def __init__(self) -> None:
        self.held: dict[int, bytes] = {}
        self.sockets: list[socket.socket] = []
        self.answering = True
        self.sent: list[tuple[v4.Packet, int]] = []
        self.replies: list[v4.Packet] = []

    def send(self, packet: v4.Packet, to: int = EVERYBODY) -> None:
        self.sent.append((packet, to))
        kind = {v4.DISCOVER: v4.OFFER, v4.REQUEST: v4.ACK}.get(packet.message_type)
        if kind is not None and self.answering:
            options = {53: bytes([kind]), 54: SERVER.to_bytes(4, "big"), 51: (40).to_bytes(4, "big")}
            address = POOL + int.from_bytes(packet.chaddr[3:], "big")
            self.replies.append(v4.Packet(op=2, xid=packet.xid, chaddr=packet.chaddr, yiaddr=address, options=options))

    def receive(self, ready: socket.socket) -> Iterator[v4.Packet]:
        replies, self.replies = self.replies, []
        yield from replies

    def kinds(self) -> Counter[str]:
        return Counter(v4.MESSAGE_NAMES[packet.message_type] for packet, _ in self.sent)


class Run:
    """A crew that lives in steps of 10 ms."""

    def __init__(self, plan: Plan) -> None:
        self.wire = Echo()
        self.diaries: list[Diary] = []
        self.crew = Crew(plan, self.wire, self.diaries.append)
        self.now = 1000.0
        self.crew.start(self.now)

    def live(self, seconds: float) -> Run:
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            self.crew.run_due(self.now)
            while self.wire.replies:
                for reply in list(self.wire.replies):
                    self.wire.replies.remove(reply)
                    self.crew.hear(reply, self.now)
        return self


def test_clients_come_at_the_plans_rate_and_release_after_their_stay() -> None:
    run = Run(Plan(rate=50, stay=2.0, behaviours=(PATIENT,))).live(10)
    assert 480 <= run.wire.kinds()["DISCOVER"] <= 501
    assert 380 <= len(run.diaries) <= 401
    for diary in run.diaries:
        assert diary.tries == {"DISCOVER": 1, "REQUEST": 1}
        assert diary.first_sent <= diary.bound_at
        assert 1.9 < diary.ended - diary.bound_at < 2.1
    releases = [(packet, to) for packet, to in run.wire.sent if packet.message_type == v4.RELEASE]
    assert len(releases) == len(run.diaries)
    assert {to for _, to in releases} == {SERVER}
    run.crew.close()
    assert len(run.diaries) == run.wire.kinds()["DISCOVER"]


def test_some_fall_silent_and_some_decline_as_the_plan_says() -> None:
    run = Run(Plan(rate=50, stay=2.0, releases=0.5, declines=0.2, behaviours=(PATIENT,))).live(20)
    kinds = run.wire.kinds()
    gone = len(run.diaries)
    assert 0.35 * gone < kinds["RELEASE"] < 0.65 * gone
    assert 0.1 * 1000 < kinds["DECLINE"] < 0.3 * 1000
    assert all(diary.tries == {"DISCOVER": 1, "REQUEST": 1} for diary in run.diaries)


def test_residents_renew_with_their_server_rebind_by_broadcast_and_wait_while_nobody_answers() -> None:
    run = Run(Plan(residents=20, arrive=1.0, renew_every=8.0, behaviours=(PATIENT,))).live(10)
    assert run.crew.counts() == {"bound": 20}
    assert set(run.wire.held.values()) == {packet.chaddr for packet, _ in run.wire.sent}
    renewals = [to for packet, to in run.wire.sent if packet.ciaddr]
    assert renewals
    assert set(renewals) == {SERVER}
    run.wire.answering = False
    run.live(14)
    run.wire.answering = True
    run.live(20)
    run.crew.close()
    rows = [row for diary in run.diaries for row in diary.renewals]
    assert {kind for kind, *_ in rows} == {"renew", "rebind"}
    assert any(copies > 1 and answered for _, _, copies, answered in rows)


def test_whoever_loses_power_asks_for_its_address_again() -> None:
    run = Run(Plan(residents=20, arrive=1.0, reboots=2.0)).live(11)
    run.crew.reboot(run.now)
    run.live(3).crew.close()
    reboots = Counter(diary.mac for diary in run.diaries for kind, *_ in diary.renewals if kind == "reboot")
    assert sum(reboots.values()) >= 35
    assert len(reboots) == 20
    assert all(row[3] for diary in run.diaries for row in diary.renewals)


def test_the_same_plan_asks_the_same_things() -> None:
    plan = Plan(rate=20, residents=5, reboots=1.0, declines=0.1, releases=0.5, stay=3.0)
    assert [packet for packet, _ in Run(plan).live(10).wire.sent] == [
        packet for packet, _ in Run(plan).live(10).wire.sent
    ]


def test_everybody_leaves_when_told_to() -> None:
    run = Run(Plan(rate=50, residents=50, arrive=10.0)).live(5)
    run.crew.leave(run.now)
    assert run.live(7).crew.counts() == {}
    assert run.wire.kinds()["RELEASE"] == len(run.diaries)
    assert not run.wire.held


@pytest.mark.root
@pytest.mark.etcd
def test_a_real_node_serves_a_load_on_its_link_and_one_behind_a_relay(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1)
    behind = "  - {id: 90, prefix: 10.90.0.0/16, pools: [{range: 10.90.16.0-10.90.31.255}]}\n"
    site.start(site.simple() + behind)
    across = site.client("across", address="10.77.1.1/16")
    site.hosts[0].ip("route", "add", "10.90.0.0/16", "via", "10.77.1.1")
    relayed = Relayed("10.90.0.1", ("10.77.0.2",), "10.90.0.0/16")
    near = Plan(rate=50, residents=30, arrive=1.0, renew_every=1.5, stay=2.0, behaviours=(PATIENT,))
    plans = [(site.client("near"), near), (across, replace(near, rate=20, number=1, relayed=relayed))]
    loads = [LoadClient(lab, namespace, plan).start() for namespace, plan in plans]
    for load in loads:
        load.wait(lambda counts: counts.get("bound", 0) > 30, 20.0, "clients come")
        load.reboot()
    for load in loads:
        load.rate(0)
        load.wait_bound()
        load.leave()
        load.wait(lambda counts: not counts, 20.0, "everybody gone")
        judge(load.stop())
    for network in ("10.77", "10.90"):
        assert any(str(IPv4Address(int(key.split("/")[-1], 16))).startswith(network) for key in leases(site))


def judge(report: Report) -> None:
    assert Report.needed(report.coming()).keys() <= {1, 2}, Report.needed(report.coming())  # 2: a busy machine
    rows = report.extensions()
    assert {"renew", "reboot"} <= {kind for kind, *_ in rows}
    assert not report.unbound(float("inf"))
    assert not sum(diary.naks for diary in report.diaries)


def leases(site: Site) -> list[str]:
    return site.etcd.etcdctl("get", "--prefix", "/everlease/v/leases/", "--keys-only").split()
