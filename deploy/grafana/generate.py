"""`python deploy/grafana/generate.py`: write the four dashboards as Grafana imports them, beside this file.

The law of this file: what a panel asks, a node tells; tests/observe runs every query against a real Prometheus.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))  # it is run as a file, and imported by its test

from panels import Dashboard, Mark, Panel, Query, Row, Variable

RATE: Final = "[$__rate_interval]"
HERE: Final = 'job="$job"'
NODE: Final = 'job="$job", instance=~"$instance"'
CRITICAL: Final = "red"
GOOD: Final = [("green", 1)]
INSTANCE: Final = Variable("instance", "Node", 'label_values(everlease_build_info{job="$job"}, instance)', many=True)
SUBNET: Final = Variable("subnet", "Subnet", 'label_values(everlease_pool_addresses{job="$job"}, subnet)', many=True)
OPERATION: Final = Variable(
    "operation", "Operation", 'label_values(everlease_lease_duration_seconds_count{job="$job"}, operation)', many=True
)

MARKS: Final = (
    Mark("Alert", f'ALERTS{{{HERE}, alertstate="firing"}}', "{{alertname}} {{member}} {{from}} {{subnet}}", CRITICAL),
    Mark(
        "Node", f'changes(everlease_node_state{{{HERE}, state="serving"}}{RATE}) > 0', "{{instance}} begins or ceases",
        "orange",
    ),
    Mark("Takeover", f"sum by (from, link) (increase(everlease_takeovers_total{{{HERE}}}{RATE})) > 0",
         "{{from}} on {{link}}", "purple"),
    Mark("Configuration", f"max(changes(everlease_config_revision{{{HERE}}}{RATE})) > 0", "a new revision", "blue"),
)  # fmt: skip


def quantile(share: float, metric: str, labels: str, by: str = "") -> str:
    """A quantile of a histogram over all nodes; by: labels that stay."""
    kept = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({kept}) (rate({metric}_bucket{{{labels}}}{RATE})))"


def rate(metric: str, labels: str, by: str = "") -> str:
    """A counter per second, summed; by: labels that stay."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{labels}}}{RATE}))"


def mean(metric: str, labels: str, by: str) -> str:
    """The mean of a histogram."""
    return f"{rate(f'{metric}_sum', labels, by)} / {rate(f'{metric}_count', labels, by)}"


ANSWERED: Final = f'{HERE}, result!="drop"'
DURATION: Final = "everlease_lease_duration_seconds"

CLUSTER = Dashboard(
    "everlease-cluster",
    "Everlease / Cluster",
    "Who serves, how fast, and what happened.",
    [
        Row("Now", [
            Panel("stat", "Nodes that answer", "Nodes that are serving or extending.", "short",
                  [Query(f'sum(everlease_node_state{{{HERE}, state=~"serving|extending"}})', "nodes")], 4, 4),
            Panel("stat", "Store members up", "Members of etcd that at least one node reaches.", "short",
                  [Query(f"sum(everlease:store_member_up:max{{{HERE}}})", "members")], 4, 4),
            Panel("stat", "Answers", "Replies that left, per second.", "ops",
                  [Query(rate(f"{DURATION}_count", ANSWERED), "answers")], 4, 4),
            Panel("stat", "Late or missing", "Share of the answers of the last hour that left after 2.5 s or never.",
                  "percentunit", [Query(f"everlease:answers_missed:ratio_rate1h{{{HERE}}}", "share")], 4, 4,
                  limits=[("orange", 0.001), (CRITICAL, 0.0144)]),
            Panel("stat", "Without the store", "How long clients that renew keep their addresses if nothing more is "
                  "committed from now on.", "s",
                  [Query(f"min(everlease_extension_left_seconds{{{HERE}}})", "left")], 4, 4),
            Panel("stat", "Rogue servers", "DHCP servers that are no members and answered a probe.", "short",
                  [Query(f"max(everlease_rogue_servers{{{HERE}}})", "servers")], 4, 4, limits=[(CRITICAL, 1)]),
        ]),
        Row("Latency", [
            Panel("timeseries", "Latency by operation", "From the kernel's receive time to the reply handed to the "
                  "kernel: half and 99 of 100 answers are at least as fast.", "s",
                  [Query(quantile(0.5, DURATION, ANSWERED, "operation"), "{{operation}} half"),
                   Query(quantile(0.99, DURATION, ANSWERED, "operation"), "{{operation}} 99 %")]),
            Panel("heatmap", "Latency, all answers", "How many answers took how long; for the operations chosen.", "s",
                  [Query(f'sum by (le) (increase({DURATION}_bucket{{{ANSWERED}, operation=~"$operation"}}{RATE}))',
                         "{{le}}")]),
            Panel("timeseries", "Phases", "Where the time went, on average: in the socket's queue, deciding, waiting "
                  "for a batch, in the store, leaving. Their sum is the whole.", "s",
                  [Query(mean("everlease_lease_phase_seconds", HERE, "phase"), "{{phase}}")], stacked=True),
            Panel("timeseries", "Answers by result", "Replies per second.", "ops",
                  [Query(rate(f"{DURATION}_count", ANSWERED, "operation, result"), "{{operation}} {{result}}")]),
        ]),
        Row("Nodes", [
            Panel("state-timeline", "Who serves", "1 while a node is serving.", "short",
                  [Query(f'everlease_node_state{{{HERE}, state="serving"}}', "{{instance}}")],
                  base=CRITICAL, limits=GOOD, most=1),
            Panel("timeseries", "Client buckets owned", "Of 256; a node answers the clients of its buckets first.",
                  "short", [Query(f"everlease_owned_buckets{{{HERE}}}", "{{instance}}")], stacked=True),
            Panel("timeseries", "Takeovers", "Clients whose own node did not answer, by that node and the link.",
                  "ops", [Query(rate("everlease_takeovers_total", HERE, "from, link"), "{{from}} on {{link}}")]),
            Panel("timeseries", "Drops", "Packets without a reply, by reason. not_owner is normal: another node "
                  "answers.", "ops", [Query(rate("everlease_packets_dropped_total", HERE, "reason") + " > 0",
                                            "{{reason}}")]),
            Panel("timeseries", "Presence", "How old each node's proof of life is, as the others see it.", "s",
                  [Query(f"max by (node) (everlease_presence_age_seconds{{{HERE}}})", "{{node}}")]),
            Panel("timeseries", "Configuration", "The revision that each node decides with.", "short",
                  [Query(f"everlease_config_revision{{{HERE}}}", "{{instance}}")]),
        ]),
    ],
    [OPERATION],
    MARKS,
)  # fmt: skip

CHOSEN: Final = f'{HERE}, subnet=~"$subnet"'
POOLS = Dashboard(
    "everlease-pools",
    "Everlease / Pools",
    "How full each subnet is, and how that changes.",
    [
        Row("How full", [
            Panel("bargauge", "Utilisation", "Share of a subnet's addresses that nobody new can get.", "percentunit",
                  [Query(f"sort_desc(everlease:pool_used:ratio{{{CHOSEN}}})", "subnet {{subnet}}")], 12, 10,
                  limits=[("yellow", 0.8), ("orange", 0.9), (CRITICAL, 0.95)], most=1),
            Panel("timeseries", "Free in 24 hours", "As it went in the last six hours.", "short",
                  [Query(f"predict_linear(everlease:pool_free:min{{{CHOSEN}}}[6h], 24 * 3600)",
                         "subnet {{subnet}}")], 12, 10),
            Panel("timeseries", "Addresses", "What became of them.", "short",
                  [Query(f"sum by (state) (everlease:pool_addresses:max{{{CHOSEN}}})", "{{state}}")], stacked=True),
            Panel("timeseries", "Utilisation", "The same over time.", "percentunit",
                  [Query(f"everlease:pool_used:ratio{{{CHOSEN}}}", "subnet {{subnet}}")], most=1),
        ]),
        Row("What happens", [
            Panel("timeseries", "Churn", "Bindings granted, renewed, released and declined, per second.", "ops",
                  [Query(rate("everlease_lease_changes_total", CHOSEN, "change"), "{{change}}")]),
            Panel("timeseries", "Busiest subnets", "Changes per second of the ten busiest.", "ops",
                  [Query(f"topk(10, {rate('everlease_lease_changes_total', CHOSEN, 'subnet')})",
                         "subnet {{subnet}}")]),
            Panel("timeseries", "Busiest relays", "Changes per second that came through relays, the ten busiest by "
                  "their subnet: addresses are no labels.", "ops",
                  [Query(f"topk(10, {rate('everlease_lease_changes_relayed_total', CHOSEN, 'subnet')})",
                         "subnet {{subnet}}")]),
            Panel("timeseries", "Declined", "Addresses on probation, because a client found them in use.", "short",
                  [Query(f'everlease:pool_addresses:max{{{CHOSEN}, state="declined"}}', "subnet {{subnet}}")]),
            Panel("timeseries", "Offered", "Addresses that were offered by a commit and not taken yet.", "short",
                  [Query(f'everlease:pool_addresses:max{{{CHOSEN}, state="offered"}}', "subnet {{subnet}}")]),
            Panel("timeseries", "Ping checks", "Addresses probed before they were offered, by what came back.", "ops",
                  [Query(rate("everlease_ping_checks_total", HERE, "result"), "{{result}}")]),
        ]),
    ],
    [SUBNET],
    MARKS[:1],
)  # fmt: skip

COMMIT: Final = "everlease_commit_duration_seconds"
COMMITTED: Final = f'{HERE}, result="committed"'
STORE = Dashboard(
    "everlease-store",
    "Everlease / Store",
    "etcd as the nodes see it.",
    [
        Row("Commits", [
            Panel("timeseries", "Commit latency by member", "Half and 99 of 100 transactions are at least as fast.",
                  "s", [Query(quantile(0.5, COMMIT, COMMITTED, "member"), "{{member}} half"),
                        Query(quantile(0.99, COMMIT, COMMITTED, "member"), "{{member}} 99 %")]),
            Panel("heatmap", "Commit latency", "How many transactions took how long.", "s",
                  [Query(f"sum by (le) (increase({COMMIT}_bucket{{{COMMITTED}}}{RATE}))", "{{le}}")]),
            Panel("timeseries", "Batch size", "Changes per transaction: half, and 99 of 100, have no more.", "short",
                  [Query(quantile(0.5, "everlease_commit_batch_size", HERE), "half"),
                   Query(quantile(0.99, "everlease_commit_batch_size", HERE), "99 %")]),
            Panel("timeseries", "Transactions", "By what became of them.", "ops",
                  [Query(rate(f"{COMMIT}_count", HERE, "result"), "{{result}}")]),
            Panel("timeseries", "Conflicts", "Changes that a compare refused, and that were decided again.", "ops",
                  [Query(rate("everlease_commit_conflicts_total", HERE, "instance"), "{{instance}}")]),
            Panel("timeseries", "Waiting changes", "Accepted and not settled.", "short",
                  [Query(f"everlease_commit_queue_length{{{HERE}}}", "{{instance}}")]),
        ]),
        Row("Members", [
            Panel("state-timeline", "Members up", "1 while at least one node reaches a member.", "short",
                  [Query(f"everlease:store_member_up:max{{{HERE}}}", "{{member}}")],
                  base=CRITICAL, limits=GOOD, most=1),
            Panel("timeseries", "Answers of the members", "Running mean, as the slowest node sees it.", "s",
                  [Query(f"max by (member) (everlease_store_member_latency_seconds{{{HERE}}})", "{{member}}")]),
            Panel("timeseries", "Hedges", "Batches sent to another member as well, by the one that was slow.", "ops",
                  [Query(rate("everlease_commit_hedges_total", HERE, "member"), "{{member}}")]),
            Panel("timeseries", "Alarms", "1 while a member has raised one.", "short",
                  [Query(f"max by (member, alarm) (everlease_store_alarm{{{HERE}}})", "{{member}} {{alarm}}")]),
            Panel("timeseries", "Database size", "By member, and what the smallest may grow to.", "bytes",
                  [Query(f"max by (member) (everlease_store_size_bytes{{{HERE}}})", "{{member}}"),
                   Query(f"min(everlease_store_quota_bytes{{{HERE}}})", "quota")]),
            Panel("timeseries", "Fullness", "Share of its quota that the fullest member uses.", "percentunit",
                  [Query(f"max(everlease_store_fullness_ratio{{{HERE}}})", "fullest")], most=1,
                  limits=[("orange", 0.7), (CRITICAL, 0.8)]),
        ]),
        Row("Copies", [
            Panel("timeseries", "Watch lag", "How old a node's copy of the leases may be at most.", "s",
                  [Query(f"everlease_view_lag_seconds{{{HERE}}}", "{{instance}}")]),
            Panel("timeseries", "Reloads and repairs", "How often a copy was read again, and leases corrected by it.",
                  "ops", [Query(rate("everlease_view_reloads_total", HERE, "instance"), "{{instance}} reloads"),
                          Query(rate("everlease_view_repairs_total", HERE, "instance"), "{{instance}} repairs")]),
            Panel("timeseries", "Upkeep", "What the keeper did, per second.", "ops",
                  [Query(rate("everlease_keeper_actions_total", HERE, "action, result"), "{{action}} {{result}}")]),
            Panel("stat", "Newest backup", "Age of the newest snapshot or backup; since 1970 = there is none.", "s",
                  [Query(f"time() - max(everlease_backup_last_success_timestamp_seconds{{{HERE}}})", "age")], 12, 8),
        ]),
    ],
    marks=MARKS[:2],
)  # fmt: skip

NODES = Dashboard(
    "everlease-node",
    "Everlease / Node",
    "One node, or several beside each other.",
    [
        Row("State", [
            Panel("state-timeline", "State", "1 for the state that a node is in.", "short",
                  [Query(f"everlease_node_state{{{NODE}}} == 1", "{{instance}} {{state}}")], most=1),
            Panel("timeseries", "Clock", "The host's wall clock less the time that the nodes agree on.", "s",
                  [Query(f"abs(everlease_clock_offset_seconds{{{NODE}}})", "{{instance}}")],
                  limits=[("orange", 1), (CRITICAL, 2.5)]),
            Panel("stat", "Versions", "What runs here.", "short",
                  [Query(f"everlease_build_info{{{NODE}}}", "{{instance}} {{version}}, etcd {{etcd}}")], 12, 4),
            Panel("stat", "Certificates end in", "Those of the node for the store and for its admin API.", "s",
                  [Query(f"everlease_certificate_expiry_timestamp_seconds{{{NODE}}} - time()",
                         "{{instance}} {{purpose}}")], 12, 4),
        ]),
        Row("Packets", [
            Panel("timeseries", "Received", "By what they ask for; other = dropped before anybody looked.", "ops",
                  [Query(rate("everlease_packets_received_total", NODE, "operation"), "{{operation}}")],
                  stacked=True),
            Panel("timeseries", "Sent", "Replies handed to the kernel.", "ops",
                  [Query(rate("everlease_packets_sent_total", NODE, "operation"), "{{operation}}")], stacked=True),
            Panel("timeseries", "Dropped and unsent", "By reason.", "ops",
                  [Query(rate("everlease_packets_dropped_total", NODE, "reason") + " > 0", "{{reason}}"),
                   Query(rate("everlease_packets_unsent_total", NODE, "reason"), "unsent: {{reason}}")]),
            Panel("timeseries", "Phases, 99 %", "99 of 100 packets spend no longer in each of them.", "s",
                  [Query(quantile(0.99, "everlease_lease_phase_seconds", NODE, "phase"), "{{phase}}")]),
        ]),
        Row("Process", [
            Panel("timeseries", "Processor", "Cores in use.", "short",
                  [Query(rate("process_cpu_seconds_total", NODE, "instance"), "{{instance}}")]),
            Panel("timeseries", "Memory", "Resident.", "bytes",
                  [Query(f"process_resident_memory_bytes{{{NODE}}}", "{{instance}}")]),
            Panel("timeseries", "Open files", "Share of those that the process may open.", "percentunit",
                  [Query(f"process_open_fds{{{NODE}}} / process_max_fds{{{NODE}}}", "{{instance}}")], most=1),
            Panel("timeseries", "Garbage collections", "By generation, per second.", "ops",
                  [Query(rate("python_gc_collections_total", NODE, "generation"), "generation {{generation}}")]),
            Panel("timeseries", "Leases in memory", "Records in the node's copy, by what they count as.", "short",
                  [Query(f"max by (state) (everlease_view_leases{{{NODE}}})", "{{state}}")], stacked=True),
            Panel("timeseries", "Log lines lost", "Because nobody read them.", "ops",
                  [Query(rate("everlease_log_lines_lost_total", NODE, "instance"), "{{instance}}")]),
        ]),
    ],
    [INSTANCE],
    MARKS[:2],
)  # fmt: skip

DASHBOARDS: Final = {"cluster": CLUSTER, "pools": POOLS, "store": STORE, "node": NODES}


def text(dashboard: Dashboard) -> str:
    """The file's content."""
    return json.dumps(dashboard.json(), indent=2) + "\n"


def main() -> None:
    """Write all of them."""
    for name, dashboard in DASHBOARDS.items():
        (Path(__file__).resolve().parent / f"{name}.json").write_text(text(dashboard))


if __name__ == "__main__":
    main()
