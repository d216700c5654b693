"""Sub-options: code, length, value, one behind the other inside an option (RFC 3046 section 2.0, RFC 2132 8.4).

The law of this file: the lengths add up to the octet, or it is a `WireError`. A code that comes again is joined to
its first value, as options are (RFC 3396).
"""

from __future__ import annotations

from collections.abc import Mapping

from everlease.errors import WireError


def parse(data: bytes, *, padded: bool = False) -> dict[int, bytes]:
    """Sub-options by code, in their order.

    `padded`: code 0 is one octet of padding and 255 ends the list (encapsulated vendor options, RFC 2132 8.4);
    otherwise they are codes like any other (RFC 3046: no pad sub-option is defined).
    """
    parts: dict[int, list[bytes]] = {}
    position, end = 0, len(data)
    while position < end:
        code = data[position]
        if padded and code == 0:
            position += 1
            continue
        if padded and code == 255:
            break
        start = position + 2
        if start > end:
            raise WireError(f"sub-option {code} ends before its length")
        position = start + data[start - 1]
        if position > end:
            raise WireError(f"sub-option {code} says {position - start} octets, {end - start} are left")
        parts.setdefault(code, []).append(data[start:position])
    return {code: b"".join(values) for code, values in parts.items()}


def build(suboptions: Mapping[int, bytes]) -> bytes:
    """The octets of sub-options, in their order. `ValueError` for a code or a length over 255."""
    for code, value in suboptions.items():
        if not 0 <= code <= 255 or len(value) > 255:
            raise ValueError(f"sub-option {code} of {len(value)} octets; codes and lengths go to 255")
    return b"".join(bytes((code, len(value))) + value for code, value in suboptions.items())
