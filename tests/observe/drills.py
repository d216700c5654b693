"""Every row of docs/failures.md: by which drill it is shown that its alert fires, or why by none.

The law of this file: it is data, and complete; test_drill.py holds it against the page, and plays it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from checkout import ROOT
from faults.inject import clock, configuration, disk, network, process, store
from faults.stage import Stage

BRIEF, LONG = 2.0, 15.0
"""Seconds for which a fault without an alert lasts: half a minute of a real site, and nearly four."""


@dataclass(frozen=True)
class Fault:
    """id: as in the fault lab; fires: what must fire, nothing = no alert of any severity may.

    elsewhere: what its row names as well, and this lab's Prometheus cannot see: the comment says why. meanwhile: what
    may fire as well because durations are divided, and constants are not. hold: seconds of a fault that fires nothing.
    """

    id: str
    inject: Callable[[Stage], AbstractContextManager[None]]
    fires: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    meanwhile: tuple[str, ...] = ()
    hold: float = LONG


HIT: Final = 1
"""The node, or host, that faults of nodes and hosts hit."""

_HOST: Final = ("NodeDown", "StoreMemberDown")
_FELT: Final = ("AnswersMissedFast", "NobodyAnswers")  # up to 4.5 s, which are more than a minute here
_SILENT: Final = ("NodeNotServing",)  # what is cut off from the backbone is cut off from Prometheus, too

DRILLS: Final = {
    "members": [
        Fault("F1", lambda s: process.member_killed(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F2", lambda s: process.member_stopped(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F3", lambda s: process.member_stopped(s, s.follower()), ("StoreMemberDown",)),
        Fault("F4", lambda s: network.member_cut_off(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F24", store.no_quorum, ("QuorumLost", "StoreMemberDown")),
    ],
    "disks": [
        Fault("F6", lambda s: disk.full(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F6-follower", lambda s: disk.full(s, s.follower()), ("StoreMemberDown",)),
        Fault("F9", lambda s: disk.frozen(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F10", lambda s: disk.slow(s, s.etcd.leader()), ("StoreMemberDown",)),
        Fault("F12", lambda s: disk.read_only(s, s.etcd.leader()), ("StoreMemberDown",)),
    ],
    "data": [
        Fault("F11", lambda s: disk.slow(s, s.follower()), ("StoreMemberDown",)),
        Fault("F13", lambda s: disk.locked(s, s.follower()), ("StoreMemberDown",)),
        Fault("F14", lambda s: disk.lost(s, s.follower()), ("StoreMemberDown",)),
        Fault("F14-torn", lambda s: disk.torn(s, s.follower()), ("StoreMemberDown",)),
    ],
    "others": [
        Fault("F25-defrag", lambda s: store.defragmented(s, s.follower())),
        Fault("F25-puts", lambda s: store.overloaded(s, "puts"), ("CommitsSlow",)),
        Fault("F25-reads", lambda s: store.overloaded(s, "reads"), ("CommitsSlow",)),
    ],
    "nodes": [
        # Dead connections are given up within 13 s, which are more than three minutes here.
        Fault("F17", lambda s: network.half_open(s, HIT), meanwhile=("StoreMemberUnreachable",)),
        Fault("F5-one", lambda s: network.node_reaches(s, HIT, s.follower(HIT)), ("StoreMemberUnreachable",)),
        Fault("F5-none", lambda s: network.node_reaches(s, HIT), ("NodeNotServing",)),
        Fault("F20", lambda s: process.node_killed(s, HIT), ("NodeDown",)),
        Fault("F15", lambda s: process.node_stopped(s, HIT), ("NodeDown",)),
        # Who stands still for two seconds does so for half a minute here, and so its clients are seen to ask others;
        # and when it wakes it drops what these have answered since, which rules take for its own.
        Fault(
            "F16",
            lambda s: store.compacted_under_the_watch(s, HIT),
            meanwhile=("NodeTakenOver", "AnswersMissedFast"),
            hold=BRIEF,
        ),
        Fault(
            "F31",
            lambda s: configuration.changed_behind(s, HIT),
            meanwhile=("NodeTakenOver", "AnswersMissedFast"),
            hold=BRIEF,
        ),
    ],
    "links": [
        Fault("F29-mute", lambda s: network.clients_side_mute(s, HIT), ("NodeTakenOver",)),
        Fault("F29-deaf", lambda s: network.clients_side_deaf(s, HIT), ("NodeTakenOver",)),
        Fault("F29-down", lambda s: network.clients_side_down(s, HIT), ("NodeNotServing",)),
        Fault("F29-gone", lambda s: network.interface_gone(s, HIT), ("NodeNotServing",)),
        Fault("F23", network.lossy, ("NodeTakenOver",)),
    ],
    "hosts": [
        Fault("F4-host", lambda s: network.host_cut_off(s, HIT), _HOST, _SILENT, _FELT),
        Fault("F5-deaf", lambda s: network.host_deaf(s, HIT), _HOST, _SILENT, _FELT),
        Fault("F5-mute", lambda s: network.host_mute(s, HIT), _HOST, _SILENT, _FELT),
    ],
    "clocks": [
        Fault("F22-ahead", lambda s: clock.stepped(7200.0)(s, HIT), ("ClockOffset", "NodeNotServing")),
        Fault("F22-back", lambda s: clock.stepped(-7200.0)(s, HIT), ("ClockOffset", "NodeNotServing")),
        Fault("F22-drift", lambda s: clock.drifting(s, HIT), ("ClockOffset", "NodeNotServing")),
    ],
}
FAULTS: Final = [fault for faults in DRILLS.values() for fault in faults]
FALSE_CLOCKS: Final = "clocks"
"""The stage on which the wall clock of a node can be set."""

ALONE: Final = {"F7": ("StoreQuotaReached",), "F27": ("StoreWentBack",)}
"""Faults that are tests of their own, because nothing is as before afterwards: what fires."""

LIKE: Final = {"F1-lan": "F1", "F2-lan": "F2", "F9-lan": "F9", "F24-long": "F24", "F21": "F15", "F30": "F20"}
"""The same fault under other timers, for longer, or seen from behind a relay: Prometheus cannot tell the difference."""

UNSHOWN: Final = {
    "F5-flapping": "a second and a second are a quarter of a minute each where durations are divided by 15",
    "F28-files": "of the few files that a node in the lab has open the scrape is one: whether 90 % are is chance",
    "F28-cpu": "a tenth of a processor is enough for the rate that this machine carries beside a Prometheus",
    "drill": "any of the others, at random",
    "drill-long": "any of the others, at random",
}
"""Rows whose alert no drill shows, and why."""

UNTOLD: Final = {
    "F8": "etcd 3.4 lets nested transactions through under F7's alarm; it fires what F7 fires",
    "F18": "a node has no password and no token, only certificates",
    "F19": "a certificate that ends is told long before: EverleaseCertificateEnds, by its own rule's test",
    "F26": "one version of etcd is installed",
}
"""Faults that the lab cannot inject and the page has no row for, and why; tests/faults/README.md says where instead."""


def rows() -> Iterator[tuple[set[str], set[str]]]:
    """docs/failures.md: (ids of its scenarios, alerts), row by row."""
    for line in (ROOT / "docs" / "failures.md").read_text().splitlines():
        cells = line.split(" | ")
        if line.startswith("| ") and len(cells) > 5 and not line.startswith("| fault |"):
            yield set(cells[-1].rstrip("| ").split(", ")), set(re.findall(r"runbooks/Everlease(\w+)\.md", cells[3]))
        elif line.startswith("| everything"):
            yield set(line.rstrip("| ").rsplit("|", 1)[1].strip().split(", ")), set()


def named(fault: str) -> set[str]:
    """The alerts that the row of a fault names."""
    return next(alerts for ids, alerts in rows() if fault in ids)
