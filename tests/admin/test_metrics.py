"""Metrics: the names that dashboards rely on, zero from the start, and a scrape that never holds the loop for long."""

from __future__ import annotations

import re

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from admin.furnished import furnish, lease, neighbour, office, put_leases
from everlease.core.actions import DROP_REASONS, OPERATIONS, RESULTS
from everlease.metrics import Usages, collect, text
from everlease.metrics.shapes import SLICE, counter, gauge
from everlease.runtime.rooms import Rooms

PROMISED = {
    "everlease_lease_duration_seconds", "everlease_lease_phase_seconds", "everlease_packets_received",
    "everlease_packets_sent", "everlease_packets_dropped", "everlease_commit_batch_size",
    "everlease_commit_conflicts", "everlease_commit_queue_length", "everlease_node_state",
    "everlease_presence_age_seconds", "everlease_owned_buckets", "everlease_clock_offset_seconds",
    "everlease_view_leases", "everlease_view_lag_seconds", "everlease_view_revision", "everlease_pool_addresses",
    "everlease_config_revision", "everlease_config_errors", "everlease_store_member_up", "everlease_build_info",
}  # fmt: skip
"""Those of the published interface that exist on a node which has just started (counters without their `_total`)."""


def scrape(rooms: Rooms) -> dict[str, Metric]:
    """What Prometheus understands of it."""
    body = b"".join(text(collect(rooms, Usages()))).decode()
    return {family.name: family for family in text_string_to_metric_families(body)}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found


def test_a_new_node_without_a_configuration_has_its_metrics() -> None:
    families = scrape(furnish())
    assert PROMISED - {"everlease_pool_addresses"} <= families.keys()
    assert value(families, "everlease_config_revision") == 0


def test_every_known_label_is_there_at_zero(rooms: Rooms) -> None:
    families = scrape(rooms)
    assert families.keys() >= PROMISED
    for reason in DROP_REASONS:
        assert value(families, "everlease_packets_dropped_total", family="v4", reason=reason) == 0
    for operation in OPERATIONS:
        assert value(families, "everlease_packets_received_total", family="v4", operation=operation) == 0
        for result in RESULTS:
            labels = {"family": "v4", "operation": operation, "result": result}
            assert value(families, "everlease_lease_duration_seconds_count", **labels) == 0


def test_a_histogram_is_cumulative_and_ends_with_its_count(rooms: Rooms) -> None:
    for seconds in (0.0004, 0.003, 0.003, 99.0):
        rooms.counters.durations["discover", "offer"].observe(seconds)
    families = scrape(rooms)
    labels = {"family": "v4", "operation": "discover", "result": "offer"}
    buckets = [
        sample.value
        for sample in families["everlease_lease_duration_seconds"].samples
        if sample.name.endswith("_bucket") and {**sample.labels, "le": ""} == {**labels, "le": ""}
    ]
    assert buckets[:4] == [1, 1, 1, 3] and buckets[-1] == 4 and buckets == sorted(buckets)
    assert value(families, "everlease_lease_duration_seconds_count", **labels) == 4


def test_counters_by_member_link_and_node_appear_as_they_happen(rooms: Rooms) -> None:
    rooms.counters.committed("https://a:2379", "committed", 0.004)
    rooms.counters.took_over("office", "n2")
    neighbour(rooms)
    families = scrape(rooms)
    labels = {"member": "https://a:2379", "result": "committed"}
    assert value(families, "everlease_commit_duration_seconds_count", **labels) == 1
    assert value(families, "everlease_takeovers_total", link="office", **{"from": "n2"}) == 1
    assert value(families, "everlease_presence_age_seconds", node="n2") == 0
    assert value(families, "everlease_owned_buckets") < 256


async def test_pools_and_view_count_what_the_view_holds(rooms: Rooms) -> None:
    await put_leases(rooms, [(0x0A4D1000, lease(1)), (0x0A4D1001, lease(2, ends=-1))])
    families = scrape(rooms)

    def pool(state: str) -> float:
        return value(families, "everlease_pool_addresses", subnet="1", family="v4", state=state)

    assert (pool("leased"), pool("grace"), pool("reserved"), pool("free")) == (1, 1, 1, 98)
    assert value(families, "everlease_view_leases", family="v4", state="leased") == 1
    assert value(families, "everlease_view_revision") == rooms.view.revision


def test_exactly_one_state_is_one(rooms: Rooms) -> None:
    states = {sample.labels["state"]: sample.value for sample in scrape(rooms)["everlease_node_state"].samples}
    assert states == {"serving": 1, "joining": 0, "extending": 0, "degraded": 0, "draining": 0, "stopped": 0}


async def test_a_thousand_subnets_come_in_slices() -> None:
    rooms = furnish()
    subnets = "".join(
        f"  - {{id: {n}, prefix: 10.{n >> 8}.{n & 255}.0/24, relays: [172.16.{n >> 8}.{n & 255}],"
        f" pools: [{{range: 10.{n >> 8}.{n & 255}.0/25}}]}}\n"
        for n in range(1, 1001)
    )
    await office(rooms, f"subnets:\n{subnets}")
    sizes = [len(metric.samples) for metric in collect(rooms, Usages())]
    assert max(sizes) <= SLICE
    assert sum(sizes) > 6000


def test_a_family_in_slices_has_one_help_and_one_type() -> None:
    points = [({"subnet": str(number)}, number) for number in range(3 * SLICE)]
    body = b"".join(text(gauge("everlease_test", "Words.", points))).decode()
    assert (body.count("# HELP"), body.count("# TYPE"), len(body.splitlines())) == (1, 1, 3 * SLICE + 2)


def test_labels_from_outside_cannot_break_the_format() -> None:
    body = b"".join(text(counter("everlease_test", "a\nb", [({"link": 'x"\n\\y'}, 1)]))).decode()
    (family,) = text_string_to_metric_families(body)
    assert family.samples[0].labels == {"link": 'x"\n\\y'}
    assert len(body.splitlines()) == 3


def test_names_follow_prometheus_conventions(rooms: Rooms) -> None:
    for name, family in scrape(rooms).items():
        if not name.startswith("everlease_"):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert family.documentation.endswith("."), name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), name
        assert not re.search(r"_(ms|milliseconds|kb|percent)$", name), name
