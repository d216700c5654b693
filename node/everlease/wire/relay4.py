"""Option 82, what a relay agent says about the client it forwards (RFC 3046), and accessors of its sub-options.

The law of this file: a reply echoes option 82 as it came, octet for octet; this reading serves decisions only. Values
from a relay that is not trusted are for the caller to ignore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from everlease.errors import WireError
from everlease.wire import tlv

CIRCUIT_ID: Final = 1  # RFC 3046
REMOTE_ID: Final = 2  # RFC 3046
DOCSIS_DEVICE_CLASS: Final = 4  # RFC 3256
LINK_SELECTION: Final = 5  # RFC 3527
SUBSCRIBER_ID: Final = 6  # RFC 3993
RADIUS_ATTRIBUTES: Final = 7  # RFC 4014
AUTHENTICATION: Final = 8  # RFC 4030
VENDOR_SPECIFIC: Final = 9  # RFC 4243
FLAGS: Final = 10  # RFC 5010
SERVER_ID_OVERRIDE: Final = 11  # RFC 5107
RELAY_AGENT_ID: Final = 12  # RFC 6925
ACCESS_TECHNOLOGY_TYPE: Final = 13  # RFC 7839, as are 14 to 18
ACCESS_NETWORK_NAME: Final = 14
ACCESS_POINT_NAME: Final = 15
ACCESS_POINT_BSSID: Final = 16
OPERATOR_ID: Final = 17
OPERATOR_REALM: Final = 18
RELAY_SOURCE_PORT: Final = 19  # RFC 8357
VIRTUAL_SUBNET_SELECTION: Final = 151  # RFC 6607
VSS_CONTROL: Final = 152  # RFC 6607

NAMES: Final[dict[int, str]] = {
    CIRCUIT_ID: "circuit-id",
    REMOTE_ID: "remote-id",
    DOCSIS_DEVICE_CLASS: "docsis-device-class",
    LINK_SELECTION: "link-selection",
    SUBSCRIBER_ID: "subscriber-id",
    RADIUS_ATTRIBUTES: "radius",
    AUTHENTICATION: "auth",
    VENDOR_SPECIFIC: "vendor-specific-info",
    FLAGS: "relay-flags",
    SERVER_ID_OVERRIDE: "server-id-override",
    RELAY_AGENT_ID: "relay-id",
    ACCESS_TECHNOLOGY_TYPE: "access-techno-type",
    ACCESS_NETWORK_NAME: "access-network-name",
    ACCESS_POINT_NAME: "access-point-name",
    ACCESS_POINT_BSSID: "access-point-bssid",
    OPERATOR_ID: "operator-id",
    OPERATOR_REALM: "operator-realm",
    RELAY_SOURCE_PORT: "relay-port",
    VIRTUAL_SUBNET_SELECTION: "virtual-subnet-select",
    VSS_CONTROL: "virtual-subnet-select-ctrl",
}

_UNICAST_FLAG: Final = 0x80


def parse(data: bytes) -> dict[int, bytes]:
    """Sub-options by code. `WireError` if the lengths do not add up."""
    return tlv.parse(data)


def build(suboptions: Mapping[int, bytes]) -> bytes:
    """The octets of option 82. `WireError` for a sub-option over 255 octets."""
    try:
        return tlv.build(suboptions)
    except ValueError as problem:
        raise WireError(str(problem)) from None


def link_selection(suboptions: Mapping[int, bytes]) -> int | None:
    """The subnet that the relay names, as an address in it (RFC 3527); None if it names none."""
    return _address(suboptions, LINK_SELECTION)


def server_id_override(suboptions: Mapping[int, bytes]) -> int | None:
    """The address that the client shall take for its server's (RFC 5107); None if the relay asks for none."""
    return _address(suboptions, SERVER_ID_OVERRIDE)


def received_by_unicast(suboptions: Mapping[int, bytes]) -> bool | None:
    """Whether the client had sent the message to the relay by unicast (RFC 5010); None if the relay does not say."""
    value = suboptions.get(FLAGS)
    if value is None:
        return None
    if len(value) != 1:
        raise WireError(f"sub-option 10 (relay flags) must have 1 octet, it has {len(value)}")
    return value[0] & _UNICAST_FLAG != 0


@dataclass(frozen=True, slots=True)
class VirtualSubnet:
    """Which VPN the client is in (RFC 6607 section 3.5): type 0 = NVT ASCII name, 1 = RFC 2685 VPN-ID, 255 = global."""

    type: int
    value: bytes


def virtual_subnet(suboptions: Mapping[int, bytes]) -> VirtualSubnet | None:
    """Sub-option 151; None if the relay names no VPN."""
    data = suboptions.get(VIRTUAL_SUBNET_SELECTION)
    if data is None:
        return None
    if not data or (data[0] == 1 and len(data) != 8) or (data[0] == 255 and len(data) != 1):
        raise WireError(f"sub-option 151 (virtual subnet selection) is malformed: {data.hex() or 'empty'}")
    return VirtualSubnet(data[0], data[1:])


def _address(suboptions: Mapping[int, bytes], code: int) -> int | None:
    value = suboptions.get(code)
    if value is None:
        return None
    if len(value) != 4:
        raise WireError(f"sub-option {code} ({NAMES[code]}) must have 4 octets, it has {len(value)}")
    return int.from_bytes(value, "big")
