"""What cannot work is refused when the chart is rendered, by a line that names the key."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest

from helm.chart import BASES, DOCUMENT, Values, merged, render, switches

SUBNET = DOCUMENT["subnets"][0]


def document(**changed: Any) -> Values:
    """The document with its subnet changed."""
    return {"configuration": {"document": {**DOCUMENT, "subnets": [{**SUBNET, **changed}]}}}


WRONG: list[tuple[str, str, Values, str]] = [
    ("an unknown key", "relay", {"replicas": 3}, "replicas"),
    (
        "an unknown key further down",
        "relay",
        {"relay": {"adresses": ["192.0.2.1"]}},
        "/relay': additional properties 'adresses'",
    ),
    ("an unknown key of a group", "broadcast", {"broadcast": {"groups": [{"nodes": 1}]}}, "/broadcast/groups/0"),
    (
        "an unknown key of the document",
        "relay",
        document(linc="x"),
        "/configuration/document/subnets/0': additional properties 'linc'",
    ),
    ("a prefix that is none", "relay", document(prefix="10.77.0.0/33"), "/configuration/document/subnets/0/prefix"),
    (
        "a pool that is none",
        "relay",
        document(pools=[{"range": "10.77.0.0/40"}]),
        "/configuration/document/subnets/0/pools/0/range",
    ),
    (
        "a lifetime that is none",
        "relay",
        document(**{"valid-lifetime": "soon"}),
        "/configuration/document/subnets/0/valid-lifetime",
    ),
    (
        "a relay's prefix that is none",
        "relay",
        {"networkPolicy": {"relays": ["10.0.0.0/33"]}},
        "/networkPolicy/relays/0",
    ),
    ("an address that is none", "relay", {"relay": {"addresses": ["192.0.2.256"]}}, "/relay/addresses/0"),
    ("an address twice", "relay", {"relay": {"addresses": ["192.0.2.1", "192.0.2.1"]}}, "/relay/addresses"),
    ("no mode", "relay", {"mode": ""}, "/mode"),
    ("a mode that there is not", "relay", {"mode": "unicast"}, "/mode"),
    ("groups in relay mode", "relay", {"broadcast": BASES["broadcast"]["broadcast"]}, "broadcast.groups: "),
    ("addresses in broadcast mode", "broadcast", {"relay": {"addresses": ["192.0.2.1"]}}, "relay.addresses: "),
    (
        "a shared service in broadcast mode",
        "broadcast",
        {"relay": {"shared": {"enabled": True}}},
        "relay.shared.enabled: ",
    ),
    ("Multus in broadcast mode", "broadcast", {"relay": {"multus": {"networks": "a"}}}, "relay.multus.networks: "),
    ("a policy in broadcast mode", "broadcast", {"networkPolicy": {"enabled": True}}, "networkPolicy.enabled: "),
    ("no groups", "broadcast", {"broadcast": {"groups": []}}, "broadcast.groups: "),
    ("no addresses", "relay", {"relay": {"addresses": []}}, "relay.addresses: "),
    ("several addresses of one service", "relay", {"relay": {"shared": {"enabled": True}}}, "relay.addresses: "),
    (
        "two groups of one name",
        "broadcast",
        {"broadcast": {"groups": BASES["broadcast"]["broadcast"]["groups"] * 2}},
        "broadcast.groups: two are named all",
    ),
    ("a port without networks", "relay", {"relay": {"multus": {"port": 67}}}, "relay.multus.networks: "),
    ("a privileged port", "relay", {"relay": {"port": 67}}, "/relay/port"),
    ("no etcd", "relay", {"etcd": {"endpoints": []}}, "etcd.endpoints: "),
    ("an endpoint that is none", "relay", {"etcd": {"endpoints": ["10.0.0.1"]}}, "/etcd/endpoints/0"),
    ("etcd inside and outside", "relay", {"etcd": {"internal": {"enabled": True}}}, "etcd.endpoints: "),
    (
        "TLS without its secret",
        "relay",
        {"etcd": {"endpoints": ["https://a:1"], "tls": {"enabled": True}}},
        "etcd.tls.existingSecret: ",
    ),
    ("a secret without TLS", "relay", {"etcd": {"tls": {"existingSecret": "a"}}}, "etcd.tls.existingSecret: "),
    (
        "TLS to plain endpoints",
        "relay",
        {"etcd": {"tls": {"enabled": True, "existingSecret": "a"}}},
        "etcd.endpoints: ",
    ),
    (
        "TLS to the members inside",
        "relay",
        {"etcd": {"endpoints": [], "internal": {"enabled": True}, "tls": {"enabled": True, "existingSecret": "a"}}},
        "etcd.tls.enabled: ",
    ),
    (
        "a secret's name that is none",
        "relay",
        {"etcd": {"tls": {"existingSecret": "A secret"}}},
        "/etcd/tls/existingSecret",
    ),
    ("nothing said of the admin API", "relay", {"admin": {"insecure": False}}, "admin.tls.existingSecret: "),
    ("TLS that is insecure", "relay", {"admin": {"tls": {"existingSecret": "a"}}}, "admin.insecure: "),
    ("roles without TLS", "relay", {"admin": {"roles": {"existingSecret": "a"}}}, "admin.roles.existingSecret: "),
    (
        "no issuer",
        "relay",
        {"admin": {"insecure": False, "tls": {"certManager": {"enabled": True}}}},
        "admin.tls.certManager.issuerRef.name: ",
    ),
    (
        "two certificates",
        "relay",
        {
            "admin": {
                "insecure": False,
                "tls": {"existingSecret": "a", "certManager": {"enabled": True, "issuerRef": {"name": "b"}}},
            }
        },
        "admin.tls.existingSecret: ",
    ),
    (
        "two documents",
        "relay",
        merged(switches("relay")["document"], switches("relay")["existing-configuration"]),
        "configuration.existingConfigMap.name: ",
    ),
    (
        "two monitors",
        "relay",
        merged(switches("relay")["service-monitor"], switches("relay")["pod-monitor"]),
        "monitoring.podMonitor.enabled: ",
    ),
    ("one port for two servers", "broadcast", {"metrics": {"port": 9067}}, "metrics.port: "),
    ("a number for a word", "relay", {"node": {"logLevel": 3}}, "/node/logLevel"),
    (
        "a word for a switch",
        "relay",
        {"monitoring": {"dashboards": {"enabled": "yes"}}},
        "/monitoring/dashboards/enabled",
    ),
]


@pytest.mark.parametrize(("mode", "values", "words"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_helm_refuses_in_a_line_that_names_the_key(mode: str, values: Values, words: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        render(merged(BASES[mode], values))
    assert [line for line in str(refused.value).splitlines() if words in line] != [], str(refused.value)
