"""Metrics: the names that dashboards rely on, zero from the start, and a scrape that never holds the loop for long."""

from __future__ import annotations

import asyncio
import re
import subprocess
from math import inf
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from admin.furnished import furnish, lease, neighbour, office, put_leases, serve_link
from admin.papers import authority, leaf
from everlease.admin import server
from everlease.admin.access import Papers
from everlease.config.load import load
from everlease.core.actions import DROP_REASONS, GRANT, OPERATIONS, RELEASE, RESULTS
from everlease.lab.processes import need
from everlease.metrics import Usages, collect, text
from everlease.metrics.shapes import SLICE, counter, gauge
from everlease.runtime.rooms import Rooms
from everlease.runtime.sockets import UNSENT
from everlease.store import pem
from everlease.store.api import Report
from everlease.store.keeping import Taken
from everlease.store.memory import MemoryStore

PROMISED = {
    "everlease_lease_duration_seconds": "family operation result",
    "everlease_lease_phase_seconds": "family phase",
    "everlease_packets_received": "family operation",
    "everlease_packets_sent": "family operation",
    "everlease_packets_dropped": "family reason",
    "everlease_packets_unsent": "family reason",
    "everlease_commit_duration_seconds": "member result",
    "everlease_commit_batch_size": "",
    "everlease_commit_hedges": "member",
    "everlease_commit_conflicts": "",
    "everlease_commit_queue_length": "",
    "everlease_records_swept": "",
    "everlease_log_lines_lost": "",
    "everlease_lease_log_lines_lost": "",
    "everlease_rogue_servers": "link",
    "everlease_node_state": "state",
    "everlease_presence_age_seconds": "node",
    "everlease_owned_buckets": "",
    "everlease_clock_offset_seconds": "",
    "everlease_extension_left_seconds": "",
    "everlease_view_leases": "family state",
    "everlease_view_lag_seconds": "",
    "everlease_view_revision": "",
    "everlease_view_reloads": "",
    "everlease_view_ghosts": "",
    "everlease_view_repairs": "",
    "everlease_view_unreadable_records": "",
    "everlease_ping_checks": "family result",
    "everlease_pool_addresses": "subnet family state",
    "everlease_pool_dynamic_addresses": "subnet family",
    "everlease_takeovers": "link from",
    "everlease_lease_changes": "subnet family change",
    "everlease_lease_changes_relayed": "subnet family",
    "everlease_config_revision": "",
    "everlease_config_errors": "",
    "everlease_store_member_up": "member",
    "everlease_store_member_latency_seconds": "member",
    "everlease_store_size_bytes": "member",
    "everlease_store_quota_bytes": "",
    "everlease_store_fullness_ratio": "",
    "everlease_keeper": "",
    "everlease_keeper_actions": "action result",
    "everlease_snapshot_time_seconds": "",
    "everlease_snapshot_size_bytes": "",
    "everlease_store_alarm": "member alarm",
    "everlease_certificate_expiry_timestamp_seconds": "purpose",
    "everlease_backup_last_success_timestamp_seconds": "",
    "everlease_build_info": "version python etcd",
}
"""Every metric of the published interface and its labels (counters without their `_total`)."""


SHORT = "{id: 1, prefix: 10.77.0.0/16, valid-lifetime: 1h, pools: [{range: 10.77.16.0/24}]}"


class Told(MemoryStore):
    """A member that has been probed."""

    def report(self, member: str) -> Report | None:
        return Report("3.4.23", 20480, frozenset({"NOSPACE"}))


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


async def everything() -> dict[str, Metric]:
    """The metrics of a node that has something to tell in each of them, by name; docs/reference is made of them too."""
    rooms = furnish(store=Told())
    await office(rooms)
    serve_link(rooms)
    neighbour(rooms)
    return {name: family for name, family in scrape(rooms).items() if name.startswith("everlease_")}


async def test_the_metrics_and_their_labels_are_those_that_are_promised() -> None:
    found = {
        name: {frozenset(sample.labels) - {"le"} for sample in family.samples}
        for name, family in (await everything()).items()
    }
    assert found == {name: {frozenset(labels.split())} for name, labels in PROMISED.items()}


def test_a_new_node_without_a_configuration_has_its_metrics() -> None:
    families = scrape(furnish())
    later = {"pool_addresses", "pool_dynamic_addresses", "lease_changes", "lease_changes_relayed", "takeovers"}
    later |= {"rogue_servers", "store_size_bytes", "store_alarm"}  # nothing is known of these yet
    assert PROMISED.keys() - {f"everlease_{name}" for name in later} <= families.keys()
    assert value(families, "everlease_config_revision") == 0
    assert value(families, "everlease_store_quota_bytes") == 2 << 30


def test_members_are_told_by_what_they_said_when_they_were_probed() -> None:
    families = scrape(furnish(store=Told()))
    assert value(families, "everlease_store_size_bytes", member="memory") == 20480
    assert value(families, "everlease_store_alarm", member="memory", alarm="NOSPACE") == 1
    assert value(families, "everlease_store_alarm", member="memory", alarm="CORRUPT") == 0
    (build,) = families["everlease_build_info"].samples
    assert build.labels["etcd"] == "3.4.23"


async def test_the_quota_is_the_configurations_where_it_names_one() -> None:
    rooms = furnish()
    await office(rooms, "cluster: {store-quota: 8GiB}\nsubnets: []")
    assert value(scrape(rooms), "everlease_store_quota_bytes") == 8 << 30


def test_a_view_that_was_read_again_is_counted(rooms: Rooms) -> None:
    for reloads in range(3):
        for _ in rooms.view.finish(rooms.view.begin(7)):
            pass
        assert value(scrape(rooms), "everlease_view_reloads_total") == reloads


def test_every_known_label_is_there_at_zero(rooms: Rooms) -> None:
    families = scrape(rooms)
    for reason in DROP_REASONS:
        assert value(families, "everlease_packets_dropped_total", family="v4", reason=reason) == 0
    for reason in UNSENT:
        assert value(families, "everlease_packets_unsent_total", family="v4", reason=reason) == 0
    assert value(families, "everlease_commit_hedges_total", member="memory") == 0
    for member, result in (("memory", "committed"), ("memory", "fenced"), ("", "unknown"), ("", "refused")):
        assert value(families, "everlease_commit_duration_seconds_count", member=member, result=result) == 0
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


def test_takeovers_from_each_known_node_begin_at_zero(rooms: Rooms) -> None:
    neighbour(rooms)
    assert value(scrape(rooms), "everlease_takeovers_total", link="office", **{"from": "n2"}) == 0


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
    assert value(families, "everlease_pool_dynamic_addresses", subnet="1", family="v4") == 100
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


async def test_prometheus_own_checker_has_nothing_to_say() -> None:
    need("promtool")
    rooms = furnish(store=Told())
    subnets = "".join(
        f"  - {{id: {n}, prefix: 10.0.{n}.0/24, relays: [172.16.0.{n}], pools: [{{range: 10.0.{n}.0/25}}]}}\n"
        for n in range(1, 120)
    )
    await office(rooms, f"subnets:\n{subnets}")  # a family in several slices
    neighbour(rooms)
    body = b"".join(text(collect(rooms, Usages())))
    command = ("promtool", "check", "metrics")
    done = await asyncio.to_thread(subprocess.run, command, input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_names_follow_prometheus_conventions(rooms: Rooms) -> None:
    for name, family in scrape(rooms).items():
        if not name.startswith("everlease_"):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert family.documentation.endswith("."), name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), name
        assert not re.search(r"_(ms|milliseconds|kb|percent)$", name), name


async def test_certificates_and_backups_are_told_by_when_they_end_and_began(rooms: Rooms) -> None:
    name = "everlease_certificate_expiry_timestamp_seconds"
    assert value(scrape(rooms), name, purpose="admin") == value(scrape(rooms), name, purpose="store") == inf
    rooms.certificates["admin"] = lambda: 1_900_000_000.0
    assert value(scrape(rooms), name, purpose="admin") == 1_900_000_000
    copied = "everlease_backup_last_success_timestamp_seconds"
    assert value(scrape(rooms), copied) == 0
    rooms.condition.snapshot = Taken("n1", 1_700_000_000.0, 5, "x.db")
    rooms.counters.backed_up_at = 1_600_000_000.0
    assert value(scrape(rooms), copied) == 1_700_000_000


async def test_how_long_clients_keep_their_addresses_without_a_store_is_told() -> None:
    rooms = furnish()
    assert value(scrape(rooms), "everlease_extension_left_seconds") == inf
    rooms.lifeline.committed_at = rooms.clock.boot() - 100
    for cluster, seconds in (("{}", 1800 + 600), ("{on-quorum-loss: strict}", 1800), ("{grace: 1m}", 1800 + 60)):
        rooms.configuration.current = load(f"{{cluster: {cluster}, valid-lifetime: 8h, subnets: [{SHORT}]}}")
        assert value(scrape(rooms), "everlease_extension_left_seconds") == seconds - 100


def test_changes_are_counted_by_subnet_and_those_behind_relays_as_well(rooms: Rooms) -> None:
    for kind, relayed in ((GRANT, True), (GRANT, False), (RELEASE, True)):
        rooms.counters.changed(1, kind, relayed=relayed)
    families = scrape(rooms)
    told = dict.fromkeys(("grant", "renew", "release", "decline"), 0.0) | {"grant": 2, "release": 1}
    for change, count in told.items():
        labels = {"subnet": "1", "family": "v4", "change": change}
        assert value(families, "everlease_lease_changes_total", **labels) == count
    assert value(families, "everlease_lease_changes_relayed_total", subnet="1", family="v4") == 2
    assert value(families, "everlease_lease_changes_relayed_total", subnet="2", family="v4") == 0


def test_a_rogue_server_is_told_by_the_link_and_a_link_without_one_is_zero(rooms: Rooms) -> None:
    assert value(scrape(rooms), "everlease_rogue_servers", link="office") == 0
    rooms.counters.rogues["office"] = 2
    assert value(scrape(rooms), "everlease_rogue_servers", link="office") == 2


async def test_the_end_of_the_admin_apis_certificate_is_told(rooms: Rooms, tmp_path: Path) -> None:
    authority(tmp_path, "ours")
    leaf(tmp_path, "node", "ours")
    certificate = tmp_path / "node.pem"
    handle = await server.serve(rooms, "127.0.0.1:0", Papers(certificate, tmp_path / "node.key"))
    told = value(scrape(rooms), "everlease_certificate_expiry_timestamp_seconds", purpose="admin")
    await handle.close()
    assert told == pem.ends(certificate)
