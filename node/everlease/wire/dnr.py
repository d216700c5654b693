"""Option 162: encrypted DNS resolvers (RFC 9463 section 5), with service parameters as in SVCB records (RFC 9460).

The law of this file: parameters are known by name where a resolver needs them (alpn, port, dohpath), by `keyN` and
octets otherwise, and are written in the order of their numbers.
"""

from __future__ import annotations

import re
from typing import Final

from everlease.errors import WireError
from everlease.wire.compound import counted, mapping
from everlease.wire.cursor import Cursor
from everlease.wire.scalars import (
    BINARY,
    FQDN,
    IP_LIST,
    STRING,
    UINT16,
    Kind,
    Value,
    integer,
    list_of,
    shown,
)

_NAME: Final = counted(FQDN, 1, "a domain name")
_ADDRESSES: Final = counted(IP_LIST, 1, "addresses")
_PROTOCOLS: Final = list_of("alpn", counted(STRING, 1, "a protocol"), "protocols like [dot, doq, h2]")
_NAMED: Final[dict[str, tuple[int, Kind]]] = {"alpn": (1, _PROTOCOLS), "port": (3, UINT16), "dohpath": (7, STRING)}
_BY_KEY: Final = {key: (name, kind) for name, (key, kind) in _NAMED.items()}
_NUMBERED: Final = re.compile(r"key(\d{1,5})", re.ASCII)
_OWN: Final = {"priority", "name", "addresses"}


def _write(value: object) -> bytes:
    given = mapping(value)
    if "priority" not in given or "name" not in given:
        raise ValueError(f"{shown(value)} needs a priority and a name")
    data = integer(given["priority"], 1, 65535).to_bytes(2, "big") + _NAME.write(given["name"])
    parameters = dict(_parameter(name, given[name]) for name in given if name not in _OWN)
    if "addresses" not in given:
        if parameters:
            raise ValueError(f"{shown(value)} has service parameters, which need addresses")
        return data
    return data + _ADDRESSES.write(given["addresses"]) + b"".join(parameters[key] for key in sorted(parameters))


def _parameter(name: object, value: object) -> tuple[int, bytes]:
    numbered = _NUMBERED.fullmatch(str(name))
    if numbered is None and name not in _NAMED:
        raise ValueError(f"there is no {shown(name)}; known are {', '.join([*sorted(_OWN), *_NAMED])} and keyN")
    key, kind = (integer(numbered[1], 0, 65535), BINARY) if numbered else _NAMED[str(name)]
    data = kind.write(value)
    return key, key.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def _read(cursor: Cursor) -> Value:
    found: dict[str, Value] = {"priority": cursor.uint(2), "name": _NAME.read(cursor)}
    if not cursor.left:  # section 3.1.6: only the name, the client finds the rest by DNS
        return found
    found["addresses"] = _ADDRESSES.read(cursor)
    last = -1
    while cursor.left:
        key = cursor.uint(2)
        if key <= last:
            raise WireError(f"service parameter {key} after {last}; they come in ascending order, once each")
        name, kind = _BY_KEY.get(key, (f"key{key}", BINARY))
        narrow = cursor.narrow(cursor.uint(2))
        found[name] = kind.read(narrow)
        narrow.finish()
        last = key
    return found


_ACCEPTS: Final = "resolvers like [{priority: 1, name: dns.example.org, addresses: [192.0.2.1], alpn: [dot]}]"
RESOLVERS: Final = list_of("resolvers", counted(Kind("resolver", _ACCEPTS, _write, _read), 2, _ACCEPTS), _ACCEPTS)
