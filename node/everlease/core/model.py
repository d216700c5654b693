"""The compiled cluster configuration: what `config.compile` makes of the operator's document, and `core` reads.

Values are immutable and already encoded: addresses are ints, option values bytes. One `Config` is one revision; a
packet is decided on exactly one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from everlease.core.plan import SubnetPlan
    from everlease.core.policy import Resolved

ACTIVE: Final = "active"
DRAINING: Final = "draining"
DISABLED: Final = "disabled"

SEND_REQUESTED, SEND_ALWAYS, SEND_NEVER = range(3)


@dataclass(frozen=True, slots=True)
class OptionValue:
    """One option to send: `data` encoded as on the wire, `send` one of SEND_REQUESTED, SEND_ALWAYS, SEND_NEVER."""

    data: bytes
    send: int = SEND_REQUESTED


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one level of the document says; None = says nothing, ask the level above. Lifetimes in seconds.

    Order of inheritance: global > shared network > subnet > pool > class > reservation, the most specific wins.
    """

    valid_lifetime: int | None = None
    min_valid_lifetime: int | None = None
    max_valid_lifetime: int | None = None
    renew_time: int | None = None
    rebind_time: int | None = None
    offer_lifetime: int | None = None
    affinity: int | None = None
    decline_probation: int | None = None
    authoritative: bool | None = None
    rapid_commit: bool | None = None
    client_identity: str | None = None
    ping_check: PingCheck | None = None
    next_server: int | None = None
    server_hostname: bytes | None = None
    boot_file_name: bytes | None = None
    options: Mapping[int, OptionValue] = field(default_factory=dict)


EMPTY: Final = Parameters()
"""Shared by every level that says nothing: most of 100,000 reservations."""


@dataclass(frozen=True, slots=True)
class PingCheck:
    """Whether an address is probed by ICMP echo before a first offer; times in seconds."""

    enabled: bool = False
    timeout: float = 0.5
    cache: float = 600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Parameters resolved through every level for one (subnet, pool, classes, reservation): nothing is None."""

    valid_lifetime: int
    min_valid_lifetime: int
    max_valid_lifetime: int
    renew_time: int | None  # None: half of the lifetime told (RFC 2131 4.4.5)
    rebind_time: int | None  # None: 0.875 of the lifetime told
    offer_lifetime: int
    affinity: int
    decline_probation: int
    authoritative: bool
    rapid_commit: bool
    next_server: int
    server_hostname: bytes
    boot_file_name: bytes
    options: Mapping[int, OptionValue]
    ping_check: PingCheck


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses for dynamic clients: `first`..`last` inclusive; `ranges` is the same less the subnet's exclusions.

    classes: the client must be in one of them; empty = anybody. state: as a subnet's, of its dynamic clients alone.
    """

    first: int
    last: int
    ranges: tuple[tuple[int, int], ...]
    classes: frozenset[str]
    parameters: Parameters
    state: str = ACTIVE


@dataclass(frozen=True, slots=True)
class Reservation:
    """An address (0 = none: only parameters) kept for one client, found by one identifier.

    kind: hw-address | client-id | circuit-id | remote-id; value: its bytes (for hw-address: htype byte + address);
    relay: giaddr that must match, or 0. source: config | api. revision: etcd's mod revision of an `api` one, else 0.
    """

    kind: str
    value: bytes
    relay: int
    address: int
    subnet: int
    hostname: str
    parameters: Parameters
    source: str = "config"
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Subnet:
    """One prefix with its pools. `id` is the operator's and never renumbered; `space` its address space."""

    id: int
    name: str
    space: str
    prefix: int
    length: int
    link: str | None
    relays: frozenset[int]
    strict_relays: bool
    trust_option_82: bool
    state: str
    unknown_clients: str  # allow | deny
    allocator: str  # hashed | ordered
    client_identity: str  # client-id | hw-address, resolved
    pools: tuple[Pool, ...]
    exclude: tuple[tuple[int, int], ...]
    parameters: Parameters
    reservations: Mapping[tuple[str, bytes, int], Reservation]  # by (kind, value, relay)
    reserved: Mapping[int, Reservation]  # by address
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def holds(self, address: int) -> bool:
        """Whether the address lies in the prefix."""
        return (address ^ self.prefix) >> (32 - self.length) == 0


@dataclass(frozen=True, slots=True)
class Network:
    """Subnets that count as one: a shared network, or one subnet by itself (name = "")."""

    name: str
    subnets: tuple[Subnet, ...]
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class ClientClass:
    """Clients that a match picks out. `match` gets the facts that `core.classify` takes from a packet.

    action: "" or "drop" (such a client gets silence).
    """

    name: str
    match: Callable[[Mapping[str, bytes]], bool]
    action: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How the cluster behaves: on_quorum_loss extend-known | strict; seconds; grace and store_quota None = auto."""

    on_quorum_loss: str = "extend-known"
    clock_margin: float = 5.0
    grace: int | None = None
    store_quota: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an outsider may do; 0 = no limit. Rates: per second; declined_share: of a subnet's dynamic addresses."""

    packets_per_client: float = 10.0
    packets_per_circuit: float = 0.0
    packets_per_link: float = 0.0
    declines_per_client: float = 6 / 60
    declines_per_circuit: float = 1.0
    releases_per_circuit: float = 0.0
    declined_share: float = 0.25
    leases_per_circuit: int = 0


@dataclass(slots=True)
class Derived:
    """What decisions have worked out from one revision and may use again. Bounded by its users; starts empty.

    policies: by the levels that apply (core.policy); plans: of a subnet's pools, by subnet id (core.plan); relays: the
    network that a giaddr leads to, or None, and how or why not (core.select).
    """

    policies: dict[tuple[object, ...], Resolved] = field(default_factory=dict)
    plans: dict[int, SubnetPlan] = field(default_factory=dict)
    relays: dict[int, tuple[Network | None, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """One revision of the cluster configuration, compiled. Look-ups by relay, link and address are in core.select.

    revision: the number that operators see (1, 2, ...); mod_revision: etcd's, of `config/current`, for the fence.
    """

    revision: int
    mod_revision: int
    parameters: Parameters
    cluster: ClusterSettings
    limits: Limits
    classes: tuple[ClientClass, ...]
    networks: tuple[Network, ...]
    subnets: Mapping[int, Subnet]
    network_of: Mapping[int, Network]  # by subnet id
    by_relay: Mapping[int, Network]  # giaddrs named in a subnet's `relays`
    by_link: Mapping[str, Network]  # link labels named by a subnet
    by_prefix: Mapping[int, Mapping[int, Subnet]]  # prefix length -> prefix >> (32 - length) -> subnet
    option_names: Mapping[int, str] = field(default_factory=dict)  # of option-def, for explain
    option_types: Mapping[int, str] = field(default_factory=dict)  # of option-def, as `wire.kinds.BY_NAME` names them
    derived: Derived = field(init=False, repr=False, compare=False, default_factory=Derived)
