"""Every fault as a scenario: what is done to which of the hosts, for how long, and which bounds it leaves meaningful.

Law: a scenario differs from the rule (all bounds, 5 s) only where its own line says so, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import median
from typing import Any

from faults.inject import clock, configuration, disk, network, process, store
from faults.runner import Outcome, Scenario
from faults.stage import Stage

Inject = Callable[[Stage, int], AbstractContextManager[None]]


STARTS = 20.0
"""Seconds in which a node or member that was started serves, also on a machine that has other things to do."""

ELECTION = 2.1
DEAF_LEADER = 4.0
"""Seconds. A leader that hears nobody goes on saying that it leads until it looks who answered, which it does once in
an election timeout: after 1 to 2 s, and then the followers wait for another 1 to 2 s."""

OF_A_HOST = 1.4
"""Seconds after the election in which the loss of a whole host is felt, a member's fault and a node's at once: half a
second in which every node that lives says so, and the rest of it until all have looked."""

HOST = ELECTION + OF_A_HOST

FALSE_CLOCK: dict[str, Any] = {"false_clock": 1, "caught": 3.5, "back": 3.5}
"""Seconds: the usual ones, and one until libfaketime has read what the clock shall be."""


def on_leader(inject: Inject) -> Callable[[Stage], AbstractContextManager[None]]:
    """The fault hits the member that leads, or its host."""
    return lambda stage: inject(stage, stage.etcd.leader())


def on_follower(inject: Inject) -> Callable[[Stage], AbstractContextManager[None]]:
    """The fault hits a member that does not lead, or its host."""
    return lambda stage: inject(stage, stage.follower())


def on_node(inject: Inject, number: int = 1) -> Callable[[Stage], AbstractContextManager[None]]:
    """The fault hits a node, whichever member leads."""
    return lambda stage: inject(stage, number)


def quick_again(outcome: Outcome) -> list[str]:
    """F10: writes that take 0.3 s are answers, too; the fault is healed when they do not any more."""
    times = [
        each.bound - each.asked
        for each in outcome.exchanges
        if each.bound and outcome.faulted + 15.0 < each.asked < outcome.healed
    ]
    usual = median(times)
    return [f"15 s after the fault an exchange still takes {usual:.2f} s"] if usual > 0.25 else []


SCENARIOS = [
    Scenario("F1", "the leader is killed", on_leader(process.member_killed), short=True),
    Scenario("F1-lan", "the leader is killed, LAN timers", on_leader(process.member_killed), timers="lan"),
    Scenario("F2", "the leader is stopped", on_leader(process.member_stopped)),
    Scenario("F2-lan", "the leader is stopped, LAN timers", on_leader(process.member_stopped), timers="lan"),
    Scenario("F3", "a follower is stopped", on_follower(process.member_stopped)),
    Scenario("F4", "the leader is cut off from members and nodes", on_leader(network.member_cut_off)),
    Scenario("F4-host", "the leader's host has lost the backbone", on_leader(network.host_cut_off), caught=HOST),
    Scenario(
        "F5-deaf",
        "the leader's host hears nothing of the backbone",
        on_leader(network.host_deaf),
        pause=DEAF_LEADER + 0.2,
        caught=DEAF_LEADER + OF_A_HOST,
        back=HOST,
    ),
    Scenario("F5-mute", "the leader's host is not heard on the backbone", on_leader(network.host_mute), caught=HOST),
    # Elections come and go with it: nobody can promise a gap, but all are bound, and nothing is broken.
    Scenario("F5-flapping", "the leader's host flaps, 1 s and 1 s", on_leader(network.host_flapping), rule="bound"),
    Scenario(
        "F5-one", "a node reaches one member only", on_node(lambda s, n: network.node_reaches(s, n, s.follower(n)))
    ),
    Scenario("F5-none", "a node reaches no member", on_node(network.node_reaches)),
    Scenario("F6", "the leader's disk is full", on_leader(disk.full), hold=8.0, settle=STARTS, short=True),
    Scenario("F6-follower", "a follower's disk is full", on_follower(disk.full), settle=STARTS),
    Scenario("F9", "the leader's disk is frozen", on_leader(disk.frozen), short=True),
    Scenario("F9-lan", "the leader's disk is frozen, LAN timers", on_leader(disk.frozen), timers="lan"),
    Scenario(
        "F10", "every fsync of the leader takes 0.3 s", on_leader(disk.slow), hold=20.0, caught=15.0, also=quick_again
    ),
    Scenario("F11", "every fsync of a follower takes 0.3 s", on_follower(disk.slow)),
    Scenario("F12", "the leader's disk turns read-only", on_leader(disk.read_only), hold=8.0, settle=STARTS),
    Scenario(
        "F13", "a member restarts while its database is locked", on_follower(disk.locked), hold=8.0, settle=STARTS
    ),
    Scenario("F14", "a member's data is lost", on_follower(disk.lost), settle=STARTS),
    Scenario("F14-torn", "bits of a member's log flipped", on_follower(disk.torn), settle=STARTS),
    Scenario("F15", "a node reads nothing for 10 s", on_node(process.node_stopped), hold=10.0),
    Scenario("F16", "what a standing node has not seen is compacted", on_node(store.compacted_under_the_watch)),
    Scenario("F17", "a node's connections are half open", on_node(network.half_open), hold=16.0),
    Scenario("F20", "a node is killed", on_node(process.node_killed), settle=STARTS, short=True),
    # Few clients: all three hosts and every reply share this kernel's 1,024 neighbours (ARP), which renewals fill.
    Scenario(
        "F21",
        "a node is stopped for twice a lease",
        on_node(process.node_stopped),
        hold=42.0,
        lifetime="20s",
        rate=10.0,
    ),
    *(
        Scenario(id_, f"a node's clock steps by {step / 3600:+.0f} h", on_node(clock.stepped(step)), **FALSE_CLOCK)
        for id_, step in (("F22-ahead", 7200.0), ("F22-back", -7200.0))
    ),
    # libfaketime leaves the kernel's stamps alone: a drifting node takes its packets for old ones, as no real one does.
    Scenario("F22-drift", "a node's clock gains 10 %", on_node(clock.drifting), hold=30.0, rule="bound", false_clock=1),
    # A third of all copies is lost: who is bound at which try is arithmetic, not service.
    Scenario("F23", "30 % of the packets on the clients' link are lost", network.lossy, rule="bound"),
    Scenario("F25-puts", "others write 10,000 keys/s", lambda s: store.overloaded(s, "puts"), rule="bound", hold=8.0),
    Scenario(
        "F25-reads", "others read all, all the time", lambda s: store.overloaded(s, "reads"), rule="bound", hold=8.0
    ),
    Scenario("F25-defrag", "a follower is defragmented", on_follower(store.defragmented)),
    Scenario("F28-files", "a node cannot open anything any more", on_node(process.no_more_files)),
    Scenario("F28-cpu", "a node has a tenth of a processor", on_node(process.node_starved), rule="bound", hold=8.0),
    Scenario("F29-mute", "a node's answers are lost", on_node(network.clients_side_mute), hold=19.0, rule="takeover"),
    Scenario("F29-deaf", "a node hears no client", on_node(network.clients_side_deaf), hold=19.0, rule="takeover"),
    Scenario("F29-down", "a node's clients' link has no carrier", on_node(network.clients_side_down)),
    Scenario("F29-gone", "a node's interface is deleted and made again", on_node(network.interface_gone)),
    Scenario(
        "F30",
        "one of the two nodes that a relay sends to is killed",
        on_node(process.node_killed),
        relayed_to=(0, 1),
        settle=STARTS,
    ),
    Scenario("F31", "a node sleeps while the configuration changes", on_node(configuration.changed_behind)),
]
