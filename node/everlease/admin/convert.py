"""Between the node's values and the API's messages: addresses, times, clients, leases, subnets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from everlease.admin.answers import invalid
from everlease.core.identity import LONGEST, TAG_CLIENT_ID, TAG_HARDWARE
from everlease.core.lifecycle import grace_of
from everlease.core.model import ACTIVE, DISABLED, DRAINING, Config, Subnet
from everlease.pb.admin.v1 import cluster_service_pb2, lease_service_pb2, subnet_service_pb2
from everlease.runtime import lifeline
from everlease.store.records import LeaseRecord

DEFAULT_SPACE: Final = "default"
_SPACE: Final = re.compile(r"[a-z0-9-]{1,63}")
_ETHERNET: Final = b"\x01"

_UNBOUND: Final = {
    "offered": lease_service_pb2.LEASE_STATE_OFFERED,
    "released": lease_service_pb2.LEASE_STATE_RELEASED,
    "declined": lease_service_pb2.LEASE_STATE_DECLINED,
}
_NODE_STATES: Final = {
    lifeline.JOINING: cluster_service_pb2.NODE_STATE_JOINING,
    lifeline.SERVING: cluster_service_pb2.NODE_STATE_SERVING,
    lifeline.EXTENDING: cluster_service_pb2.NODE_STATE_EXTENDING,
    lifeline.DEGRADED: cluster_service_pb2.NODE_STATE_DEGRADED,
    lifeline.DRAINING: cluster_service_pb2.NODE_STATE_DRAINING,
    lifeline.STOPPED: cluster_service_pb2.NODE_STATE_STOPPED,
}
_SUBNET_STATES: Final = {
    ACTIVE: subnet_service_pb2.SUBNET_STATE_ACTIVE,
    DRAINING: subnet_service_pb2.SUBNET_STATE_DRAINING,
    DISABLED: subnet_service_pb2.SUBNET_STATE_DISABLED,
}
STATE_WORDS: Final = {state: word for word, state in _SUBNET_STATES.items()}
"""State of a subnet or pool -> its word in the document."""


def dotted(address: int) -> str:
    """An IPv4 address as text; 0 is "" (there is none)."""
    if not address:
        return ""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def address_of(text: str, field: str) -> int:
    """An IPv4 address of a request. Raises Refusal that names the field."""
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        raise invalid(field, f"{text!r} is no IPv4 address") from None


def space_of(text: str) -> str:
    """The address space of a request. Raises Refusal."""
    if text and not _SPACE.fullmatch(text):
        raise invalid("space", f"{text!r} is no address space: lower-case letters, digits and hyphens")
    return text or DEFAULT_SPACE


def octets_of(text: str, field: str) -> bytes:
    """Octets written in hexadecimal, with or without colons or hyphens. Raises Refusal."""
    try:
        octets = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        octets = b""
    if not octets:
        raise invalid(field, f"{text!r} is not hexadecimal: write 02:00:00:00:00:01")
    return octets


def client_keys(octets: bytes) -> tuple[bytes, ...]:
    """The keys under which a client known by these octets may have its leases: a key, a MAC, a client identifier."""
    found = (octets, TAG_HARDWARE + _ETHERNET + octets, TAG_CLIENT_ID + _ETHERNET + octets, TAG_CLIENT_ID + octets)
    return tuple(key for key in found if len(key) <= LONGEST)


def etag_of(revision: int) -> str:
    """What changes with a record: etcd's mod revision of it; "" for one that is not there."""
    return f"{revision:x}" if revision else ""


def utc(seconds: float) -> str:
    """Seconds UTC as people write them in sentences."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp(seconds: float) -> Timestamp | None:
    """Seconds UTC; None for 0."""
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)) if seconds else None


def duration(seconds: float) -> Duration:
    """Seconds, microseconds kept; negative ones too (both parts have the same sign)."""
    micros = round(seconds * 1e6)
    whole = int(micros / 1_000_000)
    return Duration(seconds=whole, nanos=(micros - whole * 1_000_000) * 1000)


def node_state(state: str) -> cluster_service_pb2.NodeState:
    """A node's state; unspecified for a word of a later version."""
    return _NODE_STATES.get(state, cluster_service_pb2.NODE_STATE_UNSPECIFIED)


def lease_state(record: LeaseRecord, now: float, grace: int | None) -> lease_service_pb2.LeaseState:
    """What a record means at `now` (cluster time). grace: as configured, None = auto."""
    if now >= record.expires_at and record.state != "released":
        return lease_service_pb2.LEASE_STATE_EXPIRED
    if record.state != "bound":
        return _UNBOUND[record.state]
    late = now >= record.expires_at - grace_of(record.valid, grace)
    return lease_service_pb2.LEASE_STATE_GRACE if late else lease_service_pb2.LEASE_STATE_BOUND


def tell_lease(message: lease_service_pb2.Lease, space: str, address: int, record: LeaseRecord, revision: int) -> None:
    """Fill an empty message, all but its state, in its place: 2.5 us."""
    text = dotted(address)
    message.name = f"spaces/{space}/leases/{text}"
    message.space = space
    message.address = text
    message.client = _octets(record.client).hex(":")
    message.hardware_address = record.hw
    message.subnet = record.subnet
    message.grant_time.seconds = record.granted_at
    message.expire_time.seconds = record.expires_at
    message.valid_lifetime.seconds = record.valid
    message.hostname = record.hostname
    message.relay = record.giaddr
    if record.relay:
        message.relay_information = _octets(record.relay)
    message.node = record.node
    message.config_revision = record.config
    message.etag = etag_of(revision)


def _octets(text: str) -> bytes:
    """Those that hexadecimal digits name; none for anything else: one bad record must not hide the others."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def subnet_message(subnet: Subnet, config: Config) -> subnet_service_pb2.Subnet:
    """A subnet as a message, all but its usage."""
    return subnet_service_pb2.Subnet(
        name=f"subnets/{subnet.id}",
        id=subnet.id,
        display_name=subnet.name,
        description=subnet.description,
        labels=dict(subnet.labels),
        space=subnet.space,
        prefix=f"{dotted(subnet.prefix)}/{subnet.length}",
        link=subnet.link or "",
        relays=[dotted(relay) for relay in sorted(subnet.relays)],
        shared_network=config.network_of[subnet.id].name,
        state=_SUBNET_STATES.get(subnet.state, subnet_service_pb2.SUBNET_STATE_UNSPECIFIED),
        allocator=subnet.allocator,
        pools=[
            subnet_service_pb2.Pool(
                first=dotted(pool.first),
                last=dotted(pool.last),
                classes=sorted(pool.classes),
                state=_SUBNET_STATES.get(pool.state, subnet_service_pb2.SUBNET_STATE_UNSPECIFIED),
            )
            for pool in subnet.pools
        ],
        etag=f"{config.mod_revision:x}",
    )
