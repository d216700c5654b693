"""Relay mode behind each form of Service: a real relay's packets reach the pods, and replies find their way back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest
import yaml

from cluster.crowd import Crowd, dotted
from everlease.lab.processes import LabError, wait_until
from helm.chart import Object, render
from lab.capture import Capture, Captured
from lab.packet_client import PacketClient, ipv4
from relaymode.fabric import BALANCERS, DOCUMENT, GIADDR, ONE_EACH, ONE_FOR_ALL, PODS, RELAY, SHARED, Fabric
from relaymode.forms import Form, one_each, one_for_all

pytestmark = [pytest.mark.root, pytest.mark.etcd]

FORMS: dict[str, Callable[[Fabric], Form]] = {
    "one-each": one_each,
    "one-each-masqueraded": lambda fabric: one_each(fabric, masquerade=True),
    "one-for-all": one_for_all,
}


@pytest.fixture
def relayed(fabric: Fabric) -> Iterator[list[Captured]]:
    """What passes the relay's upper side."""
    with Capture(fabric.relay, "up0") as capture:
        yield capture.packets


def life(fabric: Fabric, label: str) -> str:
    """A client gets a lease, renews it by unicast, and gives it back; the server that it was told."""
    namespace = fabric.client(label)
    client = PacketClient(namespace)
    ack = client.obtain(timeout=15)
    assert ack.packet is not None
    address, server = dotted(ack.packet.yiaddr), dotted(ack.server)
    client.adopt(address, 16)
    again = client.renew(address, server)
    assert (again.kind, dotted(again.source), again.ports) == ("ACK", server, (67, 68))
    client.release(address, server)
    client.close()
    return server


@pytest.mark.parametrize("form", FORMS)
def test_clients_get_renew_and_release_through_every_form_of_service(
    fabric: Fabric, relayed: list[Captured], form: str
) -> None:
    addresses = [SHARED] if form == "one-for-all" else BALANCERS
    fabric.deploy(ONE_FOR_ALL if form == "one-for-all" else ONE_EACH)
    with FORMS[form](fabric):
        crowd = Crowd(PacketClient(fabric.client(f"floor-{form}")), 30, 1 + list(FORMS).index(form))
        crowd.boot(within=2)
        crowd.run(crowd.all_bound, 60)
        assert life(fabric, f"life-{form}") in addresses
    assert {dotted(ack.server) for ack in crowd.acks} == set(addresses)
    replies = [each for each in relayed if not each.sent and each.kind in {"OFFER", "ACK"} and each.ports[1] == 67]
    assert {dotted(each.source) for each in replies} == set(addresses)
    assert {(each.destination, each.ports) for each in replies} == {(ipv4(RELAY), (67, 67))}
    assert {each.packet.giaddr for each in replies if each.packet} == {int(IPv4Address(GIADDR))}


def command(fabric: Fabric, pod: Object, document: str = "") -> tuple[int, str]:
    """Run what a pod of the release runs, in the cluster's network: (exit code, what it said)."""
    (container,) = pod["spec"]["containers"]
    file = fabric.lab.folder / "document.yaml"
    file.write_text(document)
    words = [*container["command"], *container.get("args", [])]
    words = [str(file) if word.startswith("/etc/everlease/configuration/") else word for word in words]
    there = ["env", f"EVERLEASE_SERVER={PODS[0]}:9067", sys.executable, "-m", *words]
    done = subprocess.run(fabric.workers[1].command(there), capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_the_configuration_job_applies_what_the_release_changed_and_fails_it_for_anything_else(fabric: Fabric) -> None:
    nodes = fabric.deploy(ONE_EACH)
    objects = render(ONE_EACH)
    (job,) = (each["spec"]["template"] for each in objects if each["kind"] == "Job")
    (status,) = (each for each in objects if each["kind"] == "Pod")
    mine, changed = yaml.safe_dump(DOCUMENT), yaml.safe_dump({**DOCUMENT, "valid-lifetime": "2h"})

    code, words = command(fabric, job, changed)
    assert (code, words.splitlines()[-1]) == (0, "revision 2 is in force")
    code, words = command(fabric, job, "subnets: 7\n")
    assert (code, "subnets" in words) == (1, True)
    people = {"spec": {"containers": [{"command": ["everlease", "config", "apply", "/etc/everlease/configuration/x"]}]}}
    assert command(fabric, people, mine + "# by hand\n")[0] == 0
    code, words = command(fabric, job, changed + "# once more\n")
    assert code == 1
    assert "revision 3 was applied by" in words
    wait_until(lambda: {node.metric("everlease_config_revision") for node in nodes} == {3}, 10, "revision 3 everywhere")
    code, words = command(fabric, status)
    assert code == 0
    assert all(f"dhcp-{number}" in words for number in range(3))


@pytest.mark.slow
def test_without_reply_to_source_no_reply_finds_its_way(fabric: Fabric) -> None:
    fabric.deploy(ONE_EACH, ["--reply-to=giaddr"])
    client = PacketClient(fabric.client("lost"))
    with one_each(fabric), pytest.raises(LabError, match="no such packet"):
        client.discover(timeout=6)
    client.close()
