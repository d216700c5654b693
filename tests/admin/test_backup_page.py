"""Every command of docs/backup.md, in the page's order, against three nodes on a real etcd."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from admin.three import Three
from checkout import ROOT
from everlease.cli.main import app

pytestmark = [pytest.mark.root, pytest.mark.etcd]

PAGE = (ROOT / "docs" / "backup.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SAYS = {
    "backup save": "1 configuration",
    "backup verify": "live",
    "backup restore": "saved",
    "backup end-recovery": "go to anybody again",
    "backup snapshot": "bytes",
    "cluster members": "leader",
    "cluster alarms": "no alarm is raised",
    "lease export": "lease",
    "lease import": "saved",
}


def test_every_command_of_the_page_does_what_it_says(three: Three, tmp_path: Path) -> None:
    runner = CliRunner(env={"EVERLEASE_SERVER": three.server})

    def run(*words: str) -> str:
        done = runner.invoke(app, words)
        assert done.exit_code == 0, (words, done.output)
        return done.output

    run("lease", "add", "10.77.170.1", "--hw-address", "02:00:5e:0b:00:01")
    backup = tmp_path / "everlease.jsonl"
    told = set()
    for _, *written in COMMANDS:
        words = [word.replace("/var/backups", str(tmp_path)) for word in written]
        name = " ".join(words[:2])
        told.add(name)
        if name == "backup end-recovery":
            assert "recover" in run("backup", "restore", str(backup), "--recovery", "on", "--yes")
            assert "Recovering until" in run("cluster", "status")
        assert SAYS[name] in run(*words), name
    assert told == set(SAYS)
    assert "Recovering" not in run("cluster", "status")
    told_by_hand = subprocess.run(
        f"head -n -1 {backup} | sha256sum", shell=True, capture_output=True, text=True, check=True
    )
    assert told_by_hand.stdout.split()[0] in backup.read_text().splitlines()[-1]
    assert "10.77.170.1" in (tmp_path / "leases.csv").read_text()
