"""Three nodes are replaced one by one under load, and nobody loses an address; versions N and N+1 work side by side."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import wait_until
from faults.client import LoadClient, Plan, Relayed, Report
from faults.history.check import holds
from faults.history.recorder import Recorder
from faults.stage import Stage
from lab.guest import PATIENT
from lab.nodes import Node
from lab.packet_client import PacketClient, ipv4
from lab.site import Site
from upgrade.next_version import KEPT, VERSION

pytestmark = [pytest.mark.root, pytest.mark.etcd]

TESTS = Path(__file__).resolve().parents[1]
NEXT = [sys.executable, "-m", "upgrade.next_version"]
EVERYWHERE = "10.77.255.253"
"""The address of the service as a whole: on `lo` of each host, and routed to one that is ready."""

FLOOR = """  - id: 90
    prefix: 10.90.0.0/16
    pools: [{range: 10.90.16.0-10.90.255.250}]
"""
RENEW_EVERY = 6.0
STAY = RENEW_EVERY + 2.0
"""Seconds; so who comes renews once: as many renewals as new clients, and all of them come to the one node that the
address leads to."""

CHECKED_EVERY = 1.0
"""Seconds between two health checks of the router's."""


def upgrade(node: Node) -> None:
    """Start the next version in its place."""
    node.program, node.environment = NEXT, {"PYTHONPATH": str(TESTS)}
    node.start()


def replace_one_by_one(nodes: list[Node]) -> None:
    """Drain, stop, start the next version, resume; then the next node."""
    for number, node in enumerate(nodes):
        helper = nodes[number - 1]
        helper.cli("cluster", "drain", node.name)
        node.wait_silent()
        node.stop()
        upgrade(node)
        node.wait_alive(30)
        helper.cli("cluster", "resume", node.name)
        node.wait_ready(30)
        time.sleep(RENEW_EVERY / 2)


def versions(node: Node) -> set[str]:
    """Of all nodes, by their own word in the store."""
    return {labels["version"] for name, labels, _ in node.metrics() if name == "everlease_build_info"}


PROMISES = "I1", "I2", "I3", "I4", "I6"
"""What can be judged of answers that do not name the node that gave them."""

Extension = tuple[str, float, int, float]
"""A row of `Diary.renewals`."""

FULL = pytest.param(500.0, id="full", marks=pytest.mark.slow)


@pytest.mark.parametrize("rate", [pytest.param(40.0, id="short"), FULL])
def test_nodes_are_replaced_one_by_one_and_every_renewal_is_answered_by_the_first_broadcast_after_t2(
    lab: Lab, rate: float
) -> None:
    stage = Stage(lab)
    stage.start()
    here, known = stage.client("coming"), stage.client("residents")
    for namespace in (here, known):
        stage.recorder.tap(namespace, "office")
    coming = LoadClient(lab, here, Plan(rate=rate, stay=20.0, behaviours=(PATIENT,), number=1))
    staying = LoadClient(
        lab, known, Plan(residents=100, arrive=2.0, renew_every=RENEW_EVERY, behaviours=(PATIENT,), number=2)
    )
    staying.start().wait_bound()
    coming.start()
    began = time.time()
    replace_one_by_one(stage.nodes)
    ended = time.time()
    coming.rate(0)
    time.sleep(2 * RENEW_EVERY)
    reports = [load.stop() for load in (coming, staying)]
    history = stage.recorder.finish()
    assert {version for node in stage.nodes for version in versions(node)} == {VERSION}
    holds(history)
    judge_coming(reports[0], ended)
    assert len(reports[1].extensions(began, ended)) > 100
    assert [row for row in reports[1].extensions(began) if row[0] == "rebind" and not answered_at_once(row)] == []
    assert [pair for pair in unanswered(reports[1], began, ended) if not answered_at_once(pair[1])] == []
    assert reports[1].unbound(began) == []
    assert all(diary.naks == 0 for report in reports for diary in report.diaries)


def answered_at_once(row: Extension | None) -> bool:
    """Whether the first copy had its answer."""
    return row is not None and row[2] == 1 and row[3] > 0


def unanswered(report: Report, since: float, until: float) -> list[tuple[Extension, Extension | None]]:
    """Renewals begun in [since, until) that got no answer, each with what its client asked next: a broadcast at T2."""
    return [
        (row, following)
        for diary in report.diaries
        for row, following in zip_longest(diary.renewals, diary.renewals[1:])
        if row[0] == "renew" and not row[3] and since <= row[1] < until
    ]


def judge_coming(report: Report, until: float, twice: float = 0.01) -> None:
    """Everybody who came got an address; hardly anybody had to ask twice. twice: the share that may."""
    came = report.coming(until=until)
    assert len(came) > 500
    assert report.unbound(until - 1.0) == []
    again = [diary for diary in came if diary.most > 1]
    assert len(again) <= twice * len(came), Report.needed(came)


@pytest.mark.parametrize("rate", [pytest.param(40.0, id="short", marks=pytest.mark.slow), FULL])
def test_with_an_identifier_of_the_whole_service_no_renewal_is_unanswered(lab: Lab, rate: float) -> None:
    site = Site(lab, nodes=3, members=3)
    across = site.client("across", address="10.77.1.1/16")
    for host, node in zip(site.hosts, site.nodes, strict=True):
        host.ip("address", "add", f"{EVERYWHERE}/32", "dev", "lo")
        host.ip("route", "add", "10.90.0.0/16", "via", "10.77.1.1")
        node.arguments += ["--server-identifier", EVERYWHERE, "--listen", EVERYWHERE]
    recorder = Recorder(site).start()
    site.start(site.simple() + FLOOR)
    servers = tuple(f"10.77.0.{number + 2}" for number in range(3))
    recorder.tap(across, but=" or ".join(f"dst host {each}" for each in servers[1:]))  # a relay sends to each the same
    lead(across, 0)
    load = LoadClient(
        lab,
        across,
        Plan(
            rate=rate, stay=STAY, residents=100, arrive=2.0, renew_every=RENEW_EVERY, behaviours=(PATIENT,),
            relayed=Relayed("10.90.0.1", servers, "10.90.0.0/16"),
        ),
    ).start()  # fmt: skip
    load.wait(lambda counts: counts.get("bound", 0) > 100, 30.0, "residents bound")
    began = time.time()
    with led(across, site.nodes):
        replace_one_by_one(site.nodes)
    ended = time.time()
    load.rate(0)
    time.sleep(RENEW_EVERY)
    load.wait(lambda counts: set(counts) <= {"bound"}, 40.0, "everybody bound")
    report = load.stop()
    holds(recorder.finish(), *PROMISES)
    rows = [row for row in report.extensions(began, ended) if row[0] in ("renew", "rebind")]
    assert len(rows) > 200
    assert [row for row in rows if row[0] == "rebind" or row[2] != 1 or not row[3]] == []
    judge_coming(report, ended, twice=0.03)  # each packet goes to three nodes, and the capture of all takes its share


def lead(across: Namespace, number: int) -> None:
    """The service's address leads to this host from now on."""
    across.ip("route", "replace", f"{EVERYWHERE}/32", "via", f"10.77.0.{number + 2}")


@contextlib.contextmanager
def led(across: Namespace, nodes: list[Node]) -> Iterator[None]:
    """What a router does that asks each second who is ready: the address leads to one that is."""
    over = threading.Event()

    def follow() -> None:
        leads = 0
        while not over.wait(CHECKED_EVERY):
            if not nodes[leads].ready():
                leads = next((number for number, node in enumerate(nodes) if node.ready()), leads)
                lead(across, leads)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_older_node_renews_what_a_newer_one_granted_and_loses_nothing_of_it(lab: Lab) -> None:
    site = Site(lab, nodes=2, members=1)
    newer, older = site.nodes
    newer.program, newer.environment = NEXT, {"PYTHONPATH": str(TESTS)}
    site.start()
    older.stop()
    client = PacketClient(site.client("guest"))
    lab.on_close(client.close)
    wait_until(lambda: newer.metric("everlease_owned_buckets") == 256, 10, "the newer one is alone")
    bound = client.obtain()
    assert bound.packet is not None
    address = bound.packet.yiaddr
    granted = record(site, address)
    assert (granted["node"], granted["more"], "future" in granted) == (newer.name, KEPT, True)
    older.start().wait_ready(30)
    newer.stop()
    wait_until(lambda: older.metric("everlease_owned_buckets") == 256, 10, "the older one is alone")
    client.adopt(address, 16)
    renewed = client.renew(address, ipv4("10.77.0.3"))
    assert renewed.kind == "ACK"
    kept = record(site, address)
    assert (kept["node"], kept["more"], "future" in kept) == (older.name, KEPT, False)


def record(site: Site, address: int) -> dict[str, object]:
    """A lease's record as the store has it."""
    found: dict[str, object] = json.loads(
        site.etcd.etcdctl("get", "--print-value-only", f"/everlease/v/leases/default/4/{address:08x}")
    )
    return found
