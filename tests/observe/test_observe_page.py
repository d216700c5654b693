"""docs/observe.md: each of its commands is run here, or marked as the reader's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from checkout import ROOT
from everlease.lab.processes import need
from observe.test_rules import FILES

PAGE = (ROOT / "docs" / "observe.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
MARK = "# yours"
RULE_TESTS = f"promtool test rules {' '.join(f'deploy/prometheus/{name}' for name in FILES)}"
"""Takes seconds, and test_rules.py runs it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place like the project's, where commands may write."""
    here = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "deploy", here / "deploy")
    (here / ".venv").symlink_to(ROOT / ".venv")
    return here


@pytest.mark.parametrize("line", [line for line in LINES if not line.endswith(MARK) and line != RULE_TESTS])
def test_a_command_of_the_page_works(folder: Path, line: str) -> None:
    need("promtool")
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_what_depends_on_the_readers_hosts_is_left_to_them() -> None:
    marked = [line.split()[0] for line in LINES if line.endswith(MARK)]
    assert sorted(marked) == ["cp", "curl", "systemctl"]


def test_its_yaml_can_be_read() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert all(isinstance(yaml.safe_load(block), dict) for block in blocks)


def test_the_tests_of_the_rules_that_the_page_names_are_those_that_are_run() -> None:
    assert RULE_TESTS in LINES
