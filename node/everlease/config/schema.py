"""The document as a type: every key of the cluster configuration, once. JSON Schema, checks and Helm's values follow.

The law of this file: a key is a field here, with its one sentence; what it means together with others is `compile`'s.
Field names are the keys with underscores for hyphens.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from everlease.config.fields import (
    Address,
    Allocator,
    Duration,
    Grace,
    Hardware,
    HostName,
    Identifier,
    Identity,
    Lifetime,
    Moment,
    Prefix,
    Quota,
    Range,
    Rate,
    Share,
    State,
    Switch,
    Unknown,
)

Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*)$")]
Space = Annotated[str, StringConstraints(max_length=32, pattern=r"^[a-z0-9-]+$")]
Text = Annotated[str, StringConstraints(max_length=4096)]


class Level(BaseModel):
    """Base of every mapping of the document: hyphenated keys, and no others."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"), extra="forbid", coerce_numbers_to_str=True
    )


class PingCheck(Level):
    """Whether an address is probed by ICMP echo before it is first offered."""

    enabled: Switch | None = None
    timeout: Moment | None = Field(default=None, gt=0, le=4, description="how long an answer is waited for")
    cache: Moment | None = Field(default=None, le=86400, description="how long a probe's outcome is believed")


class Leaf(Level):
    """What every level may say, from the whole document down to one reservation; the most specific one wins."""

    valid_lifetime: Lifetime | None = Field(default=None, description="how long a lease lasts")
    min_valid_lifetime: Lifetime | None = Field(default=None, description="least that a client may ask for")
    max_valid_lifetime: Lifetime | None = Field(default=None, description="most that a client may ask for")
    renew_time: Lifetime | None = Field(default=None, description="T1; half of the lease if not given")
    rebind_time: Lifetime | None = Field(default=None, description="T2; 7/8 of the lease if not given")
    offer_lifetime: Duration | None = Field(default=None, ge=1, le=3600, description="how long an offer is held")
    affinity: Duration | None = Field(default=None, description="how long an ended lease is remembered for its client")
    decline_probation: Duration | None = Field(default=None, description="how long a declined address stays unused")
    authoritative: Switch | None = Field(default=None, description="NAK an INIT-REBOOT for an unknown address")
    rapid_commit: Switch | None = Field(default=None, description="two messages instead of four (RFC 4039)")
    ping_check: PingCheck | None = None
    next_server: Address | None = Field(
        default=None, description="siaddr, and option 66 unless server-hostname is given"
    )
    server_hostname: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="sname and option 66"
    )
    boot_file_name: Annotated[str, StringConstraints(max_length=127)] | None = Field(
        default=None, description="file and option 67"
    )
    option_data: dict[str, Any] = Field(
        default_factory=dict, description="options by IANA name or code; a value, or {value: ..., send: ...}"
    )


class Branch(Leaf):
    """What the document, a shared network and a subnet may say, and what lies below them inherits."""

    client_identity: Identity | None = Field(default=None, description="what tells clients apart")
    unknown_clients: Unknown | None = Field(default=None, description="deny: only reservations are served")
    allocator: Allocator | None = Field(default=None, description="ordered: lowest free address first")
    trust_option_82: Switch | None = Field(default=None, description="use option 82 of packets without giaddr")
    strict_relays: Switch | None = Field(default=None, description="accept only giaddrs listed in relays")


class Pool(Leaf):
    """Addresses for clients without a reservation."""

    range: Range
    state: State = "active"
    classes: list[Word] = Field(default_factory=list, description="only for clients of one of these classes")


class Reservation(Leaf):
    """What is kept for one client: an address, a name, options. Found by exactly one identifier, and a relay."""

    hw_address: Hardware | None = None
    client_id: Identifier | None = None
    circuit_id: Identifier | None = None
    remote_id: Identifier | None = None
    relay: Address | None = Field(default=None, description="giaddr that must match as well")
    address: Address | None = None
    hostname: HostName | None = None
    description: Text = ""


class Subnet(Branch):
    """One prefix; its id is yours and is never renumbered."""

    id: int = Field(ge=1, le=0xFFFFFFFE)
    name: Word | None = None
    description: Text = ""
    labels: dict[Word, Text] = Field(default_factory=dict)
    space: Space = "default"
    prefix: Prefix
    link: Label | None = Field(default=None, description="what a node names with --interface LABEL=IF")
    relays: list[Address] = Field(default_factory=list, description="giaddrs outside the prefix")
    state: State = "active"
    pools: list[Pool] = Field(default_factory=list)
    exclude: list[Range] = Field(default_factory=list)
    reservations: list[Reservation] = Field(default_factory=list)


class SharedNetwork(Branch):
    """Subnets on one link, which count as one."""

    name: Word
    description: Text = ""
    subnets: list[int] = Field(min_length=1)


class ClientClass(Leaf):
    """Clients that a match picks out, and what they get."""

    name: Word
    description: Text = ""
    match: dict[str, Any] = Field(description="all, any, not, or tests like {hw-address: {prefix: '02:00:5e'}}")
    action: Literal["drop"] | None = Field(default=None, description="drop: silence")


class OptionDefinition(Level):
    """An option of your own, or another type for a known code."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
    code: int = Field(ge=1, le=254)
    type: str
    array: Switch = Field(default=False, description="a list of the type")


class Cluster(Level):
    """How the cluster behaves."""

    on_quorum_loss: Literal["extend-known", "strict"] = "extend-known"
    clock_margin: Moment = Field(default=5.0, ge=0.1, le=300)
    grace: Grace = Field(default=None, le=30 * 86400, description="how long a record outlives what the client was told")
    store_quota: Quota = Field(default=None, description="etcd's --quota-backend-bytes, if it differs from the default")


class Limits(Level):
    """What an outsider may ask of the cluster."""

    packets_per_client: Rate = Field(default=10.0, description="what one client, by its hardware address, may send")
    packets_per_circuit: Rate = Field(default=0.0, description="of one circuit of a relay, or of a relay without them")
    packets_per_link: Rate = Field(default=0.0, description="of one link of a node")
    declines_per_client: Rate = Field(default=6 / 60, description="DECLINEs; a minute's worth at once")
    declines_per_circuit: Rate = Field(default=1.0, description="DECLINEs by circuit, or by link without a relay")
    releases_per_circuit: Rate = Field(default=0.0, description="RELEASEs by circuit, or by link without a relay")
    leases_per_circuit: int = Field(default=0, ge=0, description="bindings at a time; 0 = any number")
    declined_share: Share = Field(default=0.25, description="of a subnet's dynamic addresses, on probation at a time")


class Document(Branch):
    """The whole cluster configuration."""

    version: Literal[1] = Field(default=1, alias="schema")
    cluster: Cluster = Field(default_factory=Cluster)
    limits: Limits = Field(default_factory=Limits)
    option_def: list[OptionDefinition] = Field(default_factory=list)
    client_classes: list[ClientClass] = Field(default_factory=list)
    subnets: list[Subnet] = Field(default_factory=list)
    shared_networks: list[SharedNetwork] = Field(default_factory=list)


@cache
def json_schema() -> dict[str, Any]:
    """The document's JSON Schema (draft 2020-12), for editors and for Helm's values."""
    schema = Document.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Everlease cluster configuration"} | {
        key: value for key, value in schema.items() if key != "title"
    }
