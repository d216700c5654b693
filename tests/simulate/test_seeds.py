"""Many seeds: no invariant is broken; and one seed is one story, told the same way each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulate.plants import PLANTS

TESTS = Path(__file__).parents[1]
IN_CI = 256
"""Half a minute on two cores; `./tests/run.sh simulate` runs 1,000 unless told otherwise, and the slow form `MANY`."""
MANY = 5_000
BOUND = 400
"""Seeds within which each planted bug must be found."""


def simulate(*arguments: str, hashes: str = "random") -> subprocess.CompletedProcess[str]:
    """The program as `./tests/run.sh simulate` starts it."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": hashes}
    command = [sys.executable, "-m", "simulate", *arguments]
    return subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)


def test_no_seed_breaks_an_invariant() -> None:
    done = simulate("--seeds", str(IN_CI))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{IN_CI} seeds" in done.stdout


def test_the_offline_checker_of_the_fault_lab_finds_nothing_either() -> None:
    done = simulate("--seeds", "64", "--first", "5000", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_no_seed_of_very_many_breaks_an_invariant() -> None:
    done = simulate("--seeds", str(MANY), "--first", "1000000")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed", [4, 21])
def test_a_seed_replays_byte_for_byte(seed: int) -> None:
    first, second = (simulate("--seed", str(seed), hashes=hashes) for hashes in ("1", "2"))
    assert len(first.stdout.splitlines()) > 100
    assert first.stdout == second.stdout
    assert first.stdout != simulate("--seed", str(seed + 1)).stdout


def test_what_a_seed_does_depends_on_no_seed_before_it() -> None:
    among_others = simulate("--seeds", "3", "--first", "4", "--jobs", "1", "--plant", "ack-before-commit")
    found = next(line for line in among_others.stdout.splitlines() if line.startswith("seed 6: "))
    alone = simulate("--seed", "6", "--plant", "ack-before-commit").stdout
    at, words = found.removeprefix("seed 6: I2 at ").split(": ", 1)
    assert f"{float(at):.3f}"[:-1] in alone
    assert f"!! I2: {words}" in alone


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_found(name: str) -> None:
    plant = PLANTS[name]
    done = simulate(
        "--plant", name, "--only", plant.faults, "--first", str(plant.first), "--seeds", str(BOUND), "--stop"
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    found = {line.split()[2] for line in done.stdout.splitlines() if line.startswith("seed ")}
    assert found & set(plant.finds.split()), done.stdout
