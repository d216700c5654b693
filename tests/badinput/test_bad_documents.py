"""Rows 7 and 18: configuration documents that are bombs, as an operator's tools hand them over.

What the reader makes of each is tested in tests/config; here, that the command and a running node survive it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from badinput.besieged import Besieged
from everlease.lab.processes import LabError

pytestmark = [pytest.mark.root, pytest.mark.etcd]

SUBNET = "subnets: [{id: 1, prefix: 10.77.0.0/16, pools: [{range: 10.77.16.0/24}], %s}]\n"
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
LONG = "ab:" * 1024 + "ab"
BOMBS = {
    "20,000 brackets": "[" * 20_000,
    "20,000 braces": '{"a":' * 20_000,
    "aliases of aliases": ALIASES,
    "a client identifier of 1,025 octets": SUBNET % f'reservations: [{{client-id: "{LONG}"}}]',
    "a hardware address of 1,025 octets": SUBNET % f'reservations: [{{hw-address: "{LONG}"}}]',
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_a_short_refusal_of_the_command(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(text)
    command = [str(Path(sys.executable).with_name("everlease")), "config", "validate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert 0 < len(done.stderr) < 2000
    assert "Traceback" not in done.stderr


def test_a_node_refuses_every_bomb_and_serves_on(besieged: Besieged, tmp_path: Path) -> None:
    before = besieged.memory()
    for number, text in enumerate(BOMBS.values()):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        began = time.monotonic()
        with pytest.raises(LabError, match="exit 1"):
            besieged.node.cli("config", "apply", str(file), "--force")
        assert time.monotonic() - began < 30
        besieged.serve_somebody()
    assert besieged.node.metric("everlease_config_revision") == 1
    assert besieged.memory() < 1.2 * before
