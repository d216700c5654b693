"""Types of single fields: a function of `values` and the JSON Schema of what people may write.

The law of this file: the two say the same, so that an editor's red line and `config validate` agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, StrictBool, WithJsonSchema

from everlease.config import values


def _field(read: Callable[[object], Any], *schemas: dict[str, Any]) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(read), WithJsonSchema(schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)})


def _text(description: str, pattern: str) -> dict[str, Any]:
    return {"type": "string", "description": description, "pattern": pattern}


_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ADDRESS = rf"({_OCTET}\.){{3}}{_OCTET}"
_LENGTH = r"/(3[0-2]|[12]?\d)"
_FOREVER = {"const": "infinite"}
_SECONDS = {"type": "number", "minimum": 0}
_DURATION = _text("a duration like 500ms, 30s, 1h, 7d or 1h30m", r"^(\d+(\.\d+)?\s*(ms|s|min|m|h|d|w)\s*)+$")
_IDENTIFIER = {"type": ["string", "integer"], "description": "hex in pairs like 01:0a:0b, 0x010a0b, or text"}

_grace = _field(
    lambda value: None if value == values.AUTO else values.whole_seconds(value), {"const": "auto"}, _SECONDS, _DURATION
)
_quota = _field(
    lambda value: None if value == values.AUTO else values.size(value),
    {"const": "auto"},
    {"type": "integer", "minimum": 0},
    _text("a size like 8GB or 512MiB", r"^\d+(\.\d+)?\s*[KMGTkmgt]?([iI]?[bB])?$"),
)
_lifetime = _field(values.lifetime, _FOREVER, {"type": "integer", "minimum": 1}, _DURATION)
_range = _field(
    values.address_range,
    _text("10.1.0.10-10.1.0.99, 10.1.0.0/24 or one address", rf"^{_ADDRESS}({_LENGTH}|\s*-\s*{_ADDRESS})?$"),
)

Switch: TypeAlias = StrictBool
Lifetime: TypeAlias = Annotated[int, *_lifetime]
Duration: TypeAlias = Annotated[int, *_field(values.whole_seconds, _FOREVER, _SECONDS, _DURATION)]
Moment: TypeAlias = Annotated[float, *_field(values.number_with_unit, _SECONDS, _DURATION)]
Grace: TypeAlias = Annotated[int | None, *_grace]
Quota: TypeAlias = Annotated[int | None, *_quota]
Rate: TypeAlias = Annotated[
    float,
    *_field(
        values.rate,
        {"const": "off"},
        _SECONDS,
        _text("a rate like 10/s or 90/min", r"^\d+(\.\d+)?\s*(/\s*(s|sec|second|m|min|minute|h|hour))?$"),
    ),
]
Share: TypeAlias = Annotated[
    float, *_field(values.share, {"type": "number", "minimum": 0, "maximum": 1}, _text("like 25%", r"^\d+(\.\d+)?%$"))
]
Address: TypeAlias = Annotated[int, *_field(values.address, _text("an IPv4 address", rf"^{_ADDRESS}$"))]
Prefix: TypeAlias = Annotated[
    tuple[int, int], *_field(values.prefix, _text("a prefix like 10.77.0.0/16", rf"^{_ADDRESS}{_LENGTH}$"))
]
Range: TypeAlias = Annotated[tuple[int, int], *_range]
HostName: TypeAlias = Annotated[
    str, *_field(values.host_name, _text("letters, digits, hyphens and dots", r"^[A-Za-z0-9][A-Za-z0-9.-]*$"))
]
Hardware: TypeAlias = Annotated[
    bytes,
    *_field(
        values.hardware,
        {"type": ["string", "integer"], "description": "like 02:00:00:00:00:01; HTYPE/... for other than Ethernet"},
    ),
]
Identifier: TypeAlias = Annotated[bytes, *_field(values.identifier, _IDENTIFIER)]

Identity: TypeAlias = Literal["client-id", "hw-address"]
State: TypeAlias = Literal["active", "draining", "disabled"]
Unknown: TypeAlias = Literal["allow", "deny"]
Allocator: TypeAlias = Literal["hashed", "ordered"]
Send: TypeAlias = Literal["requested", "always", "never"]
