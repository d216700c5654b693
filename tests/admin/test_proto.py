"""The .proto files keep the rules of `buf lint`, and every promise of the last release."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "proto" / "released.binpb"


def buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("buf")
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_buf_has_nothing_to_say() -> None:
    done = buf("lint", "proto")
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_that_was_released_is_broken() -> None:
    done = buf("breaking", "proto", "--against", RELEASED)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        ("  string hostname = 11;", "  reserved 11;"),
        ("  string hostname = 11;", "  bytes hostname = 11;"),
        ("  string hostname = 11;", "  string hostname = 111;"),
        ("  rpc GetLease(GetLeaseRequest)", "  rpc FetchLease(GetLeaseRequest)"),
        ("  LEASE_STATE_GRACE = 3;", "  LEASE_STATE_GRACE = 30;"),
    ],
)
def test_a_promise_that_is_broken_is_noticed(tmp_path: Path, was: str, is_now: str) -> None:
    proto = shutil.copytree(ROOT / "proto", tmp_path / "proto")
    file = proto / "everlease/admin/v1/lease_service.proto"
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, is_now))
    done = buf("breaking", proto, "--against", RELEASED)
    assert done.returncode != 0
    assert "lease_service.proto" in done.stdout
