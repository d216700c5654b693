"""Kinds of option values with inner structure: routes, vendor options, sub-options, records.

The law of this file is that of `scalars`; a record is a mapping with its fields' names. What `decode` returns of
octets that `encode` wrote is something that `encode` takes back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Final

from everlease.errors import WireError
from everlease.wire import hostname, tlv
from everlease.wire.cursor import Cursor
from everlease.wire.scalars import (
    BINARY,
    BOOLEAN,
    FQDN_LIST,
    IP,
    IP_LIST,
    IPV6,
    STRING,
    UINT8,
    UINT16,
    Kind,
    Value,
    integer,
    items,
    list_of,
    shown,
    write_binary,
)

_VIA: Final = re.compile(r"\s+via\s+|\s*-\s*|\s+")
_UINT32: Final = (1 << 32) - 1


def mapping(value: object) -> Mapping[object, object]:
    """The value as a mapping, or `ValueError`."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{shown(value)} is not a mapping")
    return value


def record(name: str, accepts: str, **fields: Kind) -> Kind:
    """Fields one behind the other, all of them required; the last one may take all the rest."""
    names = [field.replace("_", "-") for field in fields]
    kinds = list(fields.values())

    def write(value: object) -> bytes:
        given = mapping(value)
        unknown = [key for key in given if key not in names]
        missing = [field for field in names if field not in given]
        if unknown or missing:
            raise ValueError(f"{shown(value)} does not have exactly the keys {', '.join(names)}")
        return b"".join(kind.write(given[field]) for field, kind in zip(names, kinds, strict=True))

    def read(cursor: Cursor) -> Value:
        return {field: kind.read(cursor) for field, kind in zip(names, kinds, strict=True)}

    return Kind(name, accepts, write, read)


def counted(inner: Kind, length_octets: int, accepts: str) -> Kind:
    """A value behind its own length in octets."""
    longest = (1 << 8 * length_octets) - 1

    def write(value: object) -> bytes:
        data = inner.write(value)
        if len(data) > longest:
            raise ValueError(f"{shown(value)} takes {len(data)} octets; at most {longest} fit")
        return len(data).to_bytes(length_octets, "big") + data

    def read(cursor: Cursor) -> Value:
        narrow = cursor.narrow(cursor.uint(length_octets))
        value = inner.read(narrow)
        narrow.finish()
        return value

    return Kind(f"counted-{inner.name}", accepts, write, read)


def _write_route(value: object) -> bytes:
    if isinstance(value, str):
        parts: list[object] = [*_VIA.split(value.strip())]
    else:
        given = mapping(value)
        parts = [given.get("prefix"), given.get("router")] if set(given) == {"prefix", "router"} else []
    if len(parts) != 2:
        raise ValueError(f"{shown(value)} is not a route")
    network = _network(parts[0])
    significant = (network.prefixlen + 7) // 8
    return bytes((network.prefixlen,)) + network.network_address.packed[:significant] + IP.write(parts[1])


def _network(value: object) -> IPv4Network:
    if not isinstance(value, str) or (value != "default" and "/" not in value):
        raise ValueError(f"{shown(value)} is not a prefix")
    text = "0.0.0.0/0" if value == "default" else value
    try:
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError):
        raise ValueError(f"{shown(value)} is not a prefix") from None
    if str(network.network_address) != text.partition("/")[0]:
        raise ValueError(f"{value!r} has host bits set; the prefix is {network}")
    return network


def _read_route(cursor: Cursor) -> Value:
    width = cursor.uint(1)
    if width > 32:
        raise WireError(f"a route's prefix length is {width}; at most 32 is possible")
    octets = cursor.take((width + 7) // 8).ljust(4, b"\0")
    # RFC 3442: bits beyond the prefix length mean nothing.
    address = int.from_bytes(octets, "big") >> (32 - width) << (32 - width)
    return {"prefix": f"{IPv4Address(address)}/{width}", "router": IP.read(cursor)}


def _write_suboptions(value: object) -> bytes:
    given = mapping(value)
    if not given:
        raise ValueError("the mapping is empty")
    return tlv.build({integer(code, 0, 255): write_binary(octets) for code, octets in given.items()})


def _read_suboptions(cursor: Cursor) -> Value:
    return {str(code): value.hex(":") for code, value in tlv.parse(cursor.rest()).items()}


def _write_encapsulated(value: object) -> bytes:
    """Many vendors put plain octets here (RFC 2132 8.4 only says SHOULD): a string is written as it is."""
    if not isinstance(value, Mapping):
        return write_binary(value)
    for code in value:
        integer(code, 1, 254)
    return _write_suboptions(value)


def _read_encapsulated(cursor: Cursor) -> Value:
    return {str(code): value.hex(":") for code, value in tlv.parse(cursor.rest(), padded=True).items()}


def _by_enterprise(name: str, accepts: str, field: str, inner: Kind) -> Kind:
    """RFC 3925: enterprise number, length, data; repeated."""
    one = counted(inner, 1, inner.accepts)

    def write(value: object) -> bytes:
        out = b""
        for item in items(value):
            given = mapping(item)
            if set(given) != {"enterprise", field}:
                raise ValueError(f"{shown(item)} does not have exactly the keys enterprise, {field}")
            out += integer(given["enterprise"], 0, _UINT32).to_bytes(4, "big") + one.write(given[field])
        return out

    def read(cursor: Cursor) -> Value:
        values: list[Value] = []
        while cursor.left or not values:
            values.append({"enterprise": cursor.uint(4), field: one.read(cursor)})
        return values

    return Kind(name, accepts, write, read, many=True)


def _write_sip(value: object) -> bytes:
    servers = items(value)
    if all(isinstance(server, str) and re.fullmatch(r"[\d.]+", server) for server in servers):
        return b"\1" + IP_LIST.write(servers)
    return b"\0" + FQDN_LIST.write(servers)


def _read_sip(cursor: Cursor) -> Value:
    encoding = cursor.uint(1)
    if encoding > 1:
        raise WireError(f"SIP server encoding {encoding}; RFC 3361 knows 0 (names) and 1 (addresses)")
    return IP_LIST.read(cursor) if encoding else FQDN_LIST.read(cursor)


_FQDN_FLAGS: Final = {
    "server-updates": hostname.SERVER_UPDATES,
    "overridden": hostname.OVERRIDDEN,
    "canonical": hostname.CANONICAL,
    "no-updates": hostname.NO_UPDATES,
}


def _write_client_fqdn(value: object) -> bytes:
    given = mapping(value)
    flags = 0
    for key, flag in _FQDN_FLAGS.items():
        flags |= flag * BOOLEAN.write(given.get(key, False))[0]
    name = given.get("name")
    if not isinstance(name, str) or set(given) - {*_FQDN_FLAGS, "name", "partial"}:
        raise ValueError(f"{shown(value)} needs a name, and flags among partial, {', '.join(_FQDN_FLAGS)}")
    partial = BOOLEAN.write(given.get("partial", False)) == b"\1"
    return hostname.build_fqdn(hostname.ClientFqdn(flags, name, partial))


def _read_client_fqdn(cursor: Cursor) -> Value:
    fqdn = hostname.parse_fqdn(cursor.rest())
    flags: dict[str, Value] = {key: fqdn.flags & flag != 0 for key, flag in _FQDN_FLAGS.items()}
    return {"name": fqdn.name, "partial": fqdn.partial, **flags}


ROUTE: Final = Kind("route", "a route like 10.0.0.0/8 via 192.0.2.1", _write_route, _read_route)
ROUTES: Final = list_of(
    "routes", ROUTE, "routes like [10.0.0.0/8 via 192.0.2.1] or [{prefix: 10.0.0.0/8, router: 192.0.2.1}]"
)
SUBOPTIONS: Final = Kind(
    "suboptions", "a mapping of codes to octets like {1: '0a:0b'}", _write_suboptions, _read_suboptions
)
ENCAPSULATED: Final = Kind(
    "encapsulated",
    "a mapping of codes to octets like {1: '0a:0b'}, or plain octets like 'f1:04:c0:00:02:01'",
    _write_encapsulated,
    _read_encapsulated,
)
VENDOR_CLASSES: Final = _by_enterprise(
    "vendor-classes",
    "vendor classes like [{enterprise: 3561, data: '0a:0b'}]",
    "data",
    BINARY,
)
VENDOR_OPTIONS: Final = _by_enterprise(
    "vendor-options",
    "vendor options like [{enterprise: 3561, options: {1: '0a:0b'}}]",
    "options",
    SUBOPTIONS,
)
CLIENT_FQDN: Final = Kind(
    "client-fqdn", "a mapping like {name: host.example.org, canonical: true}", _write_client_fqdn, _read_client_fqdn
)
SIP_SERVERS: Final = Kind(
    "sip-servers", "either IPv4 addresses or domain names, as a list", _write_sip, _read_sip, many=True
)
URIS: Final = list_of("uris", counted(STRING, 2, "a URI"), "URIs like ['https://boot.example.org/']")
PCP_SERVERS: Final = list_of(
    "ip-lists", counted(IP_LIST, 1, "addresses"), "a list of lists of IPv4 addresses, one list for each server"
)
SLP_AGENTS: Final = record(
    "slp-directory-agent",
    "a mapping like {mandatory: true, addresses: [192.0.2.1]}",
    mandatory=BOOLEAN,
    addresses=IP_LIST,
)
SLP_SCOPE: Final = record(
    "slp-service-scope", "a mapping like {mandatory: true, scopes: 'one,two'}", mandatory=BOOLEAN, scopes=STRING
)
CLIENT_NDI: Final = record(
    "client-ndi", "a mapping like {type: 1, major: 3, minor: 16}", type=UINT8, major=UINT8, minor=UINT8
)
MACHINE_ID: Final = record("uuid-guid", "a mapping like {type: 0, id: '0a:0b'}", type=UINT8, id=BINARY)
STATUS: Final = record("status", "a mapping like {code: 0, message: done}", code=UINT8, message=STRING)
RDNSS: Final = record(
    "rdnss-selection",
    "a mapping with preference, primary, secondary and a list of domains",
    preference=UINT8,
    primary=IP,
    secondary=IP,
    domains=FQDN_LIST,
)
PORT_PARAMETERS: Final = record(
    "v4-portparams",
    "a mapping like {offset: 6, psid-length: 8, psid: 512}",
    offset=UINT8,
    psid_length=UINT8,
    psid=UINT16,
)
SIXRD: Final = record(
    "6rd",
    "a mapping with ipv4-mask-length, prefix-length, prefix and relays",
    ipv4_mask_length=UINT8,
    prefix_length=UINT8,
    prefix=IPV6,
    relays=IP_LIST,
)
