"""The command that checks everything: what it says when asked wrongly, and that a skip does not pass for green."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "run.sh"

SKIPS = """
import pytest

@pytest.mark.skip(reason="{reason}")
def test_marked(): pass

def test_called(): pytest.skip("{reason}")

@pytest.mark.xfail(reason="known", strict=True)
def test_expected_to_fail(): assert False
"""


def pytest_on(folder: Path, source: str, *plugins: str) -> subprocess.CompletedProcess[str]:
    """Run a test file of its own in a folder of its own."""
    (folder / "test_it.py").write_text(source)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(
        [*argv, *plugins, "test_it.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_in_ci_a_skipped_test_is_a_failed_one(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, SKIPS.format(reason="no etcd here"), "-p", "noskips")
    assert "1 failed, 1 xfailed, 1 error" in done.stdout  # a mark is met in the set-up
    assert "skipped, which CI does not accept: Skipped: no etcd here" in done.stdout
    assert done.returncode == 1


def test_in_ci_a_skipped_module_is_a_failed_one(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, 'import pytest\npytest.importorskip("no_such_module")\n', "-p", "noskips")
    assert done.returncode != 0


def test_what_the_machine_cannot_do_may_be_skipped(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, SKIPS.format(reason="this machine cannot freeze a file system"), "-p", "noskips")
    assert "2 skipped, 1 xfailed" in done.stdout
    assert done.returncode == 0


def test_elsewhere_a_skipped_test_is_skipped(tmp_path: Path) -> None:
    assert pytest_on(tmp_path, SKIPS.format(reason="no etcd here")).returncode == 0


def test_a_part_that_does_not_exist_is_a_usage_error() -> None:
    done = subprocess.run([RUN, "--frobnicate"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no part '--frobnicate'" in done.stderr


@pytest.mark.parametrize("script", [RUN, ROOT / ".ci" / "run"])
def test_the_scripts_are_programs_that_stop_at_errors(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)
