"""The admin API over TLS: who shows no certificate of the right authority is not served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from admin.papers import authority, leaf
from everlease.admin import server
from everlease.admin.access import Papers
from everlease.client import Client, Credentials, Unreachable
from everlease.errors import ConfigError
from everlease.runtime.rooms import Rooms


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, and a certificate of each: ours (node, anna) and another one's (mallory)."""
    folder = tmp_path_factory.mktemp("papers")
    for name in ("ours", "theirs"):
        authority(folder, name)
    for name, signer in (("node", "ours"), ("anna", "ours"), ("mallory", "theirs")):
        leaf(folder, name, signer)
    return folder


@pytest.fixture
async def secured(rooms: Rooms, papers: Path) -> AsyncIterator[server.Handle]:
    tls = Papers(papers / "node.pem", papers / "node.key", papers / "ours.pem")
    handle = await server.serve(rooms, "127.0.0.1:0", tls)
    yield handle
    await handle.close()


def ask(port: int, papers: Path, ca: str | None, who: str | None) -> str:
    """Which node answers a client with these papers."""
    pair = (papers / f"{who}.pem", papers / f"{who}.key") if who else (None, None)
    with Client(f"127.0.0.1:{port}", Credentials(papers / f"{ca}.pem" if ca else None, *pair), timeout=3) as client:
        return str(client.get_status().observer)


async def test_a_client_with_a_certificate_of_ours_is_served(secured: server.Handle, papers: Path) -> None:
    assert await asyncio.to_thread(ask, secured.port, papers, "ours", "anna") == "n1"


@pytest.mark.parametrize(("ca", "who"), [(None, None), ("ours", None), ("ours", "mallory"), ("theirs", "anna")])
async def test_everybody_else_is_not(secured: server.Handle, papers: Path, ca: str | None, who: str | None) -> None:
    with pytest.raises(Unreachable):
        await asyncio.to_thread(ask, secured.port, papers, ca, who)


async def test_a_file_that_cannot_be_read_is_one_clear_line(rooms: Rooms, papers: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.pem cannot be read"):
        await server.serve(rooms, "127.0.0.1:0", Papers(papers / "none.pem", papers / "node.key"))
