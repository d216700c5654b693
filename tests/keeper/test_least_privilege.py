"""etcd with TLS and authentication, as docs/security.md sets it up: a node serves and keeps the store with a role that
ends at its prefix. What needs etcd's root is told apart here, because it must be documented.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from admin.papers import authority, leaf
from everlease.lab.etcd import free_ports
from everlease.lab.processes import LabError, Loopback, Process, wait_until
from everlease.quickstart.clients import RelayedClient
from everlease.store.api import Unavailable
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.maintenance import Maintenance
from lab.nodes import Node

pytestmark = pytest.mark.etcd

ROLE = Path(__file__).parents[2] / "deploy" / "etcd" / "role.sh"
DOCUMENT = """\
schema: 1
subnets: [{id: 1, prefix: 10.77.0.0/16, relays: [127.0.0.1], pools: [{range: 10.77.16.0/24}]}]
"""


@dataclass(frozen=True)
class Guarded:
    """A member that speaks only TLS, wants a certificate, and asks what its holder may do."""

    folder: Path
    url: str

    def papers(self, who: str) -> Credentials:
        return Credentials(self.folder / "ours.pem", self.folder / f"{who}.pem", self.folder / f"{who}.key")

    def run(self, *words: str, who: str = "root") -> str:
        """A command as the holder of a certificate; LabError for a refusal."""
        papers = self.papers(who)
        paths = {"CACERT": papers.ca, "CERT": papers.cert, "KEY": papers.key, "ENDPOINTS": self.url}
        environment = {**os.environ, "ETCDCTL_API": "3", **{f"ETCDCTL_{name}": str(it) for name, it in paths.items()}}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise LabError(done.stderr)
        return done.stdout

    def revision(self) -> int:
        """The newest one."""
        return int(self.run("etcdctl", "endpoint", "status", "-w", "fields").partition('"Revision" : ')[2].split()[0])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """As the manual says: root by certificate, the role by its script (twice: it may be repeated), then auth."""
    folder = tmp_path_factory.mktemp("guarded")
    authority(folder, "ours")
    for name in ("server", "root", "everlease-node"):
        leaf(folder, name, "ours")
    client, peer = free_ports(2)
    found = Guarded(folder, f"https://127.0.0.1:{client}")
    peers = f"http://127.0.0.1:{peer}"
    argv = [
        "etcd", f"--data-dir={folder / 'data'}", f"--listen-client-urls={found.url}",
        f"--advertise-client-urls={found.url}", f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}",
        f"--cert-file={folder / 'server.pem'}", f"--key-file={folder / 'server.key'}",
        f"--trusted-ca-file={folder / 'ours.pem'}", "--client-cert-auth",
    ]  # fmt: skip
    process = Process(argv, folder / "etcd.log")
    wait_until(lambda: _answers(found), 30, "etcd answers")
    for words in ("user add root --no-password", "user grant-role root root"):
        found.run("etcdctl", *words.split())
    for _ in range(2):
        found.run(str(ROLE), "everlease-node")
    found.run("etcdctl", "auth", "enable")
    yield found
    process.kill()


def _answers(guarded: Guarded) -> bool:
    try:
        return bool(guarded.run("etcdctl", "endpoint", "health") or True)
    except LabError:
        return False


def test_a_node_with_the_documented_role_serves_and_keeps_the_store(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "everlease.yaml").write_text(DOCUMENT)
    papers = guarded.papers("everlease-node")
    (port,) = free_ports(1)
    node = Node(
        tmp_path, Loopback(), "n1", [guarded.url], listens=[f"127.0.0.1:{port}"],
        document=tmp_path / "everlease.yaml",
        flags=("--reply-to", "source", "--etcd-ca", str(papers.ca), "--etcd-cert", str(papers.cert),
               "--etcd-key", str(papers.key)),
    )  # fmt: skip
    try:
        node.start().wait_ready(40)
        client = RelayedClient([("127.0.0.1", port)])
        assert client.bind().address == client.extend().address
        wait_until(lambda: "keeps the store" in node.log.read_text(), 30, "it is the keeper")
        assert "denied" not in node.log.read_text()
        assert '"state":"bound"' in guarded.run("etcdctl", "get", "--prefix", "/everlease/v/leases/")
    finally:
        node.stop()


@pytest.mark.parametrize(
    "words",
    ["put /other x", "get /everlease2/x", "del --prefix /", "get --prefix /everlease", "user list", "role list"],
)
def test_beyond_its_prefix_it_may_nothing(guarded: Guarded, words: str) -> None:
    with pytest.raises(LabError, match="permission denied"):
        guarded.run("etcdctl", *words.split(), who="everlease-node")
    guarded.run("etcdctl", "put", "/everlease/v/x", "y", who="everlease-node")


async def test_upkeep_that_the_role_allows_and_what_wants_etcds_root(guarded: Guarded) -> None:
    guarded.run("etcdctl", "put", "/everlease/x/before", "1")
    guarded.run("etcdctl", "put", "/everlease/x/before", "2")
    revision = guarded.revision()
    for who, may in (("everlease-node", False), ("root", True)):
        store = EtcdStore([guarded.url], guarded.papers(who))
        upkeep = Maintenance(store, guarded.papers(who))
        assert (await upkeep.status(guarded.url, 5)).leader
        assert len(await upkeep.members(guarded.url, 5)) == 1
        assert await upkeep.alarms(guarded.url, 5) == ()
        assert (await upkeep.disk(guarded.url, 5)).quota
        await upkeep.compact(guarded.url, revision - 1 + may, 5)
        if may:
            await upkeep.defragment(guarded.url, 5)
        else:
            with pytest.raises(Unavailable, match="permission denied"):
                await upkeep.defragment(guarded.url, 5)
        upkeep.close()
        await store.close()


def test_a_snapshot_wants_etcds_root(guarded: Guarded, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="permission denied"):
        guarded.run("etcdctl", "snapshot", "save", str(tmp_path / "s.db"), who="everlease-node")
    guarded.run("etcdctl", "snapshot", "save", str(tmp_path / "s.db"))
