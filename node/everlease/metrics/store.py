"""What is told of the store: its members, who keeps it, how old its newest copy is, and when certificates end."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from everlease.metrics.shapes import alone, counter, gauge
from everlease.runtime.rooms import Rooms
from everlease.store.api import ALARMS, DEFAULT_QUOTA, Report


def store(rooms: Rooms) -> Iterator[Metric]:
    """Everything of it."""
    yield from _members(rooms)
    yield from _space(rooms)
    yield from _keeper(rooms)
    yield from _copies(rooms)


def reports(rooms: Rooms) -> dict[str, Report]:
    """What the members said of themselves when they were probed last: nobody is asked now."""
    told = {member: rooms.store.report(member) for member in sorted(rooms.store.rank())}
    return {member: report for member, report in told.items() if report is not None}


def _members(rooms: Rooms) -> Iterator[Metric]:
    members = sorted(rooms.store.rank())
    up = [({"member": member}, float(rooms.store.is_up(member))) for member in members]
    yield from gauge("everlease_store_member_up", "Whether a store member answers.", up)
    words = "Running mean of a member's answers to this node."
    latencies = [({"member": member}, rooms.store.latency(member)) for member in members]
    yield from gauge("everlease_store_member_latency_seconds", words, latencies)
    alarms = [
        ({"member": member, "alarm": alarm}, float(alarm in report.alarms))
        for member, report in reports(rooms).items()
        for alarm in ALARMS
    ]
    yield from gauge("everlease_store_alarm", "1 while a member has raised an alarm.", alarms)


def _space(rooms: Rooms) -> Iterator[Metric]:
    sizes = [({"member": member}, float(report.size)) for member, report in reports(rooms).items()]
    yield from gauge("everlease_store_size_bytes", "A member's database, as it says.", sizes)
    config, condition = rooms.configuration.current, rooms.condition
    quota = condition.quota or (config.cluster.store_quota if config else None) or DEFAULT_QUOTA
    yield from gauge("everlease_store_quota_bytes", "What the smallest member's database may grow to.", alone(quota))
    words = "Share of its quota that the fullest member's database takes, as the keeper last saw it."
    yield from gauge("everlease_store_fullness_ratio", words, alone(condition.fullness))


def _keeper(rooms: Rooms) -> Iterator[Metric]:
    condition = rooms.condition
    yield from gauge("everlease_keeper", "1 on the node that keeps the store.", alone(float(condition.mine)))
    acts = [({"action": action, "result": result}, count) for (action, result), count in rooms.counters.upkeep.items()]
    yield from counter("everlease_keeper_actions", "What this node did as the store's keeper, by result.", acts)


def _copies(rooms: Rooms) -> Iterator[Metric]:
    taken = rooms.condition.snapshot
    words = "When the last snapshot was begun that was finished, seconds UTC; 0 where this node takes none."
    yield from gauge("everlease_snapshot_time_seconds", words, alone(taken.at))
    yield from gauge("everlease_snapshot_size_bytes", "Size of that snapshot.", alone(taken.bytes))
    words = "When the newest snapshot or backup that this node knows of was begun, seconds UTC; 0 = it knows of none."
    newest = max(taken.at, rooms.counters.backed_up_at)
    yield from gauge("everlease_backup_last_success_timestamp_seconds", words, alone(newest))
    words = "When this node's certificate for a purpose ends, seconds UTC; +Inf without one."
    ends = {"store": rooms.store.certificate_ends, **rooms.certificates}
    expiries = [({"purpose": purpose}, end()) for purpose, end in ends.items()]
    yield from gauge("everlease_certificate_expiry_timestamp_seconds", words, expiries)
