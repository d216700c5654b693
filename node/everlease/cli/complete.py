"""What the shell offers where it cannot know: subnets, nodes, revisions, asked of the cluster itself.

The law of this file: a completion is quick and quiet; nobody reachable means nothing to offer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from everlease.client import DEFAULT_SERVER, Client, Credentials
from everlease.errors import EverleaseError

_WAIT: Final = 1.0
"""Seconds that somebody at a keyboard waits for a Tab."""

Offers = Iterable[tuple[str, str]]


def _asking(find: Callable[[Client], Offers]) -> Callable[[str], list[tuple[str, str]]]:
    def complete(incomplete: str) -> list[tuple[str, str]]:
        try:
            with Client(os.environ.get("EVERLEASE_SERVER", DEFAULT_SERVER), _credentials(), _WAIT) as client:
                return [offer for offer in find(client) if offer[0].startswith(incomplete)]
        except EverleaseError:
            return []

    return complete


def _credentials() -> Credentials:
    """As the environment has them: options that are on the line are not known here."""
    files = {
        name: Path(os.environ[f"EVERLEASE_{name.upper()}"])
        for name in ("ca", "cert", "key", "token_file")
        if os.environ.get(f"EVERLEASE_{name.upper()}")
    }
    return Credentials(**files, token=os.environ.get("EVERLEASE_TOKEN", ""))


@_asking
def subnet_ids(client: Client) -> Offers:
    """Ids, with names and prefixes beside them."""
    return [(str(each.id), f"{each.display_name} {each.prefix}".strip()) for each in client.list_subnets()]


@_asking
def node_names(client: Client) -> Offers:
    """Names of nodes."""
    return [(node.node, "") for node in client.get_status().nodes]


@_asking
def revisions(client: Client) -> Offers:
    """Revisions of the configuration, with what was said of them."""
    return [(str(each.revision), each.comment) for each in client.list_config_revisions()]
