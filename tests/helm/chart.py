"""The chart, loaded once, and what it renders: every switch that it has, in both modes.

Law: a switch is a change of values that some template asks about; a new one gets a row here, and with it every check.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import helm_python
import yaml

from checkout import ROOT

CHART = ROOT / "helm" / "everlease"
RELEASE, NAMESPACE = "dhcp", "net"
Values = dict[str, Any]
Object = dict[str, Any]

DOCUMENT: Values = {
    "schema": 1,
    "valid-lifetime": "1h",
    "option-data": {"domain-name-servers": ["10.77.0.53"]},
    "subnets": [
        {
            "id": 4294967294,  # the largest; Helm keeps numbers as floats
            "prefix": "10.77.0.0/16",
            "link": "office",
            "pools": [{"range": "10.77.16.0-10.77.255.250"}],
            "reservations": [{"hw-address": "02:00:00:00:00:01", "address": "10.77.0.10", "hostname": "yes"}],
        }
    ],
}

BASES: dict[str, Values] = {
    "broadcast": {
        "mode": "broadcast",
        "etcd": {"endpoints": ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]},
        "admin": {"insecure": True},
        "broadcast": {"groups": [{"name": "all", "nodeSelector": {"dhcp": "true"}, "links": {"office": "eth1"}}]},
    },
    "relay": {
        "mode": "relay",
        "etcd": {"endpoints": ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]},
        "admin": {"insecure": True},
        "relay": {"addresses": ["192.0.2.11", "192.0.2.12", "192.0.2.13"]},
    },
}
MODES = tuple(BASES)

BOTH: dict[str, Values] = {
    "document": {"configuration": {"document": DOCUMENT}},
    "existing-configuration": {"configuration": {"existingConfigMap": {"name": "ours", "key": "dhcp.yaml"}}},
    "force": {"configuration": {"document": DOCUMENT, "force": True}},
    "internal-etcd": {"etcd": {"endpoints": [], "internal": {"enabled": True}}},
    "etcd-tls": {
        "etcd": {"endpoints": ["https://etcd.example.org:2379"], "tls": {"enabled": True, "existingSecret": "etcd"}}
    },
    "etcd-ca-only": {
        "etcd": {
            "endpoints": ["https://etcd.example.org:2379"],
            "tls": {"enabled": True, "existingSecret": "etcd", "certKey": "", "keyKey": ""},
        }
    },
    "admin-secret": {"admin": {"insecure": False, "tls": {"existingSecret": "admin"}}},
    "cert-manager": {
        "admin": {"insecure": False, "tls": {"certManager": {"enabled": True, "issuerRef": {"name": "ca"}}}}
    },
    "roles": {"admin": {"insecure": False, "tls": {"existingSecret": "admin"}, "roles": {"existingSecret": "roles"}}},
    "service-monitor": {"monitoring": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}},
    "pod-monitor": {"monitoring": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}},
    "rules": {"monitoring": {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}},
    "dashboards": {"monitoring": {"dashboards": {"enabled": True}}},
    "no-budget": {"podDisruptionBudget": {"enabled": False}},
    "labels": {"commonLabels": {"team": "network"}, "podLabels": {"tier": "infra"}, "podAnnotations": {"note": "x"}},
    "names": {"fullnameOverride": "leases", "nameOverride": "leases"},
    "placed": {
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"disk": "fast"},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "image": {"image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"}},
    "flags": {"node": {"logLeases": True, "logLevel": "debug", "extraArgs": ["--snapshot-keep=3"]}},
    "extra": {
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
        ]
    },
}
ONLY: dict[str, dict[str, Values]] = {
    "broadcast": {
        "groups": {
            "broadcast": {
                "groups": [
                    {"name": "a", "nodeSelector": {"rack": "a"}, "links": {"office": "eth1", "lab": "eth2"}},
                    {
                        "name": "b",
                        "nodeSelector": {"rack": "b"},
                        "links": {"office": "bond0.7"},
                        "tolerations": [{"key": "rack", "operator": "Equal", "value": "b"}],
                    },
                ],
                "minAvailable": 2,
            }
        },
    },
    "relay": {
        "shared": {"relay": {"addresses": ["192.0.2.11"], "shared": {"enabled": True}}},
        "load-balancers": {
            "relay": {
                "service": {
                    "annotations": {"pool": "dhcp"},
                    "addressAnnotation": "metallb.io/loadBalancerIPs",
                    "loadBalancerIP": False,
                    "loadBalancerClass": "example.org/lb",
                }
            }
        },
        "multus": {"relay": {"multus": {"networks": "dhcp/vlan7", "port": 67}}},
        "no-drain": {"relay": {"drainSeconds": 0}},
        "policy": {
            "networkPolicy": {
                "enabled": True,
                "relays": ["10.0.0.0/8"],
                "adminFrom": [{"namespaceSelector": {"matchLabels": {"team": "network"}}}],
                "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "metrics"}}}],
            }
        },
    },
}
APART = (
    {"document", "existing-configuration", "force"},
    {"internal-etcd", "etcd-tls", "etcd-ca-only"},
    {"admin-secret", "cert-manager", "roles"},
    {"service-monitor", "pod-monitor"},
)
"""Of each set one at most."""


def switches(mode: str) -> dict[str, Values]:
    """Every switch of a mode, by name."""
    return {**BOTH, **ONLY[mode]}


def together(names: Iterable[str]) -> bool:
    """Whether these switches may be set at once."""
    chosen = set(names)
    return all(len(chosen & each) < 2 for each in APART)


def cases() -> Iterator[tuple[str, str, Values]]:
    """(mode, name, values): nothing, each switch alone, and as many as may be together, from both ends."""
    for mode in MODES:
        table = switches(mode)
        yield mode, "plain", BASES[mode]
        for name, values in table.items():
            yield mode, name, merged(BASES[mode], values)
        for name, order in (("most", list(table)), ("most-others", list(reversed(table)))):
            chosen: list[str] = []
            for each in order:
                if together([*chosen, each]):
                    chosen.append(each)
            yield mode, name, merged(BASES[mode], *(table[each] for each in chosen))


def merged(*layers: Mapping[str, Any]) -> Values:
    """Values over values, as Helm lays them: mappings are merged, all else is replaced."""
    out: Values = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(out.get(key), dict)
            out[key] = merged(out[key], value) if both else copy.deepcopy(value)
    return out


@cache
def loaded() -> helm_python.Chart:
    """Helm's own reading of the chart."""
    return helm_python.Chart.load(CHART)


def texts(values: Values) -> dict[str, str]:
    """Template -> what it renders. Raises HelmError."""
    return _texts(json.dumps(values, sort_keys=True))


@cache
def _texts(values: str) -> dict[str, str]:
    return loaded().render(json.loads(values), name=RELEASE, namespace=NAMESPACE)


def render(values: Values) -> list[Object]:
    """Every object, in the order of files; notes left out."""
    manifests = (text for name, text in sorted(texts(values).items()) if name.endswith(".yaml"))
    return [each for text in manifests for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def pods(objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """(kind and name of the owner, pod: metadata and spec)."""
    for each in objects:
        if each["kind"] == "Pod":
            yield f"Pod {each['metadata']['name']}", each
        elif "template" in each.get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


def nodes(objects: Iterable[Object]) -> list[Object]:
    """The workloads that run `everlease node`."""
    found = of_kind(objects, "DaemonSet", "StatefulSet")
    return [each for each in found if each["metadata"]["labels"]["app.kubernetes.io/component"] == "node"]


def arguments(workload: Object, **environment: str) -> list[str]:
    """The arguments of a node's container after its command, with $(NAME) put in as the kubelet does."""
    words = [str(word) for word in workload["spec"]["template"]["spec"]["containers"][0]["args"]]
    for name, value in environment.items():
        words = [word.replace(f"$({name})", value) for word in words]
    return words
