"""What is wrong with flags, machine or store is one clear line and an exit code, before anything is served."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from everlease.lab.etcd import EtcdCluster, free_ports
from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import Process
from lab.nodes import Node

pytestmark = [pytest.mark.root, pytest.mark.etcd, pytest.mark.patient]

DOCUMENT = "schema: 1\nsubnets: [{id: 1, prefix: 10.77.0.0/16, pools: [{range: 10.77.16.0/24}]}]\n"
NOWHERE = "http://127.0.0.1:1"


def run(host: Namespace, folder: Path, *flags: str, under: tuple[str, ...] = ()) -> tuple[int, str]:
    """Start a node that must refuse; its exit code and what it said besides log lines."""
    argv = [*under, sys.executable, "-m", "everlease", "node", *flags]
    log = folder / f"refused-{len(list(folder.iterdir()))}.log"
    process = Process(host.command(argv), log)
    code = process.wait(20)
    return code, "\n".join(line for line in log.read_text().splitlines() if not line.startswith("{"))


@pytest.fixture
def host(lab: Lab) -> Namespace:
    namespace = lab.namespace("host")
    switch = lab.switch()
    switch.connect(namespace, "eth0", address="10.77.0.2/16")
    return namespace


def test_a_port_in_use_is_named_with_the_way_to_find_its_user(lab: Lab, host: Namespace) -> None:
    taken = host.call(lambda: _bound("10.77.0.2", 67))
    code, said = run(host, lab.folder, "--name", "n", "--etcd", NOWHERE, "--listen", "10.77.0.2")
    taken.close()
    assert code == 1
    assert said.count("\n") == 0
    assert "10.77.0.2:67" in said
    assert "in use" in said


@pytest.mark.parametrize(("flag", "port"), [("--metrics", 9167), ("--admin", 9067)])
def test_an_edges_port_in_use_is_one_line_too(lab: Lab, host: Namespace, flag: str, port: int) -> None:
    taken = host.call(lambda: _listening("127.0.0.1", port))
    code, said = run(host, lab.folder, "--name", "n", "--etcd", NOWHERE, "--listen", "10.77.0.2")
    taken.close()
    assert code == 1
    assert said.count("\n") == 0
    assert f"{flag} 127.0.0.1:{port}" in said


def test_a_node_whose_store_is_mute_says_why_it_waits(lab: Lab, host: Namespace) -> None:
    mute = host.call(lambda: _listening("127.0.0.1", 12379))
    waiting = Node(lab.folder, host, "waiting", ["http://127.0.0.1:12379"], listens=["10.77.0.2"]).start()
    lab.on_close(waiting.kill)
    waiting.wait_alive()
    assert waiting.readiness() == "joining: the store has not answered yet\n"
    assert waiting.metric("everlease_node_state", state="joining") == 1
    mute.close()


def test_a_missing_interface_is_named_beside_those_that_exist(lab: Lab, host: Namespace) -> None:
    code, said = run(host, lab.folder, "--name", "n", "--etcd", NOWHERE, "--interface", "office=eth7")
    assert code == 1
    assert said == "everlease node: interface eth7 does not exist; this host has: lo, eth0"


def test_a_missing_capability_is_named(lab: Lab, host: Namespace) -> None:
    bare = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw")
    code, said = run(host, lab.folder, "--name", "n", "--etcd", NOWHERE, "--interface", "eth0", under=bare)
    assert code == 1
    assert "CAP_NET_RAW" in said
    assert said.count("\n") == 0


def test_a_store_that_does_not_answer_is_exit_code_three(lab: Lab, host: Namespace) -> None:
    code, said = run(host, lab.folder, "--name", "n", "--etcd", NOWHERE, "--interface", "eth0")
    assert code == 3
    assert NOWHERE in said
    assert said.count("\n") == 0


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--name", "n", "--etcd", NOWHERE),
        ("--name", "a/b", "--etcd", NOWHERE, "--interface", "eth0"),
        ("--name", "n", "--etcd", NOWHERE, "--listen", "10.77.0.300"),
        ("--name", "n", "--etcd", NOWHERE, "--listen", "10.77.0.2:99999"),
        ("--name", "n", "--etcd", NOWHERE, "--interface", "eth0", "--answer", "nobody"),
        ("--name", "n", "--etcd", NOWHERE, "--interface", "eth0", "--server-identifier", "me"),
    ],
)
def test_flags_that_make_no_sense_are_exit_code_two(lab: Lab, host: Namespace, flags: tuple[str, ...]) -> None:
    code, _ = run(host, lab.folder, *flags)
    assert code == 2


def test_a_bad_document_is_refused_with_all_of_its_problems_and_nothing_is_written(lab: Lab, host: Namespace) -> None:
    etcd = EtcdCluster(lab.folder / "etcd", places=[(host, "127.0.0.1")])
    lab.on_close(etcd.stop)
    etcd.start()
    document = lab.folder / "bad.yaml"
    document.write_text("schema: 1\nvalid-lifetme: 1h\nsubnets: [{id: 0, prefix: 10.77.0.0/33}]\n")
    flags = ("--name", "n", "--etcd", etcd.endpoints[0], "--interface", "eth0", "--config-file", str(document))
    code, said = run(host, lab.folder, *flags)
    assert code == 1
    assert "valid-lifetime" in said
    assert "prefix" in said
    assert etcd.etcdctl("get", "--prefix", "/everlease", "--keys-only").strip() == ""


def test_a_node_without_a_configuration_waits_not_ready_and_begins_when_there_is_one(lab: Lab, host: Namespace) -> None:
    etcd = EtcdCluster(lab.folder / "etcd", places=[(host, "127.0.0.1")])
    lab.on_close(etcd.stop)
    etcd.start()
    waiting = Node(lab.folder, host, "waiting", etcd.endpoints, interfaces=["eth0"]).start()
    lab.on_close(waiting.kill)
    waiting.wait_alive()
    assert not waiting.ready()
    assert "no configuration in the store" in waiting.readiness()
    document = lab.folder / "good.yaml"
    document.write_text(DOCUMENT)
    waiting.cli("config", "apply", str(document))
    waiting.wait_ready(5)


def test_a_second_node_of_the_same_name_refuses_to_start(lab: Lab, host: Namespace) -> None:
    etcd = EtcdCluster(lab.folder / "etcd", places=[(host, "127.0.0.1")])
    lab.on_close(etcd.stop)
    etcd.start()
    document = lab.folder / "good.yaml"
    document.write_text(DOCUMENT)
    first = Node(lab.folder, host, "twin", etcd.endpoints, interfaces=["eth0"], document=document).start()
    lab.on_close(first.kill)
    first.wait_ready()
    (port,) = free_ports(1)
    flags = ("--name", "twin", "--etcd", etcd.endpoints[0], "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0")
    code, said = run(host, lab.folder, *flags, "--metrics", "127.0.0.1:0")
    assert code == 1
    assert "another running node has this name" in said
    assert first.ready()


def _listening(address: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen()
    return sock


def _bound(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock
