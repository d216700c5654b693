"""Looks at the versions of etcd before anything is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from everlease import logs
from everlease.errors import ConfigError, StoreError
from everlease.store.upkeep import Upkeep
from everlease.store.versions import ADVICE, refusal, warnings

DEADLINE: Final = 1.0


async def check_versions(upkeep: Upkeep, endpoints: Iterable[str]) -> frozenset[str]:
    """Ask every member that answers; their versions, faults told. Raises ConfigError for one that must not be used."""
    known: dict[str, list[str]] = {}

    async def ask(endpoint: str) -> None:
        try:
            status = await upkeep.status(endpoint, DEADLINE)
        except StoreError:
            return  # the keeper looks again when it is there
        known.setdefault(status.version, []).append(endpoint)

    await asyncio.gather(*map(ask, endpoints))
    for version, where in sorted(known.items()):
        refused = refusal(version)
        if refused:
            raise ConfigError(f"--etcd {', '.join(sorted(where))}: {refused}")
    for version in sorted(known):
        warn(version)
    return frozenset(known)


def warn(version: str) -> None:
    """Say what is known to be wrong with a version of etcd."""
    faults = warnings(version)
    if faults:
        logs.get().warning("etcd has known faults", version=version, faults=faults, advice=ADVICE)
