"""What a node may do to its machine while it serves, however it was started; and that it keeps secrets to itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import grpc
import pytest

from admin.papers import authority, leaf, token_row
from everlease.lab.netns import Lab
from everlease.lab.processes import Loopback, wait_until
from everlease.pb.admin.v1 import cluster_service_pb2 as pb
from everlease.pb.admin.v1 import cluster_service_pb2_grpc
from lab.nodes import Node
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]

TWO = 1 << 10 | 1 << 13
"""CAP_NET_BIND_SERVICE and CAP_NET_RAW."""

NOBODY = 65534
AMBIENT = (
    "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs",
    "--inh-caps=-all,+net_raw,+net_bind_service", "--ambient-caps=-all,+net_raw,+net_bind_service",
)  # fmt: skip
STARTS = {"root": ((), (), 0), "a user named": ((), ("--user", "nobody"), NOBODY), "no root": (AMBIENT, (), NOBODY)}
"""Started as: (in front of the program, flags, user id when it serves)."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One node on one link; its log may be written by anybody."""
    folder = tmp_path_factory.mktemp("privileges")
    folder.chmod(0o755)
    with Lab(folder) as lab:
        yield Site(lab, nodes=1, members=1).start()


def statuses(pid: int) -> list[dict[str, str]]:
    """What the kernel says of every thread of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines()) for task in tasks]


def restarted(site: Site, flags: tuple[str, ...], before: tuple[str, ...]) -> Node:
    """The site's node with other flags, and with words in front of its program."""
    node = site.nodes[0]
    node.stop()
    node.program = [*before, sys.executable, "-m", "everlease"]
    own = node.arguments
    # The document is in force, and lies where not everybody may read it.
    node.arguments = [*own[: own.index("--interface") + 2], *flags]
    return node.start().wait_ready()


@pytest.mark.parametrize(("before", "flags", "user"), STARTS.values(), ids=STARTS)
def test_a_node_that_serves_has_two_capabilities_in_every_thread_and_gets_a_lost_link_back(
    site: Site, before: tuple[str, ...], flags: tuple[str, ...], user: int
) -> None:
    node = restarted(site, flags, before)
    client = PacketClient(site.client(f"client{user}{len(before)}"))
    assert client.obtain().kind == "ACK"
    found = statuses(node.running.pid)
    assert len(found) > 3
    for status in found:
        assert {int(status[name], 16) for name in ("CapPrm", "CapEff")} == {TWO}
        assert before or int(status["CapBnd"], 16) & ~TWO == 0  # who is not root cannot, and has no need to
        assert {int(status[name], 16) for name in ("CapAmb", "CapInh")} == {0}
        assert status["NoNewPrivs"] == "1"
        assert {int(number) for number in status["Uid"].split()} == {user}
    site.hosts[0].ip("link", "delete", "eth1")
    wait_until(lambda: not node.metric("everlease_owned_buckets"), 20, "the link left presence")
    site.links["office"].connect(site.hosts[0], "eth1", address="10.77.0.2/16")
    wait_until(lambda: node.metric("everlease_owned_buckets"), 20, "the link is back")
    assert client.obtain().kind == "ACK"
    client.close()


TOKEN = "0123456789abcdef" * 4
STRAY = "fedcba9876543210" * 4


def ask(node: Node, papers: Path, token: str) -> str:
    """An operator's command, sent with a token from inside the node's host; how it ended."""
    trusted = grpc.ssl_channel_credentials((papers / "ours.pem").read_bytes())

    def call() -> str:
        with grpc.secure_channel(node.admin, trusted) as channel:
            stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
            try:
                request = pb.ResumeNodeRequest(node=node.name)
                stub.ResumeNode(request, metadata=(("authorization", f"Bearer {token}"),), timeout=20)
            except grpc.RpcError as error:
                return f"{error.code().name}: {error.details()}"
        return ""

    return call() if isinstance(node.place, Loopback) else node.place.call(call)


def test_no_secret_is_in_a_log_a_metric_or_the_arguments_of_a_process(etcd, tmp_path: Path) -> None:
    authority(tmp_path, "ours")
    leaf(tmp_path, "node", "ours")
    roles = tmp_path / "roles.yaml"
    good = "tokens:\n" + token_row("ci", "operator", TOKEN)
    roles.write_text(good)
    papers = ("--admin-cert", tmp_path / "node.pem", "--admin-key", tmp_path / "node.key", "--admin-roles", roles)
    flags = [*map(str, papers), "--log-level", "debug"]
    node = Node(
        tmp_path, Loopback(), "n1", etcd.endpoints, listens=["127.0.0.1:16731"], prefix=etcd.prefix, flags=flags
    )
    try:
        node.start().wait_alive(40)
        wait_until(lambda: ask(node, tmp_path, TOKEN) == "", 40, "the node has read the store and takes the token")
        assert ask(node, tmp_path, STRAY).startswith("UNAUTHENTICATED")
        roles.write_text(f"tokens: [{{name: ci, role: operator, sha256: {STRAY[:40]}}}, {{{STRAY}: 1}}]\n")
        wait_until(lambda: "papers not read again" in node.log.read_text(), 20, "the node says that the file is bad")
        roles.write_text(good + "  - {name: ci, role: operator, sha256: " + sha256(STRAY.encode()).hexdigest() + "}\n")
        wait_until(lambda: node.log.read_text().count("not read again") > 1, 20, "it says so again")
        assert ask(node, tmp_path, TOKEN) == ""  # what was good is still in force
        roles.write_text("loopback: viewer\n")
        wait_until(lambda: "papers read again" in node.log.read_text(), 20, "the node follows the file")
        assert ask(node, tmp_path, TOKEN).startswith("UNAUTHENTICATED")
        read = node.log.read_text().count("papers read again")
        os.kill(node.running.pid, signal.SIGHUP)
        wait_until(lambda: node.log.read_text().count("papers read again") > read, 20, "and reads it when told")
        arguments = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        told = b"\n".join([node.log.read_bytes(), node.exposition(), *arguments]).decode(errors="replace")
    finally:
        node.running.stop()
    key = (tmp_path / "node.key").read_text().splitlines()[1]
    assert '"event": "audit"' in told
    for secret in (TOKEN, STRAY, STRAY[:40], key, sha256(TOKEN.encode()).hexdigest()):
        assert secret not in told


def test_a_user_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    words = ("node", "--name", "n", "--etcd", "127.0.0.1:1", "--listen", "127.0.0.1:1667", "--user", "nemo")
    done = subprocess.run([sys.executable, "-m", "everlease", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "everlease node: --user nemo: there is no such user\n")
