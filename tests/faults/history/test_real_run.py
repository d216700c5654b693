"""A real site under a real load, recorded: nothing is violated, and each counter is what was on the wire (I20)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from everlease.lab.netns import Lab
from faults.client import LoadClient, Plan
from faults.history.check import check, holds
from faults.history.events import Beat, Commit, Packet, Scrape, Told
from faults.history.model import History
from faults.history.recorder import Recorder
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def recorded(lab: Lab, file: Path) -> None:
    """Clients come, renew, lose power, decline, and go; two nodes share them."""
    site = Site(lab, nodes=2, members=1)
    recorder = Recorder(site).start()
    site.start(site.simple(lifetime="40s"))
    namespace = site.client("floor")
    recorder.tap(namespace, "office")
    recorder.mark("lossless")
    recorder.scrape()
    plan = Plan(rate=40, residents=40, arrive=1.0, stay=2.0, declines=0.05, reboots=3.0, renew_every=2.0)
    load = LoadClient(lab, namespace, plan).start()
    time.sleep(4.0)
    load.rate(0)
    load.wait_bound()
    recorder.mark("audit")
    load.reboot()
    time.sleep(2.5)
    load.leave()
    load.wait(lambda counts: not counts, 20.0, "everybody gone")
    load.stop()
    time.sleep(0.5)  # the last RELEASE has been counted
    recorder.scrape()
    recorder.finish(file)


def test_a_day_without_a_fault_violates_nothing_and_one_packet_more_or_less_is_noticed(
    lab: Lab, tmp_path: Path
) -> None:
    recorded(lab, tmp_path / "history.jsonl")
    history = History.read(tmp_path / "history.jsonl")
    for kind, least in ((Packet, 500), (Commit, 300), (Told, 200), (Beat, 10), (Scrape, 4)):
        assert len(history.of(kind)) >= least, kind
    holds(history)
    acks = [event for event in history.events if isinstance(event, Packet) and event.kind == "ACK"]
    without = [event for event in history.events if event is not acks[len(acks) // 4]]
    assert {violation.id for violation in check(History(without))} == {"I20"}
    sent = next(event for event in history.events if isinstance(event, Packet) and event.kind == "DECLINE")
    heard = [event for event in history.events if event is not sent]
    assert len(check(History(heard), "I20")) == 2  # each of the two nodes heard it
