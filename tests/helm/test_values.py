"""Every value is documented, typed and does something; what is generated from them is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from checkout import ROOT
from everlease.config.load import load
from everlease.config.schema import json_schema
from helm.chart import BASES, CHART, DOCUMENT, Values, loaded, merged, of_kind, render, switches, texts

EXAMPLES = sorted((ROOT / "deploy" / "examples").glob("*.yaml"))
ROWS = dict(re.findall(r"^\| `([A-Za-z.]+)` \| `.*?` \| (.*) \|$", (CHART / "README.md").read_text(), re.MULTILINE))

CHANGED: dict[str, tuple[str, list[str], Any]] = {
    "mode": ("broadcast", [], None),
    "nameOverride": ("relay", [], "leases"),
    "fullnameOverride": ("relay", [], "leases"),
    "commonLabels": ("relay", [], {"team": "network"}),
    "podLabels": ("broadcast", [], {"team": "network"}),
    "podAnnotations": ("broadcast", [], {"team": "network"}),
    "imagePullSecrets": ("relay", [], [{"name": "registry"}]),
    "priorityClassName": ("broadcast", [], "system-cluster-critical"),
    "tolerations": ("broadcast", [], [{"operator": "Exists"}]),
    "nodeSelector": ("relay", [], {"disk": "fast"}),
    "resources": ("relay", [], {"limits": {"memory": "2Gi"}}),
    "extraObjects": ("relay", [], ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"]),
    "image.repository": ("relay", [], "registry.example.org/everlease"),
    "image.tag": ("relay", [], "next"),
    "image.digest": ("relay", [], "sha256:" + "a" * 64),
    "image.pullPolicy": ("broadcast", [], "Always"),
    "node.logLevel": ("broadcast", [], "debug"),
    "node.logLeases": ("broadcast", [], True),
    "node.extraArgs": ("broadcast", [], ["--snapshot-keep=3"]),
    "etcd.endpoints": ("broadcast", [], ["http://10.0.0.9:2379"]),
    "etcd.prefix": ("broadcast", [], "/other"),
    "etcd.tls.enabled": ("relay", ["etcd-tls"], None),
    "etcd.tls.existingSecret": ("relay", ["etcd-tls"], "other"),
    "etcd.tls.caKey": ("relay", ["etcd-tls"], "other.crt"),
    "etcd.tls.certKey": ("relay", ["etcd-tls"], "other.crt"),
    "etcd.tls.keyKey": ("relay", ["etcd-tls"], "other.key"),
    "etcd.internal.enabled": ("relay", ["internal-etcd"], None),
    "etcd.internal.image.repository": ("relay", ["internal-etcd"], "registry.example.org/etcd"),
    "etcd.internal.image.tag": ("relay", ["internal-etcd"], "v3.5.33"),
    "etcd.internal.image.pullPolicy": ("relay", ["internal-etcd"], "Always"),
    "etcd.internal.heartbeatInterval": ("relay", ["internal-etcd"], 100),
    "etcd.internal.electionTimeout": ("relay", ["internal-etcd"], 1000),
    "etcd.internal.quotaBackendBytes": ("relay", ["internal-etcd"], 2147483648),
    "etcd.internal.persistence.size": ("relay", ["internal-etcd"], "4Gi"),
    "etcd.internal.persistence.storageClass": ("relay", ["internal-etcd"], "local"),
    "etcd.internal.resources": ("relay", ["internal-etcd"], {"limits": {"memory": "4Gi"}}),
    "configuration.document": ("relay", [], DOCUMENT),
    "configuration.existingConfigMap.name": ("relay", [], "ours"),
    "configuration.existingConfigMap.key": ("relay", ["existing-configuration"], "other.yaml"),
    "configuration.force": ("relay", ["document"], True),
    "configuration.job.activeDeadlineSeconds": ("relay", ["document"], 60),
    "configuration.job.resources": ("relay", ["document"], {"limits": {"memory": "1Gi"}}),
    "broadcast.groups": (
        "broadcast",
        [],
        [{"name": "other", "nodeSelector": {"dhcp": "true"}, "links": {"office": "eth2"}}],
    ),
    "broadcast.minAvailable": ("broadcast", [], 2),
    "relay.addresses": ("relay", [], ["192.0.2.21", "192.0.2.22"]),
    "relay.shared.enabled": ("relay", ["shared"], None),
    "relay.shared.replicas": ("relay", ["shared"], 5),
    "relay.port": ("relay", [], 1067),
    "relay.service.annotations": ("relay", [], {"pool": "dhcp"}),
    "relay.service.addressAnnotation": ("relay", [], "metallb.io/loadBalancerIPs"),
    "relay.service.loadBalancerIP": ("relay", [], False),
    "relay.service.loadBalancerClass": ("relay", [], "example.org/lb"),
    "relay.drainSeconds": ("relay", [], 9),
    "relay.multus.networks": ("relay", [], "dhcp/vlan7"),
    "relay.multus.port": ("relay", ["multus"], 1067),
    "admin.port": ("broadcast", [], 9000),
    "admin.insecure": ("relay", ["admin-secret"], None),
    "admin.tls.existingSecret": ("relay", ["admin-secret"], "other"),
    "admin.tls.certManager.enabled": ("relay", ["cert-manager"], None),
    "admin.tls.certManager.issuerRef.name": ("relay", ["cert-manager"], "other"),
    "admin.tls.certManager.issuerRef.kind": ("relay", ["cert-manager"], "ClusterIssuer"),
    "admin.tls.certManager.issuerRef.group": ("relay", ["cert-manager"], "awspca.cert-manager.io"),
    "admin.tls.certManager.duration": ("relay", ["cert-manager"], "720h"),
    "admin.tls.certManager.renewBefore": ("relay", ["cert-manager"], "240h"),
    "admin.roles.existingSecret": ("relay", ["roles"], "other"),
    "admin.roles.key": ("relay", ["roles"], "other.yaml"),
    "metrics.port": ("broadcast", [], 9100),
    "podDisruptionBudget.enabled": ("broadcast", [], False),
    "networkPolicy.enabled": ("relay", [], True),
    "networkPolicy.relays": ("relay", ["policy"], ["192.0.2.0/24"]),
    "networkPolicy.adminFrom": ("relay", ["policy"], [{"podSelector": {}}]),
    "networkPolicy.metricsFrom": ("relay", ["policy"], [{"podSelector": {}}]),
    "monitoring.serviceMonitor.enabled": ("relay", [], True),
    "monitoring.serviceMonitor.interval": ("relay", ["service-monitor"], "30s"),
    "monitoring.serviceMonitor.labels": ("relay", ["service-monitor"], {"release": "other"}),
    "monitoring.podMonitor.enabled": ("relay", [], True),
    "monitoring.podMonitor.interval": ("relay", ["pod-monitor"], "30s"),
    "monitoring.podMonitor.labels": ("relay", ["pod-monitor"], {"release": "other"}),
    "monitoring.prometheusRule.enabled": ("relay", [], True),
    "monitoring.prometheusRule.labels": ("relay", ["rules"], {"release": "other"}),
    "monitoring.dashboards.enabled": ("relay", [], True),
    "monitoring.dashboards.label": ("relay", ["dashboards"], "dashboard"),
}
"""Value -> where it counts (mode, switches), and something else that it may be; None: the switches are the change."""


def leaves(values: Values, path: str = "") -> Iterator[str]:
    """Every documented value of values.yaml, and every other one that holds no further values."""
    for key, value in values.items():
        name = f"{path}{key}"
        if name not in ROWS and isinstance(value, dict) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name


DEFAULTS: Values = yaml.safe_load((CHART / "values.yaml").read_text())


def at(path: str, value: Any) -> Values:
    """Values that say only this."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def test_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "helm/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_value_is_documented_in_a_sentence() -> None:
    assert sorted(ROWS) == sorted(leaves(DEFAULTS))
    assert [name for name, words in ROWS.items() if len(words) < 10 or not words.endswith((".", ")"))] == []


def test_every_value_has_a_row_here_that_changes_it() -> None:
    assert sorted(CHANGED) == sorted(leaves(DEFAULTS))


@pytest.mark.parametrize("path", CHANGED)
def test_every_value_does_something(path: str) -> None:
    mode, names, value = CHANGED[path]
    before = merged(BASES[mode], *(switches(mode)[name] for name in names))
    if path == "mode":
        after, before = BASES["relay"], BASES["broadcast"]
    elif value is None:
        after, before = before, BASES[mode]
    else:
        after = merged(before, at(path, value))
    assert texts(before) != texts(after)


def test_the_schema_holds_the_configurations_own() -> None:
    own, chart = json_schema(), loaded().schema
    assert chart is not None
    for name, definition in own["$defs"].items():
        assert set(chart["$defs"][name]["properties"]) == set(definition["properties"])
    assert set(chart["$defs"]["Document"]["properties"]) == set(own["properties"])


def open_mappings(schema: Any, path: str = "") -> Iterator[str]:
    """Mappings with keys of their own that would let unknown ones pass."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield path
        for key, value in schema.items():
            yield from open_mappings(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from open_mappings(value, f"{path}[{number}]")


def test_no_mapping_of_the_schema_takes_unknown_keys() -> None:
    assert list(open_mappings(loaded().schema)) == []


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(loaded().schema)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_a_configuration_means_the_same_through_the_chart(example: Any) -> None:
    text = example.read_text()
    values = merged(BASES["relay"], {"configuration": {"document": yaml.safe_load(text)}})
    (config_map,) = of_kind(render(values), "ConfigMap")
    assert load(config_map["data"]["everlease.yaml"]) == load(text)


def test_the_examples_of_the_readme_render() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    assert [yaml.safe_load(text)["mode"] for text in examples] == ["broadcast", "relay"]
    assert all(render(yaml.safe_load(text)) for text in examples)
