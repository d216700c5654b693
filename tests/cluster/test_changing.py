"""The configuration changed under load, and nodes that leave: by SIGTERM, by kill -9, and for a while."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from cluster.crowd import Crowd
from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, wait_until
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import PacketClient
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]
MakeCrowd = Callable[..., Crowd]

LOSSES = ("conflict", "unavailable", "overload", "stale", "clock", "not_fresh")
"""Reasons that would say that a change of configuration cost somebody an answer."""


def leased(ack: Captured) -> int:
    """The address that an ACK gives."""
    assert ack.packet is not None
    return ack.packet.yiaddr


def test_every_node_switches_to_a_new_configuration_under_load_and_no_packet_is_lost(
    lab: Lab, crowd_on: MakeCrowd
) -> None:
    site = Site(lab).start()
    site.wait_agreed()
    crowd = crowd_on(site.client("crowd"), 300)
    changed = lab.folder / "changed.yaml"
    changed.write_text(site.simple(lifetime="2h"))
    applying = threading.Timer(1.0, lambda: site.nodes[1].cli("config", "apply", str(changed)))
    crowd.boot(within=12.0)
    applying.start()
    crowd.run(crowd.all_bound, 30.0)
    applying.join()
    lost = [node.metric("everlease_packets_dropped_total", reason=why) for node in site.nodes for why in LOSSES]
    assert sum(lost) == 0
    assert {ack.lifetime for ack in crowd.acks} == {3600, 7200}
    assert [node.metric("everlease_config_revision") for node in site.nodes] == [2, 2, 2]


@pytest.mark.patient
def test_a_broken_document_is_refused_with_all_of_its_errors_and_changes_nothing(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    broken = lab.folder / "broken.yaml"
    broken.write_text("schema: 1\nvalid-lifetme: 1h\nsubnets: [{id: 0, prefix: 10.77.0.0/33}]\n")
    with pytest.raises(LabError) as refused:
        site.nodes[0].cli("config", "apply", str(broken))
    assert "valid-lifetime" in str(refused.value)
    assert "prefix" in str(refused.value)
    assert site.nodes[0].metric("everlease_config_revision") == 1
    assert site.nodes[0].ready()


def test_a_node_that_is_told_to_stop_drains_within_five_seconds_and_the_others_answer_at_once(
    lab: Lab, crowd_on: MakeCrowd
) -> None:
    site = Site(lab).start()
    site.wait_agreed()
    crowd = crowd_on(site.client("crowd"), 200)
    stopped: list[tuple[int, float]] = []

    def stop() -> None:
        began = time.monotonic()
        stopped.append((site.nodes[0].stop(), time.monotonic() - began))

    crowd.boot(within=4.0)
    stopping = threading.Timer(1.5, stop)
    stopping.start()
    crowd.run(crowd.all_bound, 20.0)
    stopping.join()
    ((code, seconds),) = stopped
    assert code == 0
    assert seconds < 5.0
    assert crowd.most("DISCOVER") == 1


def test_a_killed_node_is_started_again_and_serves_under_its_name(lab: Lab) -> None:
    site = Site(lab).start()
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    address = leased(client.obtain())
    site.nodes[0].kill()
    site.wait_agreed()  # this client asks once; see test_who_answers for those who ask again
    assert client.reboot(address).kind == "ACK"
    site.nodes[0].start().wait_ready(15.0)
    assert client.reboot(address).kind == "ACK"


def test_a_node_that_was_stopped_for_a_while_joins_again_before_it_answers(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    node = site.nodes[0]
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    client.obtain()
    node.pause()
    for _ in range(3):
        client.send(client.message(v4.DISCOVER))
        time.sleep(1.0)
    node.resume()
    wait_until(node.ready, 5.0, "ready again")
    assert node.metric("everlease_packets_dropped_total", reason="not_serving") >= 1
    assert client.discover().kind == "OFFER"


@pytest.mark.patient
def test_certificates_are_read_again_at_sighup_and_serving_goes_on(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    node = site.nodes[0]
    client = PacketClient(site.client("client"))
    lab.on_close(client.close)
    address = leased(client.obtain())
    node.running.signal(signal.SIGHUP)
    wait_until(lambda: "certificates read again" in node.log.read_text(), 30.0, "certificates read again")
    assert client.reboot(address).kind == "ACK"
    time.sleep(11.0)  # the connections that were replaced are gone, and the watch has moved on
    assert node.ready()
    assert client.reboot(address).kind == "ACK"
    assert client.discover().kind == "OFFER"


def test_a_node_whose_store_is_gone_still_leaves_within_five_seconds(lab: Lab) -> None:
    site = Site(lab, nodes=1, members=1).start()
    node = site.nodes[0]
    site.etcd.pause(0)
    node.wait_silent()
    assert "degraded" in node.readiness()
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began < 5.0
