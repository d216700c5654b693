"""The units are what systemd takes, hardened, and no tighter than what a node needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from checkout import ROOT
from everlease.cli.node import app
from everlease.lab.processes import Loopback, need, run, wait_until
from lab.nodes import Node, free_listen
from operate.test_real_node import OFFICE

FOLDER = ROOT / "deploy" / "systemd"
UNITS = ("everlease.service", "everlease@.service")
EXPOSURE = 20
"""Tenths of systemd's score, of 100; an ordinary unit without settings has 96."""


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit whose program is there."""
    file: Path = tmp_path / str(request.param).replace("@.", "@lab1.")
    text = (FOLDER / request.param).read_text()
    file.write_text(text.replace("/opt/everlease/bin/everlease", "/bin/true"))
    return file


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    need("systemd-analyze")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def test_systemd_has_nothing_to_say_of_a_unit(unit: Path) -> None:
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_unit_is_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", str(unit))
    assert done.returncode == 0, done.stdout[-200:]


def test_the_template_differs_from_the_unit_by_its_instance_alone() -> None:
    plain, template = (
        [line for line in (FOLDER / name).read_text().splitlines() if not line.startswith("#")] for name in UNITS
    )
    named = [line.replace("node.env", "%i.env").replace("DHCP node", "DHCP node %i") for line in plain]
    assert template == named


def test_every_variable_of_the_example_is_a_flag_of_the_node() -> None:
    known = {parameter.envvar for parameter in get_command(app).params}
    named = re.findall(r"^#?(EVERLEASE_\w+)=", (FOLDER / "node.env").read_text(), re.MULTILINE)
    assert len(named) > 10
    assert set(named) <= known


def allowed_calls() -> set[str]:
    """What the unit's SystemCallFilter= lets through."""
    lines = re.findall(r"^SystemCallFilter=(.*)$", (FOLDER / UNITS[0]).read_text(), re.MULTILINE)
    calls: set[str] = set()
    for line in lines:
        refused = line.startswith("~")
        for group in line.removeprefix("~").split():
            calls = calls - group_of(group) if refused else calls | group_of(group)
    return calls


def group_of(name: str) -> set[str]:
    """The system calls of a group, those of the groups in it too; a single call is itself."""
    if not name.startswith("@"):
        return {name}
    calls: set[str] = set()
    for line in analyze("syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            calls |= group_of(word)
    return calls


@pytest.mark.etcd
def test_a_node_makes_no_system_call_that_its_unit_refuses(
    etcd, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    need("strace")
    document, trace = tmp_path / "office.yaml", tmp_path / "trace"
    document.write_text(OFFICE)
    node = Node(
        tmp_path, Loopback(), "n1", etcd.endpoints, listens=[free_listen()], prefix=etcd.prefix, document=document
    )
    node.program = ["strace", "-f", "-qq", "-o", str(trace), *node.program]
    node.start()
    request.addfinalizer(node.kill)
    node.wait_ready(60)
    node.cli("explain", "--hw-address", "02:00:00:00:00:05", "--relay", "10.77.0.1")
    wait_until(lambda: node.metric("everlease_view_revision") > 0, 10, "a scrape")
    run(["kill", "-HUP", child_of(node.running.pid)])
    run(["kill", child_of(node.running.pid)])
    wait_until(lambda: node.running.returncode is not None, 20, "drained and gone")
    made = set(re.findall(r"^\d+\s+(\w+)\(", trace.read_text(), re.MULTILINE))
    assert {"bind", "recvmsg", "sendmsg", "epoll_wait"} <= made
    assert made - allowed_calls() == set()


def child_of(pid: int) -> str:
    return run(["pgrep", "-P", str(pid)]).split()[0]
