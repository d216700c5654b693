"""Namespaces are apart, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import PREFIX, Lab, Namespace, sweep
from everlease.lab.processes import LabError, need, wait_until

pytestmark = pytest.mark.root

FORGETFUL = """
import sys, time
from pathlib import Path
from everlease.lab.netns import Lab, cable
lab = Lab(Path(sys.argv[1]))
one, two = lab.namespace("one"), lab.namespace("two")
cable(one, "eth0", two, "eth0")
sleeper = lab.start(one, "sleep", "1000")
print(sleeper.pid, flush=True)
with lab:
    time.sleep(1000)
"""


def forgetful(tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A run that has a lab open; and the process that it started in there."""
    command = [sys.executable, "-c", FORGETFUL, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert run.stdout
    started = int(run.stdout.readline())
    time.sleep(0.3)
    return run, started


def namespaces_of(pid: int) -> list[Path]:
    return list(Path("/run/netns").glob(f"{PREFIX}-{pid}-*"))


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_run_that_is_terminated_leaves_nothing(tmp_path: Path) -> None:
    run, started = forgetful(tmp_path)
    assert len(namespaces_of(run.pid)) == 2
    run.terminate()
    assert run.wait(10) == 128 + signal.SIGTERM
    assert namespaces_of(run.pid) == []
    wait_until(lambda: gone(started), 5, "its process gone")


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    run, started = forgetful(tmp_path)
    run.kill()
    run.wait()
    wait_until(lambda: gone(started), 5, "its process gone")  # by the kernel
    sweep()
    assert namespaces_of(run.pid) == []


def udp(namespace: Namespace) -> socket.socket:
    """A socket on port 9 of a namespace."""

    def bind() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 9))
        sock.settimeout(0.5)
        return sock

    return namespace.call(bind)


def test_a_cut_port_takes_the_carrier_and_a_drop_takes_only_what_matches(lab: Lab) -> None:
    switch, one, two = lab.switch(), lab.namespace("one"), lab.namespace("two")
    port = switch.connect(one, "eth0", address="10.0.0.1/24")
    switch.connect(two, "eth0", address="10.0.0.2/24")
    with udp(one) as sender, udp(two) as receiver:

        def heard(payload: bytes) -> bool:
            sender.sendto(payload, ("10.0.0.2", 9))
            try:
                return receiver.recv(100) == payload
            except TimeoutError:
                return False

        assert heard(b"whole")
        switch.drop(port, "udp length 12")
        assert not heard(b"four")
        assert heard(b"five!")
        switch.deliver(port)
        assert heard(b"four")
        switch.cut(port)
        wait_until(lambda: "NO-CARRIER" in one.ip("link", "show", "eth0"), 5, "carrier lost")
        assert not heard(b"cut")
        switch.restore(port)
        wait_until(lambda: heard(b"back"), 5, "heard again")


@pytest.mark.etcd
def test_etcd_members_of_several_namespaces_form_a_cluster(lab: Lab) -> None:
    switch = lab.switch()
    places = []
    for number in range(3):
        host = lab.namespace(f"host{number}")
        switch.connect(host, "eth0", address=f"10.99.0.{number + 1}/24")
        places.append((host, f"10.99.0.{number + 1}"))
    with EtcdCluster(lab.folder / "etcd", places=places) as cluster:
        cluster.etcdctl("put", "key", "value")
        assert cluster.leader() in range(3)


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(LabError, match=r"not installed: no-such-tool; \./tests/run\.sh installs"):
        need("ip", "no-such-tool")
