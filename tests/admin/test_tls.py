"""The admin API over TLS: who shows no certificate of the right authority is not served, and names in it are roles."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from admin.papers import authority, leaf
from everlease.admin import access, server
from everlease.admin.access import Papers
from everlease.client import Client, Credentials, Denied, Unreachable
from everlease.errors import ConfigError
from everlease.runtime.rooms import Rooms

ROLES = """\
certificates:
  - {match: "URI:spiffe://example.org/ops/*", role: operator}
  - {match: "DNS:*.noc.example.org", role: viewer}
  - {match: "CN:intern", role: none}
  - {match: "CN:an*", role: admin}
"""


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities; certificates of ours (node, anna, ...), one that has ended, one of theirs, one of nobody's."""
    folder = tmp_path_factory.mktemp("papers")
    for name in ("ours", "theirs", "self"):
        authority(folder, name)
    for name, signer in (("node", "ours"), ("anna", "ours"), ("intern", "ours"), ("mallory", "theirs")):
        leaf(folder, name, signer)
    leaf(folder, "former", "ours", expired=True)
    leaf(folder, "oscar", "ours", names="URI:spiffe://example.org/ops/oscar,DNS:oscar.example.org")
    leaf(folder, "screen", "ours", names="DNS:screen.noc.example.org")
    (folder / "roles.yaml").write_text(ROLES)
    return folder


def sealed(papers: Path, *, roles: bool = False) -> Papers:
    """What the node of these tests has."""
    pair = papers / "node.pem", papers / "node.key"
    return Papers(*pair, papers / "ours.pem", papers / "roles.yaml" if roles else None)


@pytest.fixture
async def secured(rooms: Rooms, papers: Path) -> AsyncIterator[server.Handle]:
    handle = await server.serve(rooms, "127.0.0.1:0", sealed(papers))
    yield handle
    await handle.close()


@pytest.fixture
async def with_roles(rooms: Rooms, papers: Path) -> AsyncIterator[server.Handle]:
    handle = await server.serve(rooms, "127.0.0.1:0", sealed(papers, roles=True))
    yield handle
    await handle.close()


def client(port: int, papers: Path, ca: str | None, who: str | None) -> Client:
    """Somebody with these papers."""
    pair = (papers / f"{who}.pem", papers / f"{who}.key") if who else (None, None)
    return Client(f"127.0.0.1:{port}", Credentials(papers / f"{ca}.pem" if ca else None, *pair), timeout=3)


def ask(port: int, papers: Path, ca: str | None, who: str | None) -> str:
    """Which node answers a client with these papers."""
    with client(port, papers, ca, who) as found:
        return str(found.get_status().observer)


def resume(port: int, papers: Path, who: str) -> str:
    """What comes of an operator's command: "" or the refusal."""
    with client(port, papers, "ours", who) as found:
        try:
            found.resume_node("n1")
        except Denied as denied:
            return str(denied)
    return ""


async def test_a_client_with_a_certificate_of_ours_is_served(secured: server.Handle, papers: Path) -> None:
    assert await asyncio.to_thread(ask, secured.port, papers, "ours", "anna") == "n1"


@pytest.mark.parametrize(
    ("ca", "who"),
    [(None, None), ("ours", None), ("ours", "mallory"), ("theirs", "anna"), ("ours", "former"), ("ours", "self")],
    ids=["plain", "no certificate", "another authority", "another server", "expired", "self-signed"],
)
async def test_everybody_else_is_not(secured: server.Handle, papers: Path, ca: str | None, who: str | None) -> None:
    with pytest.raises(Unreachable):
        await asyncio.to_thread(ask, secured.port, papers, ca, who)


async def test_the_names_in_a_certificate_say_its_role(with_roles: server.Handle, papers: Path) -> None:
    said = {
        who: await asyncio.to_thread(resume, with_roles.port, papers, who)
        for who in ("anna", "oscar", "screen", "intern")
    }
    assert (said["anna"], said["oscar"]) == ("", "")
    assert "CN:screen has the role viewer; this needs the role operator" in said["screen"]
    assert "CN:intern has the role none" in said["intern"]


async def test_a_file_that_cannot_be_read_is_one_clear_line(rooms: Rooms, papers: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.pem cannot be read"):
        await server.serve(rooms, "127.0.0.1:0", Papers(papers / "none.pem", papers / "node.key"))


def shown(port: int) -> str:
    """Whose certificate the server shows."""
    words = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2")
    said = subprocess.run(words, input=b"", capture_output=True, timeout=20, check=False).stdout.decode()
    return said.partition("subject=")[2].partition("\n")[0]


async def test_new_certificates_are_shown_without_a_restart_and_nobody_is_cut_off(
    rooms: Rooms, papers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "FOLLOWED_EVERY", 0.05)
    for name in ("node.pem", "node.key", "ours.pem"):
        shutil.copy(papers / name, tmp_path / name)
    handle = await server.serve(rooms, "127.0.0.1:0", sealed(tmp_path))
    with client(handle.port, papers, "ours", "anna") as before:
        assert (await asyncio.to_thread(before.get_status)).observer == "n1"
        (tmp_path / "node.key").write_text("half of a file")
        await handle.reread()
        assert "node" in await asyncio.to_thread(shown, handle.port)
        for name, new in (("node.key", "anna.key"), ("node.pem", "anna.pem")):
            shutil.copy(papers / new, tmp_path / name)
        while "anna" not in await asyncio.to_thread(shown, handle.port):
            pass
        assert (await asyncio.to_thread(before.get_status)).observer == "n1"
    await handle.close()
