"""Faults under a real Prometheus: each of the store fires the alert that its row in docs/failures.md names, and no
other page goes out; when it is over, all is silent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from checkout import ROOT
from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, wait_until
from faults.client import LoadClient, Plan
from faults.inject import disk, network, process, store
from faults.runner import busyness
from faults.stage import Stage
from lab.site import Site
from observe.prometheus import Prometheus

pytestmark = [pytest.mark.root, pytest.mark.etcd]

PAGE = "page"
RATE = 60.0
"""New clients per second; the machine carries Prometheus as well."""

NOTICED = 60.0
"""Seconds until the alert must fire: half an hour on a real site."""

SILENT = 60.0
LATE = "EverleaseAnswersMissedFast"
QUOTA = 24 << 20
RESTORED = 30.0


@dataclass(frozen=True)
class Fault:
    """id: as in the fault lab; fires: what must fire; page: what else may go out as a page, in seconds for minutes."""

    id: str
    inject: Callable[[Stage], AbstractContextManager[None]]
    fires: tuple[str, ...]


DRILLS = {
    "members": [
        Fault("F1", lambda s: process.member_killed(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F2", lambda s: process.member_stopped(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F3", lambda s: process.member_stopped(s, s.follower()), ("StoreMemberDown",)),
        Fault("F4", lambda s: network.member_cut_off(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F24", store.no_quorum, ("QuorumLost", "StoreMemberDown")),
    ],
    "disks": [
        Fault("F6", lambda s: disk.full(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F9", lambda s: disk.frozen(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F10", lambda s: disk.slow(s, s.etcd.leader()), ("CommitsSlow",)),
        Fault("F12", lambda s: disk.read_only(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F13", lambda s: disk.locked(s, s.follower()), ("StoreMemberDown",)),
        Fault("F14", lambda s: disk.lost(s, s.follower()), ("StoreMemberDown",)),
    ],
    "nodes": [
        Fault("F5-one", lambda s: network.node_reaches(s, 1, s.follower(1)), ("StoreMemberUnreachable",)),
        Fault("F5-none", lambda s: network.node_reaches(s, 1), ("NodeNotServing",)),
        Fault("F29-mute", lambda s: network.clients_side_mute(s, 1), ("NodeTakenOver",)),
        Fault("F20", lambda s: process.node_killed(s, 1), ("NodeDown",)),
    ],
}
FAULTS = [fault for faults in DRILLS.values() for fault in faults]


def named(fault: str) -> set[str]:
    """The alerts that the row of a fault names."""
    for line in (ROOT / "docs" / "failures.md").read_text().splitlines():
        cells = line.split(" | ")
        if len(cells) == 6 and fault in cells[5].rstrip("| ").split(", "):
            return set(re.findall(r"runbooks/Everlease(\w+)\.md", cells[3]))
    raise LookupError(fault)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_the_drill_expects_what_the_table_of_failures_says(fault: Fault) -> None:
    assert set(fault.fires) == named(fault.id)


def load(site: Site, rate: float = RATE) -> LoadClient:
    """Clients that come, and some that stay and renew."""
    plan = Plan(rate=rate, stay=20.0, residents=30, arrive=1.0, renew_every=4.0, seed=7, number=9)
    return LoadClient(site.lab, site.client("crowd"), plan).start()


def drill(site: Site, prometheus: Prometheus, fault: Fault) -> list[str]:
    """Live through it; what was wrong."""
    wanted = {f"Everlease{name}" for name in fault.fires}
    wait_until(lambda: not wanted & prometheus.firing(), SILENT, f"silence before {fault.id}", every=0.3)
    began = time.time()
    wrong: list[str] = []
    with fault.inject(site):  # type: ignore[arg-type]
        try:
            for name in sorted(wanted):
                prometheus.wait_firing(name, NOTICED)
            took = time.time() - began
            print(f"{fault.id}: {', '.join(sorted(wanted))} after {took:.1f} s")
        except LabError as late:
            wrong.append(f"{fault.id}: {late}")
        wrong += [f"{fault.id}: {words}" for words in unreadable(prometheus)]
    process.wait_serving(site, RESTORED)  # type: ignore[arg-type]
    prometheus.wait_silent(PAGE, SILENT)
    pages = prometheus.fired(began, PAGE) - wanted - excused()
    print(f"{fault.id}: {missed(prometheus, time.time() - began)}")
    return [*wrong, *(f"{fault.id}: {name} went out as well" for name in sorted(pages))]


def excused() -> set[str]:
    """Pages that are the machine's own fault: an election of 2 s is one of 4 s where others use the processors, too."""
    return {LATE} if busyness() > 1.0 else set()


def missed(prometheus: Prometheus, seconds: float) -> str:
    """What the promise of answers has lost: answers after 2.5 s, and drops by reason."""
    window = f"[{int(seconds) + 1}s]"
    late = prometheus.query(
        f'sum(increase(everlease_lease_duration_seconds_count{{result!="drop"}}{window})) - '
        f'sum(increase(everlease_lease_duration_seconds_bucket{{result!="drop", le="2.5"}}{window}))'
    )
    dropped = prometheus.query(f"sum by (reason) (increase(everlease_packets_dropped_total{window})) > 1")
    told = {each.labels["reason"]: round(each.value) for each in dropped}
    return f"{sum(each.value for each in late):.0f} late answers, drops {told}"


def unreadable(prometheus: Prometheus) -> list[str]:
    """Annotations whose templates did not work."""
    words = [text for alert in prometheus.alerts() for text in alert["annotations"].values()]
    return [text for text in words if "<error" in text or "<no value>" in text or "{{" in text]


@pytest.mark.parametrize("faults", [pytest.param(DRILLS[name], id=name, marks=pytest.mark.slow) for name in DRILLS])
def test_each_fault_fires_its_alert_and_no_other_page_goes_out(lab: Lab, faults: list[Fault]) -> None:
    stage = Stage(lab)
    prometheus = Prometheus(stage)
    stage.start()
    prometheus.start()
    crowd = load(stage)
    crowd.wait_bound()
    prometheus.wait_silent(PAGE, SILENT)
    wrong = [words for fault in faults for words in drill(stage, prometheus, fault)]
    crowd.rate(0)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("quota", [pytest.param(QUOTA, id="F7", marks=pytest.mark.slow)])
def test_a_quota_that_the_keeper_cleared_is_a_ticket_and_no_page(lab: Lab, quota: int) -> None:
    assert named("F7") == {"StoreQuotaReached"}
    stage = Stage(lab, quota=quota)
    prometheus = Prometheus(stage)
    stage.start()
    prometheus.start()
    load(stage).wait_bound()
    began = time.time()
    with store.quota_reached(stage):
        prometheus.wait_firing("EverleaseStoreQuotaReached", NOTICED)
        wait_until(lambda: not store.alarms(stage), 30, "the alarm is cleared")
    prometheus.wait_silent(PAGE, SILENT)
    assert prometheus.fired(began, PAGE) == set()
