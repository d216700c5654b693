"""The chart's values as a type: values.schema.json follows from it, the cluster configuration's own schema included.

The law of this file: what a single value may be is said here; what values may not be together, in
templates/_checks.tpl. Every key of values.yaml is a field here and the other way round.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from everlease.config.schema import Document

_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ADDRESS = rf"({_OCTET}\.){{3}}{_OCTET}"

Address = Annotated[str, Field(pattern=rf"^{_ADDRESS}$")]
Prefix = Annotated[str, Field(pattern=rf"^{_ADDRESS}/(3[0-2]|[12]?\d)$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=22)]
"""Of a group: with a full name of 40 characters it still names an object."""
OptionalName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", max_length=253)]
"""Of an object of Kubernetes; empty = not given."""
Port = Annotated[int, Field(ge=1, le=65535)]
Milliseconds = Annotated[int, Field(ge=10, le=50_000)]
Link = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Interface = Annotated[str, Field(pattern=r"^[^\s/=]+$", min_length=1, max_length=15)]
Span = Annotated[str, Field(pattern=r"^([0-9]+(h|m|s))+$")]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
Labels = dict[str, str]
Kubernetes = dict[str, Any]
"""Handed on as it is; Kubernetes checks it."""


class Values(BaseModel):
    """Base of every mapping: keys as Helm writes them, and no others."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Image(Values):
    """Which image."""

    repository: str = Field(min_length=1)
    tag: str
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]
    pull_policy: PullPolicy


class Node(Values):
    """Flags of every node."""

    log_level: Literal["debug", "info", "warning", "error"]
    log_leases: bool
    extra_args: list[Annotated[str, Field(pattern="^-")]]


class EtcdTls(Values):
    """TLS towards etcd."""

    enabled: bool
    existing_secret: OptionalName
    ca_key: str
    cert_key: str
    key_key: str


class EtcdImage(Values):
    """The upstream image."""

    repository: str = Field(min_length=1)
    tag: str = Field(min_length=1)
    pull_policy: PullPolicy


class Persistence(Values):
    """A member's volume."""

    size: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(Mi|Gi|Ti|M|G|T)$")]
    storage_class: str


class InternalEtcd(Values):
    """Three members for trials."""

    enabled: bool
    image: EtcdImage
    heartbeat_interval: Milliseconds
    election_timeout: Milliseconds
    quota_backend_bytes: Annotated[int, Field(ge=1 << 20)]
    persistence: Persistence
    resources: Kubernetes


class Etcd(Values):
    """The store."""

    endpoints: list[Annotated[str, Field(pattern=r"^https?://[^\s,/]+:[0-9]+$")]]
    prefix: Annotated[str, Field(pattern=r"^/[^\s]+$")]
    tls: EtcdTls
    internal: InternalEtcd


class ExistingConfigMap(Values):
    """A ConfigMap that holds the document."""

    name: OptionalName
    key: str = Field(min_length=1)


class Job(Values):
    """The Job that applies the configuration."""

    active_deadline_seconds: Annotated[int, Field(ge=1)]
    resources: Kubernetes


class Configuration(Values):
    """The cluster configuration, and how it is applied. `document`: empty = none is applied."""

    document: Document
    existing_config_map: ExistingConfigMap
    force: bool
    job: Job


class Group(Values):
    """Hosts that name their interfaces alike."""

    name: Name
    node_selector: Labels = Field(min_length=1)
    links: dict[Link, Interface] = Field(min_length=1)
    tolerations: list[Kubernetes] = Field(default_factory=list)


class Broadcast(Values):
    """DaemonSets on the host network."""

    groups: list[Group]
    min_available: Annotated[int, Field(ge=1)]


class Shared(Values):
    """One Service for all replicas."""

    enabled: bool
    replicas: Annotated[int, Field(ge=1, le=9)]


class LoadBalancer(Values):
    """How the load balancers are asked for."""

    annotations: Labels
    address_annotation: str
    load_balancer_ip: bool = Field(alias="loadBalancerIP")
    load_balancer_class: str


class Multus(Values):
    """Further networks of the pods."""

    networks: str
    port: Annotated[int, Field(ge=0, le=65535)]


class Relay(Values):
    """A StatefulSet behind UDP load balancers."""

    addresses: list[Address] = Field(max_length=9, json_schema_extra={"uniqueItems": True})
    shared: Shared
    port: Annotated[int, Field(ge=1024, le=65535)]
    service: LoadBalancer
    drain_seconds: Annotated[int, Field(ge=0, le=60)]
    multus: Multus


class IssuerRef(Values):
    """Who signs."""

    name: OptionalName
    kind: Literal["Issuer", "ClusterIssuer"]
    group: str


class CertManager(Values):
    """A certificate by cert-manager."""

    enabled: bool
    issuer_ref: IssuerRef
    duration: Span
    renew_before: Span


class AdminTls(Values):
    """TLS of the admin API."""

    existing_secret: OptionalName
    cert_manager: CertManager


class Roles(Values):
    """Who may do what."""

    existing_secret: OptionalName
    key: str = Field(min_length=1)


class Admin(Values):
    """The admin API."""

    port: Port
    insecure: bool
    tls: AdminTls
    roles: Roles


class Metrics(Values):
    """Metrics, health, console."""

    port: Port


class Budget(Values):
    """Whether evictions are bounded."""

    enabled: bool


class Policy(Values):
    """Who may reach the pods of relay mode."""

    enabled: bool
    relays: list[Prefix]
    admin_from: list[Kubernetes]
    metrics_from: list[Kubernetes]


class Monitor(Values):
    """A ServiceMonitor or PodMonitor."""

    enabled: bool
    interval: Span
    labels: Labels


class Rules(Values):
    """A PrometheusRule."""

    enabled: bool
    labels: Labels


class Dashboards(Values):
    """ConfigMaps for Grafana's sidecar."""

    enabled: bool
    label: str = Field(min_length=1)


class Monitoring(Values):
    """What the Prometheus operator and Grafana take."""

    service_monitor: Monitor
    pod_monitor: Monitor
    prometheus_rule: Rules
    dashboards: Dashboards


class Chart(Values):
    """All values."""

    mode: Literal["broadcast", "relay"]
    name_override: OptionalName
    fullname_override: OptionalName
    common_labels: Labels
    pod_labels: Labels
    pod_annotations: Labels
    image_pull_secrets: list[Kubernetes]
    priority_class_name: str
    tolerations: list[Kubernetes]
    node_selector: Labels
    resources: Kubernetes
    extra_objects: list[Annotated[str | Kubernetes, WithJsonSchema({"type": ["string", "object"]})]]
    image: Image
    node: Node
    etcd: Etcd
    configuration: Configuration
    broadcast: Broadcast
    relay: Relay
    admin: Admin
    metrics: Metrics
    pod_disruption_budget: Budget
    network_policy: Policy
    monitoring: Monitoring
    global_: Annotated[dict[str, Any], Field(alias="global")] = Field(default_factory=dict)
