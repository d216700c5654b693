"""Single values as people write them: durations, sizes, rates, prefixes, ranges, hardware addresses, identifiers.

The law of this file: each function takes what stood in the document and returns the compiled form, or raises
`ValueError` that says what to write instead.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Final

from everlease.core.lifecycle import INFINITE
from everlease.wire.scalars import shown

AUTO: Final = "auto"

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|min|m|h|d|w)", re.ASCII)
_SIZES: Final = (
    {"": 1}
    | {
        name + suffix: (1024 if suffix == "iB" else 1000) ** power
        for power, name in enumerate("KMGT", 1)
        for suffix in ("", "B", "iB")
    }
    | {"B": 1}
)
_SIZE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?(?:iB|B)?)", re.ASCII | re.IGNORECASE)
_RATE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(?:/\s*(s|sec|second|m|min|minute|h|hour))?", re.ASCII)
_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)(%?)", re.ASCII)
_HOST: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I
)
_PAIRS: Final = re.compile(r"[0-9a-f]{1,2}([:-][0-9a-f]{1,2})+", re.IGNORECASE)
_CISCO: Final = re.compile(r"[0-9a-f]{4}(\.[0-9a-f]{4})+", re.IGNORECASE)
_PLAIN: Final = re.compile(r"([0-9a-f]{2})+", re.IGNORECASE)
_HTYPE: Final = re.compile(r"(\d{1,3})/(.+)", re.ASCII)
_DEFAULT_HTYPE: Final = {6: 1, 8: 27}  # Ethernet and EUI-64, of IANA's hardware types

LONGEST_IDENTIFIER: Final = 255


def number_with_unit(value: object) -> float:
    """Seconds of a duration, fractions kept."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} is negative; write a duration like 30s, 1h or 7d")
        return value
    parts = _DURATION.findall(value) if isinstance(value, str) else []
    if not parts or _DURATION.sub("", str(value)).strip():
        raise ValueError(f"{shown(value)} is not a duration; write one like 500ms, 30s, 1h, 7d or 1h30m")
    return float(sum(float(amount) * _UNITS[unit] for amount, unit in parts))


def lifetime(value: object) -> int:
    """Whole seconds of a lifetime; `infinite` is 0xffffffff (RFC 2131 section 3.3)."""
    if value == "infinite":
        return INFINITE
    seconds = number_with_unit(value)
    if seconds != int(seconds):
        raise ValueError(f"{shown(value)} is not whole seconds; lifetimes are")
    if not 1 <= seconds < INFINITE:
        raise ValueError(f"{shown(value)} is out of range; write 1s or more, or infinite")
    return int(seconds)


def whole_seconds(value: object) -> int:
    """Whole seconds of a duration, 0 included; `infinite` is 0xffffffff."""
    if value == "infinite":
        return INFINITE
    seconds = number_with_unit(value)
    if seconds != int(seconds) or seconds >= INFINITE:
        raise ValueError(f"{shown(value)} is not whole seconds, or far too many; write a duration like 30s, 1h or 7d")
    return int(seconds)


def size(value: object) -> int:
    """Octets of a size: 8GB, 512MiB, or a number."""
    match = _SIZE.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    unit = match[2].upper().replace("IB", "iB") if match else ""
    if match is None or unit not in _SIZES:
        raise ValueError(f"{shown(value)} is not a size; write one like 8GB or 512MiB")
    return int(float(match[1]) * _SIZES[unit])


def rate(value: object) -> float:
    """Events per second of a rate: 10/s, 90/min, or a number per second; `off` is 0 = no limit."""
    if value == "off":
        return 0.0
    match = (
        _RATE.fullmatch(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    )
    if match is None:
        raise ValueError(f"{shown(value)} is not a rate; write one like 10/s or 90/min, or off")
    return float(match[1]) / {"s": 1, "m": 60, "h": 3600}[(match[2] or "s")[0]]


def share(value: object) -> float:
    """A part of a whole: 25% or 0.25."""
    match = _SHARE.fullmatch(str(value)) if isinstance(value, str | int | float) and value is not True else None
    part = float(match[1]) / (100 if match[2] else 1) if match else 2.0
    if part > 1:
        raise ValueError(f"{shown(value)} is not a share; write one like 25%")
    return part


def address(value: object) -> int:
    """An IPv4 address as an int."""
    try:
        return int(IPv4Address(value if isinstance(value, str) else repr(value)))
    except AddressValueError:
        raise ValueError(f"{shown(value)} is not an IPv4 address; write one like 192.0.2.1") from None


def show(value: int) -> str:
    """An address as people write it."""
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def prefix(value: object) -> tuple[int, int]:
    """A prefix in CIDR form: (address, length)."""
    text = str(value)
    try:
        network = IPv4Network(text, strict=False) if "/" in text else None
    except (AddressValueError, NetmaskValueError):
        network = None
    if network is None or not network.prefixlen:
        raise ValueError(f"{shown(value)} is not a prefix; write one like 10.77.0.0/16")
    if str(network.network_address) != text.partition("/")[0]:
        raise ValueError(f"{shown(value)} has host bits set; the prefix is {network}")
    return int(network.network_address), network.prefixlen


def address_range(value: object) -> tuple[int, int]:
    """First and last address of `a-b`, a CIDR prefix, or one address."""
    text = value if isinstance(value, str) else repr(value)
    first_text, dash, last_text = (part.strip() for part in text.partition("-"))
    try:
        if "/" in text:
            start, length = prefix(text)
            return start, start | (1 << 32 - length) - 1
        first = address(first_text)
        last = address(last_text) if dash else first
    except ValueError as problem:
        if "host bits" in str(problem):
            raise
        raise ValueError(f"{shown(value)} is not a range; write one like 10.1.0.10-10.1.0.99 or 10.1.0.0/24") from None
    if first > last:
        raise ValueError(f"{shown(value)} ends before it starts; write {last_text}-{first_text}")
    return first, last


def host_name(value: object) -> str:
    """A host name of letters, digits and hyphens (RFC 1123), with or without a domain."""
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a host name; use letters, digits and hyphens, at most 63 in a label")
    return value


def hardware(value: object) -> bytes:
    """htype octet + address: `02:00:00:00:00:01`, `02-00-...`, `0200.0000.0001`, `020000000001`, or `HTYPE/...`."""
    text = value.strip() if isinstance(value, str) else str(value)
    prefixed = _HTYPE.fullmatch(text)
    octets = hex_octets(prefixed[2] if prefixed else text)
    if octets is None or not 1 <= len(octets) <= 16:
        raise ValueError(f"{shown(value)} is not a hardware address; write one like 02:00:00:00:00:01")
    htype = int(prefixed[1]) if prefixed else _DEFAULT_HTYPE.get(len(octets), 0)
    if not 1 <= htype <= 255:
        raise ValueError(f"{shown(value)} has {len(octets)} octets; put its hardware type before it, like 32/00:11:...")
    return bytes((htype,)) + octets


def identifier(value: object) -> bytes:
    """Octets of a client-id, circuit-id or remote-id: hex in pairs (`01:0a`), `0x010a`, or text.

    A string that could be either is refused: nobody should have to guess.
    """
    octets = _identifier(value)
    if not 1 <= len(octets) <= LONGEST_IDENTIFIER:
        raise ValueError(f"the identifier has {len(octets)} octets; write 1 to {LONGEST_IDENTIFIER}")
    return octets


def _identifier(value: object) -> bytes:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not an identifier; write hex like 01:0a:0b, or text")
    text = str(value)
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].encode(errors="surrogateescape")
    octets = hex_octets(text)
    if octets is not None and _PLAIN.fullmatch(text) and len(octets) > 1:
        raise ValueError(f"{shown(text)} may be hex or text; write 0x{text} for octets, or \"'{text}'\" for text")
    if text[:2] in ("0x", "0X"):
        if not _PLAIN.fullmatch(text[2:]):
            raise ValueError(f"{shown(text)} is not pairs of hex digits")
        return bytes.fromhex(text[2:])
    is_hex = octets is not None and not _CISCO.fullmatch(text) and not _PLAIN.fullmatch(text)
    return octets if is_hex and octets is not None else text.encode(errors="surrogateescape")


def hex_octets(text: str) -> bytes | None:
    """Octets of hex digits in any usual grouping, or None."""
    if _PAIRS.fullmatch(text):
        return bytes(int(part, 16) for part in re.split("[:-]", text))
    digits = text.replace(".", "") if _CISCO.fullmatch(text) else text.removeprefix("0x").removeprefix("0X")
    return bytes.fromhex(digits) if _PLAIN.fullmatch(digits) else None
