"""What an API reservation gives its client, as it is written in etcd: compiled, so that every node reads the same.

Law: a node decodes it without a look at the configuration, and adding one recompiles nothing; octets are in hex,
addresses dotted, times in seconds.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import msgspec

from everlease.core.model import EMPTY, OptionValue, Parameters, PingCheck

_PLAIN: Final = tuple(
    each.name
    for each in fields(Parameters)
    if each.name not in ("options", "server_hostname", "boot_file_name", "ping_check")
)
_OCTETS: Final = ("server_hostname", "boot_file_name")


class ParametersRecord(msgspec.Struct, omit_defaults=True):
    """`core.model.Parameters`. options: by code, (hex, how it is sent); ping_check: (enabled, timeout, cache)."""

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
    next_server: int | None = None
    server_hostname: str | None = None
    boot_file_name: str | None = None
    ping_check: tuple[bool, float, float] | None = None
    options: dict[str, tuple[str, int]] = {}


def pack(parameters: Parameters) -> ParametersRecord | None:
    """The record; None for parameters that say nothing."""
    if parameters == EMPTY:
        return None
    # In the order as written: without a parameter request list they are sent so.
    record = ParametersRecord(
        options={str(code): (one.data.hex(), one.send) for code, one in parameters.options.items()}
    )
    for name in _PLAIN:
        setattr(record, name, getattr(parameters, name))
    for name in _OCTETS:
        octets = getattr(parameters, name)
        setattr(record, name, None if octets is None else octets.hex())
    if (check := parameters.ping_check) is not None:
        record.ping_check = (check.enabled, check.timeout, check.cache)
    return record


def unpack(record: ParametersRecord | None) -> Parameters:
    """The parameters. Raises ValueError for what is no record of ours."""
    if record is None:
        return EMPTY
    values: dict[str, object] = {name: value for name in _PLAIN if (value := getattr(record, name)) is not None}
    for name in _OCTETS:
        octets = getattr(record, name)
        if octets is not None:
            values[name] = bytes.fromhex(octets)
    if record.ping_check is not None:
        values["ping_check"] = PingCheck(*record.ping_check)
    options = {_code(code): OptionValue(bytes.fromhex(data), send) for code, (data, send) in record.options.items()}
    return Parameters(options=options, **values)  # type: ignore[arg-type]


def _code(text: str) -> int:
    code = int(text)
    if not 0 < code < 255:
        raise ValueError(f"no option: {text}")
    return code
