"""The command line against three nodes on a real etcd: one table, every command, its words and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from admin.three import Three
from cli.tree import commands
from everlease.cli.main import app

pytestmark = [pytest.mark.root, pytest.mark.etcd]

MAC = "02:00:5e:01:00:{:02x}"
OFFLINE = frozenset({"quickstart", "node", "probe", "doctor", "config validate", "config schema", "backup verify"})
"""Those that ask no cluster: `tests/cli` and `tests/quickstart` have them."""

STREAMING = frozenset({"lease watch", "audit watch"})


@dataclass(frozen=True)
class Row:
    """words: of the command; says: what is in its output or its message; code: its exit code."""

    words: str
    says: str
    code: int = 0


STORY = (
    Row("cluster status", "node2"),
    Row("cluster members", "leader"),
    Row("cluster alarms", "no alarm is raised"),
    Row(f"lease add 10.77.180.1 --hw-address {MAC.format(1)} --hostname reception", "10.77.180.1"),
    Row(f"lease add 10.77.180.1 --hw-address {MAC.format(2)}", "everlease: ", 1),
    Row(f"lease add 10.77.180.2 --hw-address {MAC.format(2)} --lifetime 8h --dry-run", "dry run"),
    Row(f"lease list --client {MAC.format(1)} --state bound --hostname RECEPT --subnet 1", "10.77.180.1"),
    Row("lease list --hostname reception --expires-before 1m", "no lease matches"),
    Row("lease list --relay 192.0.2.77", "no lease matches"),
    Row("lease show 10.77.180.1", "reception"),
    Row("lease release 10.77.180.1", "say --yes", 2),
    Row("lease release 10.77.180.1 --now --yes", "10.77.180.1 is"),
    Row("lease release 10.77.180.9 --yes", "no lease record", 1),
    Row("lease clear-declined --subnet 1 --yes", "0 usable again"),
    Row("lease clear-declined", "name one", 2),
    Row("subnet list", "10.77.0.0/16"),
    Row("subnet show 1", "10.77.16.0-10.77.255.250"),
    Row("subnet drain 1 --dry-run", "active -> draining"),
    Row("subnet drain 1 --comment holidays", "is in force"),
    Row("subnet resume 1", "draining -> active"),
    Row("subnet disable 1", "say --yes", 2),
    Row("subnet disable 1 --dry-run --force", "dry run"),
    Row(f"reservation add 10.77.180.3 --hw-address {MAC.format(3)} --hostname camera", "camera"),
    Row(f"reservation add 10.77.180.3 --hw-address {MAC.format(4)}", "everlease: ", 1),
    Row("reservation show 10.77.180.3", "camera"),
    Row("reservation list --source api", "10.77.180.3"),
    Row("reservation import FOLDER/kept.csv", "2 are there, 1 refused", 1),
    Row("reservation remove 10.77.180.3", "say --yes", 2),
    Row("reservation remove 10.77.180.3 --dry-run", "can be removed"),
    Row("reservation remove 10.77.180.3 --yes", "is removed"),
    Row("reservation remove", "say which", 2),
    Row(f"explain --hw-address {MAC.format(5)} --link office --option 60=Phone", "10.77.180.5"),
    Row("reservation remove --from FOLDER/kept.csv --dry-run", "3 can be removed, 0 refused"),
    Row("reservation remove --from FOLDER/kept.csv", "Remove 3 reservations", 2),
    Row("reservation remove --from FOLDER/kept.csv --yes", "3 are removed, 0 refused"),
    Row("reservation remove --subnet 1 --yes", "0 refused"),
    Row("config show", "10.77.0.0/16"),
    Row("config apply FOLDER/changed.yaml --comment French --dry-run", "dry run"),
    Row("config apply FOLDER/changed.yaml --comment French", "is in force"),
    Row("config apply FOLDER/changed.yaml --expect-revision 1", "not the one that was expected", 1),
    Row("config history", "French"),
    Row("config diff", "+"),
    Row("config diff 1", "bureau"),
    Row("config rollback 1", "say --yes", 2),
    Row("config rollback 1 --yes --force", "is in force"),
    Row("cluster drain node1", "node1 is drained"),
    Row("cluster resume node1", "node1 serves again"),
    Row("cluster drain node7", "there is no node", 1),
    Row("backup save FOLDER/copy", "checked"),
    Row("backup save FOLDER/copy", "say --yes", 2),
    Row("backup restore FOLDER/copy --dry-run", "dry run"),
    Row("backup restore FOLDER/copy", "say --yes", 2),
    Row("backup restore FOLDER/copy --yes", "saved"),
    Row("backup end-recovery --yes", "everlease: ", 1),
    Row("lease export FOLDER/leases.csv", "lease"),
    Row("lease export FOLDER/leases.txt", ".jsonl", 2),
    Row("lease import FOLDER/leases.csv --dry-run", "dry run"),
    Row("lease import FOLDER/leases.csv", "say --yes", 2),
    Row("lease import FOLDER/leases.csv --yes", "leases skipped"),
    Row("backup snapshot FOLDER/snapshot", "bytes"),
)


@pytest.fixture
def everlease(three: Three) -> Callable[..., Any]:
    """`everlease ...` against all three."""

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, [*words], env={"EVERLEASE_SERVER": three.server})

    return run


@pytest.fixture
def folder(three: Three, tmp_path: Path) -> Path:
    """Files that the story names."""
    (tmp_path / "changed.yaml").write_text(three.document.replace("link: office", "link: office\n    name: bureau"))
    rows = [f"10.77.180.{last},{MAC.format(last)},host{last}" for last in (5, 6)]
    (tmp_path / "kept.csv").write_text("\n".join(["address,hw-address,hostname", *rows, "10.9.9.9,here,"]) + "\n")
    return tmp_path


def test_the_story_tells_every_command() -> None:
    told = {words for row in STORY for words in (" ".join(row.words.split()[:2]), row.words.split()[0])}
    assert {name for name, _ in commands()} - told - OFFLINE - STREAMING == set()


def test_every_command_says_what_it_should_and_returns_what_is_promised(everlease, folder: Path) -> None:
    for row in STORY:
        done = everlease(*row.words.replace("FOLDER", str(folder)).split())
        assert (done.exit_code, row.says in done.output) == (row.code, True), (row, done.output, done.exception)


def test_lists_are_the_same_in_every_form(everlease) -> None:
    everlease("lease", "add", "10.77.181.1", "--hw-address", MAC.format(9))
    for words in (("lease", "list"), ("subnet", "list"), ("config", "history"), ("cluster", "members")):
        rows = json.loads(everlease(*words, "-o", "json").stdout)
        lines = everlease(*words, "-o", "csv").stdout.splitlines()
        assert rows and len(lines) == len(rows) + 1 and lines[0] == ",".join(rows[0])
        assert everlease(*words, "-o", "yaml").stdout.count("\n- ") + 1 == len(rows)


@pytest.fixture
def watching(three: Three) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`everlease ...` as a process that goes on."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).with_name("everlease")), *words]
        environment = {**os.environ, "EVERLEASE_SERVER": three.server}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_watches_tell_what_happens_and_end_well_with_an_interrupt(three: Three, everlease, watching) -> None:
    mac = MAC.format(11)
    revision = json.loads(everlease("cluster", "status", "-o", "json").stdout)["view_revision"]
    leases = watching("lease", "watch", "--from-revision", str(revision), "--client", mac, "-o", "json")
    records = watching("audit", "watch", "--past", "-o", "json")
    everlease("lease", "add", "10.77.182.1", "--hw-address", mac)
    event = json.loads(line_of(leases))
    assert (event["event"], event["address"], event["hardware_address"]) == ("put", "10.77.182.1", mac)
    while "10.77.182.1" not in (line := line_of(records)):
        pass
    assert json.loads(line)["method"].endswith("/AddLease")
    leases.send_signal(signal.SIGINT)
    records.send_signal(signal.SIGINT)
    assert (leases.wait(20), records.wait(20)) == (0, 0)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
