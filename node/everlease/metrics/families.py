"""Every metric of a node, read from its rooms at scrape time.

The law of this file: names and labels are promises, units are base units, and no address, MAC or host name is a label.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric

from everlease import __version__
from everlease.core.situation import BUCKETS
from everlease.metrics.grace import left
from everlease.metrics.shapes import V4, Labels, alone, by, counter, gauge, histogram
from everlease.metrics.store import reports, store
from everlease.metrics.subnets import subnets
from everlease.metrics.usage import ROW_STATES, Usages
from everlease.runtime.counters import Histogram
from everlease.runtime.lifeline import STATES
from everlease.runtime.rooms import Rooms

_NOWHERE: Final = CollectorRegistry()
_LIBRARY: Final = (ProcessCollector(registry=_NOWHERE), PlatformCollector(registry=_NOWHERE), GCCollector(_NOWHERE))


def collect(rooms: Rooms, usages: Usages) -> Iterator[Metric]:
    """A long family comes as several of one name, one after the other; let the loop turn between two of them."""
    yield from _leases(rooms)
    yield from _packets(rooms)
    yield from _commits(rooms)
    yield from _node(rooms)
    yield from store(rooms)
    yield from _view(rooms)
    yield from _config(rooms)
    yield from subnets(rooms, usages)
    yield from _build(rooms)
    for collector in _LIBRARY:
        yield from collector.collect()


def _leases(rooms: Rooms) -> Iterator[Metric]:
    counters = rooms.counters
    yield from histogram(
        "everlease_lease_duration_seconds",
        "From the kernel's receive timestamp to the reply handed to the kernel, by operation and result.",
        (({**V4, "operation": op, "result": result}, each) for (op, result), each in counters.durations.items()),
    )
    yield from histogram(
        "everlease_lease_phase_seconds",
        "The same in parts: socket queue, decision, waiting for a batch, commit, sending.",
        (({**V4, "phase": phase}, each) for phase, each in counters.phases.items()),
    )


def _packets(rooms: Rooms) -> Iterator[Metric]:
    counters = rooms.counters
    received, sent, dropped = counters.received, counters.sent, counters.dropped
    yield from counter("everlease_packets_received", "DHCP packets received.", by("operation", received))
    yield from counter("everlease_packets_sent", "DHCP replies handed to the kernel.", by("operation", sent))
    yield from counter("everlease_packets_dropped", "Packets that got no reply, by reason.", by("reason", dropped))
    unsent = by("reason", counters.unsent)
    yield from counter("everlease_packets_unsent", "Replies that the kernel refused to send, by reason.", unsent)
    words = "Clients of another node that this node answered after a retransmission."
    taken = [({"link": link, "from": owner}, count) for (link, owner), count in _takeovers(rooms).items()]
    yield from counter("everlease_takeovers", words, taken)
    words = "DHCP servers that are no members, as the last probe on a link saw them; 0 also where nobody looks."
    seen = dict.fromkeys(rooms.membership.places, 0) | counters.rogues
    yield from gauge("everlease_rogue_servers", words, [({"link": link}, count) for link, count in seen.items()])
    pings = by("result", counters.pings)
    yield from counter("everlease_ping_checks", "Addresses probed by ICMP echo before an offer, by result.", pings)
    lost = alone(counters.log_lost)
    yield from counter("everlease_log_lines_lost", "Log lines dropped because nobody read them.", lost)
    lost = alone(counters.ledger_lost)
    yield from counter("everlease_lease_log_lines_lost", "Lines for bindings that could not be written.", lost)


def _takeovers(rooms: Rooms) -> dict[tuple[str, str], int]:
    """Those that happened, and none from each node that is known, on each link that is served."""
    membership = rooms.membership
    links = [*membership.places, *(["relay"] if "" in membership.links else [])]
    known = dict.fromkeys([(link, name) for link in links for name in membership.members], 0)
    return known | rooms.counters.takeovers


def _commits(rooms: Rooms) -> Iterator[Metric]:
    counters = rooms.counters
    yield from histogram(
        "everlease_commit_duration_seconds",
        "Time of one transaction of a batch of changes, by store member and result.",
        (({"member": member, "result": result}, each) for (member, result), each in list(counters.commits.items())),
    )
    sizes: list[tuple[Labels, Histogram]] = [({}, counters.batch_size)]
    yield from histogram("everlease_commit_batch_size", "Changes per transaction.", sizes)
    hedges = [({"member": member}, count) for member, count in counters.hedges.items()]
    yield from counter("everlease_commit_hedges", "Batches sent to a second member, by the slow one.", hedges)
    conflicts = alone(counters.conflicts)
    yield from counter("everlease_commit_conflicts", "Changes that a compare refused.", conflicts)
    waiting = alone(rooms.committer.in_flight)
    yield from gauge("everlease_commit_queue_length", "Changes accepted and not yet settled.", waiting)
    swept = alone(counters.swept)
    yield from counter("everlease_records_swept", "Ended lease records deleted.", swept)


def _node(rooms: Rooms) -> Iterator[Metric]:
    lifeline, membership, clock = rooms.lifeline, rooms.membership, rooms.clock
    states = [({"state": state}, float(state == lifeline.state)) for state in STATES]
    yield from gauge("everlease_node_state", "1 for the state that this node is in.", states)
    now = clock.boot()
    ages = [({"node": name}, now - member.seen_at) for name, member in membership.members.items()]
    ages.append(({"node": rooms.name}, now - lifeline.echo_at))
    words = "Since a node's presence was last seen to change; for this node, since its echo was sent."
    yield from gauge("everlease_presence_age_seconds", words, ages)
    yield from gauge(
        "everlease_owned_buckets",
        f"Client buckets, of {BUCKETS}, that this node answers first among all eligible nodes; all with --answer all.",
        alone(BUCKETS if rooms.responder.answers_all else membership.buckets().get(rooms.name, 0)),
    )
    words = "How long a client that renews keeps its address if nothing is committed from now on."
    yield from gauge("everlease_extension_left_seconds", words, alone(left(rooms, now)))
    offset = alone(clock.wall() - clock.now())
    yield from gauge("everlease_clock_offset_seconds", "This host's wall clock less cluster time.", offset)


def _build(rooms: Rooms) -> Iterator[Metric]:
    etcd = ",".join(sorted({report.version for report in reports(rooms).values()}))
    labels = {"version": __version__, "python": platform.python_version(), "etcd": etcd}
    yield from gauge(
        "everlease_build_info", "What runs here, and the versions of the store's members.", [(labels, 1.0)]
    )


def _view(rooms: Rooms) -> Iterator[Metric]:
    view = rooms.view
    totals = view.usage.totals()
    states = [({**V4, "state": state}, totals[place]) for state, place in ROW_STATES.items()]
    yield from gauge("everlease_view_leases", "Lease records in this node's view, by what they count as.", states)
    lag = alone(rooms.clock.boot() - rooms.lifeline.echo_at)
    yield from gauge("everlease_view_lag_seconds", "Age of the echo: how old the view may be at most.", lag)
    yield from gauge("everlease_view_revision", "etcd's revision that the view has reached.", alone(view.revision))
    words = "Leases known from before the store was put back to an older state, until the last of them has ended."
    yield from gauge("everlease_view_ghosts", words, alone(len(view.ghosts) if view.ghosts else 0))
    words = "Records in etcd that this node could not read; the addresses of leases among them are out of use."
    yield from counter("everlease_view_unreadable_records", words, alone(view.unreadable))
    reloads = alone(max(view.loads - 1, 0))
    yield from counter("everlease_view_reloads", "How often the view was read again as a whole.", reloads)
    words = "Leases that reading again has corrected: the watch had lost an event. Then etcd has a fault: update it."
    yield from counter("everlease_view_repairs", words, alone(view.repairs))


def _config(rooms: Rooms) -> Iterator[Metric]:
    config = rooms.configuration.current
    revision = alone(config.revision if config else 0)
    yield from gauge("everlease_config_revision", "Configuration revision that this node decides with.", revision)
    errors = alone(rooms.counters.config_errors)
    yield from counter("everlease_config_errors", "Configuration revisions that could not be loaded.", errors)
