"""Documents for the tests of this room."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import yaml

from everlease.config.load import InvalidDocument, load
from everlease.core.model import Config, Subnet

SUBNET: dict[str, Any] = {"id": 1, "prefix": "10.1.0.0/24"}


def compiled(**top: Any) -> Config:
    """A document of these keys (underscores for hyphens), with one subnet unless `subnets` is given."""
    keys = {key.replace("_", "-"): value for key, value in top.items()}
    return load(yaml.safe_dump({"subnets": [SUBNET]} | keys))


def subnet(**keys: Any) -> Subnet:
    """The one subnet of a document, with these keys."""
    return compiled(subnets=[SUBNET | {key.replace("_", "-"): value for key, value in keys.items()}]).subnets[1]


def problems(text: str) -> list[str]:
    """What is wrong with a document, as lines."""
    try:
        load(dedent(text))
    except InvalidDocument as refused:
        return [str(problem) for problem in refused.problems]
    return []


def address(text: str) -> int:
    """An address as an int."""
    a, b, c, d = map(int, text.split("."))
    return a << 24 | b << 16 | c << 8 | d


def large(subnets: int, reservations: int = 0) -> str:
    """A document with many subnets, each with some reservations."""
    lines = ["schema: 1", "option-data: {domain-name: example.org, domain-name-servers: [192.0.2.53]}", "subnets:"]
    for number in range(subnets):
        high, low = number >> 8, number & 255
        net = f"10.{high}.{low}"
        lines.append(f"- id: {number + 1}\n  name: net-{number}\n  prefix: {net}.0/24\n  relays: [172.16.{high}.{low}]")
        lines.append(f"  pools: [{{range: {net}.100-{net}.250}}]\n  option-data: {{routers: [{net}.1]}}")
        if reservations:
            lines.append("  reservations:")
        lines += [
            f'  - {{hw-address: "02:00:00:{high:02x}:{low:02x}:{place:02x}", address: {net}.{place + 2}}}'
            for place in range(reservations)
        ]
    return "\n".join(lines) + "\n"
