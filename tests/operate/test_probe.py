"""The probe on a real wire: it finds every server, whoever they belong to, and says when there is none."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError
from lab.kea import Kea

pytestmark = pytest.mark.root

EVERLEASE = str(Path(sys.executable).with_name("everlease"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = Lab(tmp_path / "lab")
    yield found
    found.close()


def test_every_server_on_the_link_is_shown(lab: Lab) -> None:
    switch = lab.switch()
    client = lab.namespace("client")
    switch.connect(client, mac="02:00:00:00:00:42")
    for label, address in (("ours", "10.77.0.1"), ("rogue", "192.168.0.1")):
        server = lab.namespace(label)
        switch.connect(server, address=f"{address}/24")
        network = address.removesuffix(".1")
        Kea(lab, server, f"{network}.0/24", f"{network}.10 - {network}.20")
    rows = json.loads(client.run(EVERLEASE, "probe", "--interface", "eth0", "--wait", "2", "-o", "json"))
    assert sorted(row["server"] for row in rows) == ["10.77.0.1", "192.168.0.1"]
    (ours,) = [row for row in rows if row["server"] == "10.77.0.1"]
    assert (ours["answer"], ours["address"], ours["lifetime"]) == ("OFFER", "10.77.0.10", 600)
    assert ours["routers"] == ["10.77.0.10"]
    table = client.run(EVERLEASE, "probe", "--interface", "eth0", "--count", "2", "--wait", "1")
    assert table.count("192.168.0.1") >= 2


def test_silence_is_code_3_and_a_dead_link_is_code_1(lab: Lab) -> None:
    switch = lab.switch()
    client = lab.namespace("client")
    port = switch.connect(client)
    with pytest.raises(LabError, match="no DHCP server answered on eth0"):
        client.run(EVERLEASE, "probe", "--interface", "eth0", "--wait", "0.2")
    switch.cut(port)
    with pytest.raises(LabError, match="no carrier"):
        client.run(EVERLEASE, "probe", "--interface", "eth0", "--wait", "0.2")
