"""Kinds of option values without inner structure: addresses, numbers, text, octets, and lists of them.

The law of this file: a kind writes what an operator may put in YAML and reads what a peer put on the wire. Writing
raises `ValueError` that says what to write instead; reading raises `WireError` and leaves no octet unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, TypeAlias

from everlease.errors import WireError
from everlease.wire import labels
from everlease.wire.cursor import Cursor

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value]"
"""What `decode` returns: plain JSON."""

LONGEST_VALUE: Final = 1232
"""Octets: an Ethernet frame's 1,500 less the headers of IP, UDP and DHCP. A longer value could never be sent."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of option value. `accepts` is what an operator may write, in words; `many`: a list of equal parts."""

    name: str
    accepts: str
    write: Callable[[object], bytes]
    read: Callable[[Cursor], Value]
    many: bool = False

    def encode(self, value: object) -> bytes:
        """Octets for a value as written in YAML. `ValueError` with what is wrong and what to write instead."""
        try:
            data = self.write(value)
        except ValueError as problem:
            raise ValueError(f"{problem}; write {self.accepts}") from None
        if len(data) > LONGEST_VALUE:
            raise ValueError(f"the value takes {len(data)} octets; no message has room for over {LONGEST_VALUE}")
        return data

    def decode(self, data: bytes) -> Value:
        """The value of an option's octets. `WireError` if they do not add up to exactly one value."""
        cursor = Cursor(data)
        value = self.read(cursor)
        cursor.finish()
        return value


def shown(value: object) -> str:
    """A value for an error message: its repr, cut to what a line can hold."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def items(value: object) -> list[object]:
    """A list's elements; a single value counts as a list of one. `ValueError` for an empty list."""
    elements = list(value) if isinstance(value, list | tuple) else [value]
    if not elements:
        raise ValueError("the list is empty")
    return elements


def list_of(name: str, one: Kind, accepts: str) -> Kind:
    """One or more values of a kind, one behind the other."""

    def write(value: object) -> bytes:
        return b"".join(map(one.write, items(value)))

    def read(cursor: Cursor) -> Value:
        values = [one.read(cursor)]
        while cursor.left:
            values.append(one.read(cursor))
        return values

    return Kind(name, accepts, write, read, many=True)


def _write_ip(value: object) -> bytes:
    try:
        if not isinstance(value, str):
            raise AddressValueError
        return IPv4Address(value).packed
    except AddressValueError:
        raise ValueError(f"{shown(value)} is not an IPv4 address") from None


def _read_ip(cursor: Cursor) -> Value:
    return str(IPv4Address(cursor.take(4)))


def _write_ipv6(value: object) -> bytes:
    try:
        if not isinstance(value, str) or "%" in value:
            raise AddressValueError
        return IPv6Address(value).packed
    except AddressValueError:
        raise ValueError(f"{shown(value)} is not an IPv6 address") from None


def _read_ipv6(cursor: Cursor) -> Value:
    return str(IPv6Address(cursor.take(16)))


def _write_pair(value: object) -> bytes:
    pair = value.split() if isinstance(value, str) else value
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(f"{shown(value)} is not a pair of IPv4 addresses")
    return _write_ip(pair[0]) + _write_ip(pair[1])


def _read_pair(cursor: Cursor) -> Value:
    return [_read_ip(cursor), _read_ip(cursor)]


def _number(name: str, length: int, *, signed: bool = False) -> Kind:
    low = -(1 << 8 * length - 1) if signed else 0
    high = low + (1 << 8 * length) - 1

    def write(value: object) -> bytes:
        return integer(value, low, high).to_bytes(length, "big", signed=signed)

    def read(cursor: Cursor) -> Value:
        return int.from_bytes(cursor.take(length), "big", signed=signed)

    return Kind(name, f"a whole number from {low} to {high}", write, read)


def integer(value: object, low: int, high: int) -> int:
    """A number as YAML gives it, or as digits or 0x... in a string. `ValueError` outside `low`..`high`."""
    if isinstance(value, str) and re.fullmatch(r"-?(\d{1,20}|0[xX][0-9a-fA-F]{1,16})", value, re.ASCII):
        value = int(value, 16 if "x" in value.lower() else 10)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not a whole number")
    if not low <= value <= high:
        raise ValueError(f"{shown(value)} is out of range")
    return value


def _write_boolean(value: object) -> bytes:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")
    return bytes((value,))


def _read_boolean(cursor: Cursor) -> Value:
    octet = cursor.uint(1)
    if octet > 1:
        raise WireError(f"{octet} is neither 0 (false) nor 1 (true)")
    return octet == 1


def _write_string(value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} is not text")
    if "\0" in value:
        raise ValueError(f"{shown(value)} holds a NUL character")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown(value)} holds half a character (a surrogate)") from None


def _read_string(cursor: Cursor) -> Value:
    # RFC 2132 section 2: receivers delete the NULs that some peers put at the end.
    return cursor.rest().rstrip(b"\0").decode(errors="backslashreplace")


def _write_fqdn(value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} is not a domain name")
    return labels.join(labels.from_text(value))


def _read_fqdn(cursor: Cursor) -> Value:
    return labels.to_text(labels.read(cursor))


def _write_fqdns(value: object) -> bytes:
    names = items(value)
    for name in names:
        _write_fqdn(name)
    return labels.encode(map(str, names))


def _read_fqdns(cursor: Cursor) -> Value:
    return [*labels.decode(cursor.rest())]


def write_binary(value: object) -> bytes:
    """Octets from hex (`0a0b`, `0x0a0b`, `0a:0b`, `0a-0b`, `0a 0b`), from `'text'` in inner quotes, or from bytes."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a string of octets")
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1].encode(errors="surrogatepass")
    digits = value.removeprefix("0x").removeprefix("0X")
    if re.search(r"[:\- ]", digits):
        parts = re.split(r"[:\- ]", digits)
        if not all(1 <= len(part) <= 2 for part in parts):
            raise ValueError(f"{shown(value)} has groups that are not one octet each")
        digits = "".join(part.rjust(2, "0") for part in parts)
    if len(digits) % 2 or not re.fullmatch(r"[0-9a-fA-F]*", digits):
        raise ValueError(f"{shown(value)} is not pairs of hex digits")
    return bytes.fromhex(digits)


def read_binary(cursor: Cursor) -> Value:
    """Octets as `0a:0b:0c`."""
    return cursor.rest().hex(":")


def _write_empty(value: object) -> bytes:
    if value not in (True, None, ""):
        raise ValueError(f"{shown(value)} given to an option that has no value")
    return b""


def _read_empty(_: Cursor) -> Value:
    return True


IP: Final = Kind("ip", "an IPv4 address like 192.0.2.1", _write_ip, _read_ip)
IP_LIST: Final = list_of("ip-list", IP, "IPv4 addresses like [192.0.2.1, 192.0.2.2]")
IPV6: Final = Kind("ipv6", "an IPv6 address like 2001:db8::1", _write_ipv6, _read_ipv6)
IP_PAIR: Final = Kind("ip-pair", "two IPv4 addresses like [192.0.2.0, 192.0.2.1]", _write_pair, _read_pair)
IP_PAIR_LIST: Final = list_of("ip-pair-list", IP_PAIR, "pairs of IPv4 addresses like [[192.0.2.0, 192.0.2.1]]")
UINT8: Final = _number("uint8", 1)
UINT16: Final = _number("uint16", 2)
UINT32: Final = _number("uint32", 4)
INT32: Final = _number("int32", 4, signed=True)
UINT8_LIST: Final = list_of("uint8-list", UINT8, "whole numbers from 0 to 255 like [1, 2]")
UINT16_LIST: Final = list_of("uint16-list", UINT16, "whole numbers from 0 to 65535 like [1, 2]")
BOOLEAN: Final = Kind("boolean", "true or false", _write_boolean, _read_boolean)
STRING: Final = Kind("string", "text, in quotes if it looks like something else", _write_string, _read_string)
FQDN: Final = Kind("fqdn", "a domain name like host.example.org", _write_fqdn, _read_fqdn)
FQDN_LIST: Final = Kind(
    "fqdn-list", "domain names like [example.org, example.com]", _write_fqdns, _read_fqdns, many=True
)
BINARY: Final = Kind("binary", "octets in hex like 0a:0b:0c, or text as \"'text'\"", write_binary, read_binary)
EMPTY: Final = Kind("empty", "true; leave the option out for false", _write_empty, _read_empty)
