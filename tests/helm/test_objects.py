"""What the chart renders is what Kubernetes takes, oldest and newest, in each mode and with each switch."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from checkout import ROOT
from helm.chart import (
    MODES,
    NAMESPACE,
    Object,
    Values,
    cases,
    loaded,
    merged,
    nodes,
    of_kind,
    pods,
    render,
    switches,
    together,
)

OLDEST, NEWEST = "1.28", "1.37"
SCHEMAS = Path(__file__).parent / "schemas"
CASES = {f"{mode}-{name}": values for mode, name, values in cases()}


@cache
def own_schema(kind: str) -> dict[str, Any] | None:
    """Of a kind that Kubernetes learns from others."""
    path = SCHEMAS / f"{kind}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


@cache
def problem(text: str) -> str:
    """What is wrong with an object; "" = nothing. Each different object is looked at once."""
    found = json.loads(text)
    schema = own_schema(found["kind"])
    try:
        if schema is not None:
            jsonschema.validate(found, schema)
        else:
            for version in (OLDEST, NEWEST):
                assert kubernetes_validate.validate(found, version, strict=True) == version
    except jsonschema.ValidationError as wrong:
        where = ".".join(map(str, wrong.absolute_path))
        return f"{found['kind']} {found['metadata']['name']}: {where}: {wrong.message}"
    return ""


@cache
def objects(case: str) -> list[Object]:
    """What a case renders."""
    return render(CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_accepted_by_the_oldest_and_the_newest_kubernetes(case: str) -> None:
    found = objects(case)
    assert len(found) >= 4
    assert [words for each in found if (words := problem(json.dumps(each, sort_keys=True)))] == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_any_two_switches_go_together(mode: str) -> None:
    table: dict[str, Values] = switches(mode)
    for one in table:
        for other, values in table.items():
            if one < other and together([one, other]):
                names = Counter(
                    (each["kind"], each["metadata"]["name"]) for each in render(merged(CASES[f"{mode}-{one}"], values))
                )
                assert max(names.values()) == 1, (one, other)
                assert {"Service", "ServiceAccount", "Pod"} <= {kind for kind, _ in names}, (one, other)


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_in_the_releases_namespace_and_carries_its_labels(case: str) -> None:
    common = CASES[case].get("commonLabels", {})
    for each in objects(case):
        if each["metadata"]["name"] in {"b", "dhcp-a"}:  # extraObjects are as they were given
            continue
        assert each["metadata"]["namespace"] == NAMESPACE
        labels = each["metadata"]["labels"]
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "helm.sh/chart"} <= set(labels)
        assert common.items() <= labels.items()


@pytest.mark.parametrize("case", CASES)
def test_selectors_find_the_pods_that_they_mean_and_no_others(case: str) -> None:
    found = objects(case)
    labels = {owner: pod["metadata"]["labels"] for owner, pod in pods(found)}
    for each in found:
        selector = each.get("spec", {}).get("selector")
        if selector is None:
            continue
        wanted = dict(selector.get("matchLabels", selector) if each["kind"] != "Service" else selector)
        wanted.pop("statefulset.kubernetes.io/pod-name", None)  # Kubernetes puts it there
        if each["kind"] == "ServiceMonitor":
            services = [s for s in of_kind(found, "Service") if wanted.items() <= s["metadata"]["labels"].items()]
            assert [s["metadata"]["name"] for s in services if "metrics" in str(s["spec"]["ports"])] != []
            assert len(services) == 1
            continue
        component = each["metadata"]["labels"]["app.kubernetes.io/component"]
        meant = {"relay": "node"}.get(component, component)
        chosen = {owner for owner, has in labels.items() if wanted.items() <= has.items()}
        assert chosen, each["metadata"]["name"]
        assert {labels[owner]["app.kubernetes.io/component"] for owner in chosen} == {meant}


@pytest.mark.parametrize("case", CASES)
def test_each_workload_selects_its_own_pods_only(case: str) -> None:
    found = objects(case)
    workloads = of_kind(found, "DaemonSet", "StatefulSet")
    for each in workloads:
        wanted = each["spec"]["selector"]["matchLabels"].items()
        chosen = [
            other["metadata"]["name"]
            for other in workloads
            if wanted <= other["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert chosen == [each["metadata"]["name"]]


@pytest.mark.parametrize("case", CASES)
def test_ports_that_services_monitors_and_policies_name_are_ports_of_the_pods(case: str) -> None:
    found = objects(case)
    ports = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: {
            port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])
        }
        for _, pod in pods(found)
    }
    for each in of_kind(found, "Service"):
        component = each["spec"]["selector"]["app.kubernetes.io/component"]
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports[component]
    for each in of_kind(found, "NetworkPolicy"):
        component = each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        rules = [port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]]
        assert set(rules) <= ports[component]
    for each in of_kind(found, "ServiceMonitor", "PodMonitor"):
        endpoints = each["spec"].get("endpoints") or each["spec"]["podMetricsEndpoints"]
        assert {endpoint["port"] for endpoint in endpoints} <= ports["node"]


@pytest.mark.parametrize("case", CASES)
def test_every_volume_is_mounted_and_every_mount_has_a_volume(case: str) -> None:
    for owner, pod in pods(objects(case)):
        volumes = {each["name"] for each in pod["spec"].get("volumes", [])}
        claims = {"data"} if "etcd" in owner else set()
        mounts = {each["name"] for container in pod["spec"]["containers"] for each in container.get("volumeMounts", [])}
        assert volumes | claims == mounts, owner


def test_a_relay_has_a_service_for_each_replica_that_keeps_the_clients_address() -> None:
    found = objects("relay-plain")
    services = [each for each in of_kind(found, "Service") if each["spec"].get("type") == "LoadBalancer"]
    (workload,) = nodes(found)
    assert workload["spec"]["replicas"] == len(services) == 3
    for number, each in enumerate(services):
        assert each["spec"]["externalTrafficPolicy"] == "Local"
        assert each["spec"]["loadBalancerIP"] == f"192.0.2.{11 + number}"
        assert each["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == f"dhcp-everlease-{number}"
        assert each["spec"]["ports"] == [{"name": "dhcp", "port": 67, "targetPort": "dhcp", "protocol": "UDP"}]


def test_a_shared_service_selects_all_replicas() -> None:
    found = objects("relay-shared")
    (service,) = [each for each in of_kind(found, "Service") if each["spec"].get("type") == "LoadBalancer"]
    assert "statefulset.kubernetes.io/pod-name" not in service["spec"]["selector"]
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert nodes(found)[0]["spec"]["replicas"] == 3


def test_nodes_are_replaced_one_at_a_time() -> None:
    for mode in MODES:
        for each in nodes(objects(f"{mode}-plain")):
            strategy = each["spec"]["updateStrategy"]
            assert strategy["type"] == "RollingUpdate"
            assert strategy.get("rollingUpdate", {"maxUnavailable": 1, "maxSurge": 0}) == {
                "maxUnavailable": 1,
                "maxSurge": 0,
            }
            assert each["spec"]["minReadySeconds"] > 0


def test_the_internal_etcd_is_three_members_apart_with_volumes_of_their_own() -> None:
    found = objects("relay-internal-etcd")
    (etcd,) = [each for each in of_kind(found, "StatefulSet") if each["metadata"]["name"].endswith("-etcd")]
    assert etcd["spec"]["replicas"] == 3
    assert etcd["metadata"]["annotations"] == {"everlease/for": "trials"}
    rule = etcd["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert rule["requiredDuringSchedulingIgnoredDuringExecution"][0]["topologyKey"] == "kubernetes.io/hostname"
    assert etcd["spec"]["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]
    budgets = {each["metadata"]["name"] for each in of_kind(found, "PodDisruptionBudget")}
    assert budgets == {"dhcp-everlease", "dhcp-everlease-etcd"}


def test_the_internal_etcd_runs_as_etcd_is_recommended_to() -> None:
    text = (ROOT / "deploy" / "etcd" / "etcd.env").read_text()
    recommended = dict(re.findall(r"^ETCD_([A-Z_]+)=(.*)$", text, re.MULTILINE))
    (etcd,) = [
        each for each in of_kind(objects("relay-internal-etcd"), "StatefulSet") if "etcd" in each["metadata"]["name"]
    ]
    words = [word.removeprefix("--") for word in etcd["spec"]["template"]["spec"]["containers"][0]["args"]]
    given = {
        name.upper().replace("-", "_"): value or "true" for name, _, value in (word.partition("=") for word in words)
    }
    assert recommended.items() <= given.items()


def test_nothing_is_guessed_from_what_a_cluster_has() -> None:
    assert [
        each["name"] for each in loaded().templates if ".Capabilities" in each["data"] or "lookup " in each["data"]
    ] == []
