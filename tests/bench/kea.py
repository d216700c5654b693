"""Kea as its manual recommends it for speed: memfile, multi-threaded; alone, or as a hot-standby pair.

The pair is `send-lease-updates` with HA multi-threading: a dedicated listener and two threads each for listening and
sending (the hook's defaults follow the packet threads; two cores make it two). Kea's data file is not synchronised to
disk by Kea in either form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everlease.lab.processes import LabError

THREADS = 2
HA_PORT = 8001
HEARTBEAT_MS = 1000  # default 10,000: a pair would need most of a minute to start; one request per second is no load
_LIBRARIES = Path("/usr/lib")


@dataclass(frozen=True)
class Peer:
    """One server of a pair: its name in the configuration and its address."""

    name: str
    address: str


@dataclass(frozen=True)
class Service:
    """What every system in the comparison serves: one subnet with one pool that cannot run out."""

    prefix: str
    pool: str
    valid_lifetime: int = 3600


def hook(name: str) -> str:
    """Where the distribution put a hook library; LabError if it is not there."""
    found = sorted(_LIBRARIES.glob(f"*/kea/hooks/{name}.so"))
    if not found:
        raise LabError(f"{name}.so is not in {_LIBRARIES}: apt-get install kea-dhcp4-server kea-common")
    return str(found[0])


def configuration(
    service: Service, interface: str, folder: Path, pair: Sequence[Peer] = (), me: str = ""
) -> dict[str, Any]:
    """A whole Kea 2.2 configuration; with `pair` (primary first) the server is its member `me`."""
    subnet = {"id": 1, "subnet": service.prefix, "pools": [{"pool": service.pool}]}
    dhcp4: dict[str, Any] = {
        "interfaces-config": {"interfaces": [interface], "dhcp-socket-type": "udp"},
        "multi-threading": {"enable-multi-threading": True, "thread-pool-size": THREADS},
        "lease-database": {"type": "memfile", "persist": True, "name": str(folder / "leases.csv"), "lfc-interval": 0},
        "valid-lifetime": service.valid_lifetime,
        "subnet4": [subnet],
        "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stdout"}]}],
    }
    if pair:
        dhcp4["hooks-libraries"] = _hot_standby(pair, me)
    return {"Dhcp4": dhcp4}


def _hot_standby(pair: Sequence[Peer], me: str) -> list[dict[str, Any]]:
    roles = ("primary", "standby")
    peers = [
        {"name": peer.name, "url": f"http://{peer.address}:{HA_PORT}/", "role": role, "auto-failover": True}
        for peer, role in zip(pair, roles, strict=True)
    ]
    threads = {
        "enable-multi-threading": True,
        "http-dedicated-listener": True,
        "http-listener-threads": THREADS,
        "http-client-threads": THREADS,
    }
    relationship = {
        "this-server-name": me,
        "mode": "hot-standby",
        "heartbeat-delay": HEARTBEAT_MS,
        # A failover as quick as the hook allows: a partner that is silent for 3 s is down, whatever its clients say.
        "max-response-delay": 3 * HEARTBEAT_MS,
        "max-unacked-clients": 0,
        "send-lease-updates": True,
        "multi-threading": threads,
        "peers": peers,
    }
    high_availability = {"library": hook("libdhcp_ha"), "parameters": {"high-availability": [relationship]}}
    return [{"library": hook("libdhcp_lease_cmds")}, high_availability]


def write(folder: Path, document: dict[str, Any]) -> Path:
    """Write a configuration where `kea-dhcp4 -c` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "kea-dhcp4.json"
    file.write_text(json.dumps(document, indent=2))
    return file
