"""The pages that are made from the program are what the program says now; the examples of the client's manual run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from admin.furnished import lease, put_leases
from checkout import ROOT
from cli.conftest import Served
from cli.tree import commands
from everlease.cli.main import COMMANDS

REFERENCE = ROOT / "docs" / "reference"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "client.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_reference_is_what_the_program_says(tmp_path: Path) -> None:
    """If not: .venv/bin/python docs/reference/generate.py"""
    made = "import sys; sys.path.insert(0, sys.argv[1]); import generate, pathlib\n" + (
        "for name, page in generate.PAGES.items(): pathlib.Path(sys.argv[2], name).write_text(page())"
    )
    subprocess.run([sys.executable, "-c", made, str(REFERENCE), str(tmp_path)], check=True)
    for page in ("cli.md", "client.md", "configuration.md", "metrics.md", "api.md"):
        assert (tmp_path / page).read_text() == (REFERENCE / page).read_text(), "run docs/reference/generate.py"


def test_every_command_and_each_of_its_options_says_what_it_is_for() -> None:
    for name, command in commands():
        assert command.help, name
        assert [each.name for each in command.params if not each.help] == [], name


def test_what_help_lists_is_what_there_is() -> None:
    assert {name.split()[0] for name, _ in commands()} == set(COMMANDS)


@pytest.mark.parametrize("text", EXAMPLES, ids=[text.strip().splitlines()[-1].strip()[:40] for text in EXAMPLES])
def test_the_examples_of_the_manual_run(served: Served, text: str) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2, hostname="desk"))]))
    address = re.compile(r'"10\.0\.0\.1:9067[^"]*"')
    code = address.sub(f'"{served.address}"', text)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout or "Client(" not in text
