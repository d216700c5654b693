"""Three nodes behind TLS on a real etcd: certificates, tokens and roles, at whichever node, by every client.

Law: all three read the same files, as an operator distributes them; who changes one mends it, and the last test kills.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from admin.papers import authority, leaf, token_row
from everlease.admin.auth import Role
from everlease.cli.main import app
from everlease.client import AsyncClient, Client, Credentials, Denied, Unreachable
from everlease.lab.etcd import EtcdCluster
from everlease.lab.processes import Loopback, wait_until
from everlease.pb.admin.v1.reservation_service_pb2 import Reservation
from lab.nodes import Node, free_listen

pytestmark = pytest.mark.etcd

PATIENCE = 60.0
DOCUMENT = "subnets: [{id: 1, prefix: 10.77.0.0/16, relays: [192.0.2.1], pools: [{range: 10.77.16.0/24}]}]\n"
KEPT = "10.77.0.9"
PEOPLE = {"screen": Role.VIEWER, "oscar": Role.OPERATOR, "anna": Role.ADMIN}
"""Holders of certificates; a guest has one, too, and no role."""

TOKENS = {role: f"{role.word}-{'x' * 32}" for role in PEOPLE.values()}
ROLES = "".join(
    [
        "certificates:\n",
        *(f'  - {{match: "CN:{name}", role: {role.word}}}\n' for name, role in PEOPLE.items()),
        '  - {match: "CN:guest", role: none}\n',
        "tokens:\n",
        *(token_row(role.word, role.word, token) for role, token in TOKENS.items()),
        token_row("former", "admin", "former-" + "x" * 32, "2020-01-01"),
    ]
)


def reservation() -> Reservation:
    return Reservation(address=KEPT, hw_address="02:5e:00:00:00:09", hostname="door")


ACTS: tuple[tuple[Role, str, Callable[[Any], Any]], ...] = (
    (Role.VIEWER, "cluster status", lambda client: client.get_status()),
    (
        Role.OPERATOR,
        f"reservation add {KEPT} --hw-address 02:5e:00:00:00:09 --dry-run",
        lambda client: client.create_reservation(reservation(), validate_only=True),
    ),
    (Role.ADMIN, "config apply FILE --dry-run", lambda client: client.apply_config(DOCUMENT, validate_only=True)),
)
"""The role that is needed, the command, the method."""


OLD = {"ca": "ours.pem", "cert": "node.pem", "key": "node.key", "roles": "old.yaml"}
NEW = {"ca": "next.pem", "cert": "later.pem", "key": "later.key"}
"""Files of the nodes' flags, and what they are copies of."""


class Secured:
    """folder: everybody's papers; servers: of all three nodes."""

    def __init__(self, folder: Path, etcd: EtcdCluster) -> None:
        self.folder = folder
        for name in ("ours", "next"):
            authority(folder, name)
        for name in ("node", "guest", *PEOPLE):
            leaf(folder, name, "ours")
        for name in ("later", "berta"):
            leaf(folder, name, "next")
        (folder / "old.yaml").write_text(ROLES)
        (folder / "new.yaml").write_text('certificates: [{match: "CN:berta", role: admin}]\n')
        (folder / "office.yaml").write_text(DOCUMENT)
        for name, source in OLD.items():
            shutil.copy(folder / source, folder / name)
        flags = [word for name in OLD for word in (f"--admin-{name}", str(folder / name))]
        self.nodes = [
            Node(
                folder, Loopback(), f"s{number}", etcd.endpoints, listens=[free_listen()], prefix="/secured",
                document=folder / "office.yaml", flags=flags,
            ).start()
            for number in range(3)
        ]  # fmt: skip
        for node in self.nodes:
            node.wait_ready(PATIENCE)
        self.servers = [node.admin for node in self.nodes]

    def papers(self, who: str | None, token: str = "", ca: str = "ours") -> Credentials:
        """Of somebody; None: without a certificate."""
        pair = (self.folder / f"{who}.pem", self.folder / f"{who}.key") if who else (None, None)
        return Credentials(self.folder / f"{ca}.pem", *pair, token=token)

    def everlease(self, words: str, papers: Credentials, servers: list[str] | None = None) -> Result:
        """A command at all nodes, in this order."""
        known = {"CA": papers.ca, "CERT": papers.cert, "KEY": papers.key, "TOKEN": papers.token}
        environment = {f"EVERLEASE_{name}": str(value) for name, value in known.items() if value}
        environment["EVERLEASE_SERVER"] = ",".join(servers or self.servers)
        return CliRunner().invoke(app, words.replace("FILE", str(self.folder / "office.yaml")).split(), env=environment)

    def admits(self, papers: Credentials, server: str) -> bool:
        """Whether a new connection with these papers is served."""
        with Client(server, papers, timeout=5) as client:
            try:
                client.get_status()
            except (Unreachable, Denied):
                return False
        return True

    def wait_admitted(self, papers: Credentials) -> None:
        """Until every node has heard of them."""
        for server in self.servers:
            wait_until(partial(self.admits, papers, server), PATIENCE, f"{server} knows them")

    def distribute(self, files: dict[str, str]) -> None:
        """New contents of files, and a signal to every node."""
        for name, source in files.items():
            shutil.copy(self.folder / source, self.folder / name)
        for node in self.nodes:
            os.kill(node.running.pid, signal.SIGHUP)


@pytest.fixture(scope="module")
def secured(etcd_cluster: EtcdCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("secured"), etcd_cluster)
    yield made
    for node in made.nodes:
        node.running.kill()


def identities(secured: Secured) -> Iterator[tuple[Role, Credentials]]:
    """Everybody by certificate; and by token, with a certificate that has no role."""
    for name, role in PEOPLE.items():
        yield role, secured.papers(name)
    for role, token in TOKENS.items():
        yield role, secured.papers("guest", token)


def said(ask: Callable[[], object]) -> str:
    """What a refused caller is told, "" = it was not refused."""
    try:
        ask()
    except Denied as denied:
        return str(denied)
    return ""


async def answers(secured: Secured, papers: Credentials) -> list[bool]:
    """Which acts the asyncio client may do."""
    found = []
    async with AsyncClient(secured.servers, papers) as client:
        for _, _, act in ACTS:
            try:
                await act(client)
                found.append(True)
            except Denied:
                found.append(False)
    return found


def test_each_role_may_do_its_part_and_no_more_by_certificate_and_by_token(secured: Secured) -> None:
    for number, (role, papers) in enumerate(identities(secured)):
        servers = secured.servers[number % 3 :] + secured.servers[: number % 3]  # each is asked first in turn
        with Client(servers, papers) as client:
            for needed, _, act in ACTS:
                refusal = said(partial(act, client))
                wanted = f"has the role {role.word}; this needs the role {needed.word}" if role < needed else ""
                assert refusal.endswith(wanted) if wanted else not refusal, refusal


def test_so_it_is_on_the_command_line_and_with_asyncio(secured: Secured) -> None:
    for name, role in PEOPLE.items():
        papers = secured.papers(name)
        for needed, words, _ in ACTS:
            done = secured.everlease(words, papers)
            refusal = f"CN:{name} has the role {role.word}; this needs the role {needed.word}"
            assert (done.exit_code, refusal in done.output) == ((0, False) if role >= needed else (1, True)), (
                done.output
            )
        assert asyncio.run(answers(secured, papers)) == [role >= needed for needed, _, _ in ACTS]


def test_who_shows_nothing_or_what_has_ended_is_refused_at_every_node(secured: Secured) -> None:
    for server in secured.servers:
        assert not secured.admits(secured.papers(None), server)
        assert not secured.admits(secured.papers(None, TOKENS[Role.ADMIN]), server)  # --admin-ca asks for both
        assert not secured.admits(secured.papers("guest"), server)
        assert not secured.admits(secured.papers("guest", "former-" + "x" * 32), server)
        assert not secured.admits(secured.papers("anna", "wrong-" + "x" * 32), server)
    assert secured.everlease("cluster status", secured.papers(None)).exit_code == 3
    assert secured.everlease("cluster status", secured.papers("guest")).exit_code == 1


def test_certificates_and_roles_are_replaced_without_a_restart_and_nobody_is_cut_off(secured: Secured) -> None:
    anna, berta = secured.papers("anna"), secured.papers("berta", ca="next")
    token = secured.papers("berta", TOKENS[Role.ADMIN], "next")
    before = [Client(server, anna) for server in secured.servers]
    for client in before:
        client.get_status()
    secured.distribute(NEW)
    secured.wait_admitted(token)
    for server, client in zip(secured.servers, before, strict=True):
        assert not secured.admits(anna, server)
        assert not secured.admits(berta, server)
        client.get_status()  # its connection began with papers that were good then
    secured.distribute({"roles": "new.yaml"})
    secured.wait_admitted(berta)
    for server, client in zip(secured.servers, before, strict=True):
        assert not secured.admits(token, server)
        assert "CN:anna has the role none" in said(client.get_status)
        client.close()
    assert [node.running.returncode for node in secured.nodes] == [None, None, None]
    secured.distribute(OLD)
    secured.wait_admitted(anna)


def test_a_node_that_is_killed_is_passed_over_by_both_clients_and_the_command_line(secured: Secured) -> None:
    papers = secured.papers("anna")
    with Client(secured.servers, papers) as client:
        first = client.get_status().observer
        dead = next(node for node in secured.nodes if node.name == first)
        dead.kill()
        assert client.get_status().observer != first
        client.create_reservation(reservation())
    servers = sorted(secured.servers, key=lambda server: server != dead.admin)
    removed = secured.everlease(f"reservation remove {KEPT} --yes", papers, servers)
    assert (removed.exit_code, "is removed" in removed.output) == (0, True), removed.output
    assert asyncio.run(answers(secured, papers)) == [True, True, True]
