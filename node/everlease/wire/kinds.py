"""Every kind of option value, and the names by which an operator asks for one in `option-def`.

The law of this file: it only collects; a kind is written in `scalars`, `compound` or `dnr`, and named here once.
"""

from __future__ import annotations

from typing import Final

from everlease.wire.compound import (
    CLIENT_FQDN,
    CLIENT_NDI,
    ENCAPSULATED,
    MACHINE_ID,
    PCP_SERVERS,
    PORT_PARAMETERS,
    RDNSS,
    ROUTES,
    SIP_SERVERS,
    SIXRD,
    SLP_AGENTS,
    SLP_SCOPE,
    STATUS,
    SUBOPTIONS,
    URIS,
    VENDOR_CLASSES,
    VENDOR_OPTIONS,
)
from everlease.wire.dnr import RESOLVERS
from everlease.wire.scalars import (
    BINARY,
    BOOLEAN,
    EMPTY,
    FQDN,
    FQDN_LIST,
    INT32,
    IP,
    IP_LIST,
    IP_PAIR_LIST,
    IPV6,
    STRING,
    UINT8,
    UINT8_LIST,
    UINT16,
    UINT16_LIST,
    UINT32,
    Kind,
    Value,
)

BY_NAME: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        IP,
        IP_LIST,
        IP_PAIR_LIST,
        IPV6,
        UINT8,
        UINT16,
        UINT32,
        INT32,
        UINT8_LIST,
        UINT16_LIST,
        BOOLEAN,
        STRING,
        FQDN,
        FQDN_LIST,
        BINARY,
        EMPTY,
        ROUTES,
        ENCAPSULATED,
        SUBOPTIONS,
        VENDOR_CLASSES,
        VENDOR_OPTIONS,
        URIS,
        SIP_SERVERS,
    )
}
"""The kinds that a self-defined option may have."""

__all__ = [
    "BY_NAME",
    "Kind",
    "Value",
    "BINARY",
    "BOOLEAN",
    "CLIENT_FQDN",
    "CLIENT_NDI",
    "EMPTY",
    "ENCAPSULATED",
    "FQDN",
    "FQDN_LIST",
    "INT32",
    "IP",
    "IPV6",
    "IP_LIST",
    "IP_PAIR_LIST",
    "MACHINE_ID",
    "PCP_SERVERS",
    "PORT_PARAMETERS",
    "RDNSS",
    "RESOLVERS",
    "ROUTES",
    "SIP_SERVERS",
    "SIXRD",
    "SLP_AGENTS",
    "SLP_SCOPE",
    "STATUS",
    "STRING",
    "SUBOPTIONS",
    "UINT16",
    "UINT16_LIST",
    "UINT32",
    "UINT8",
    "UINT8_LIST",
    "URIS",
    "VENDOR_CLASSES",
    "VENDOR_OPTIONS",
]
