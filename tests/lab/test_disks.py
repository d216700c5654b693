"""The laboratory's disks: full means full, frozen means frozen, and nothing stays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from everlease.lab.processes import Process, wait_until
from lab.disks import Disk

pytestmark = pytest.mark.root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path, "in-test", megabytes=16) as made:
        yield made


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"x" * size)
        os.fsync(file.fileno())


def test_a_full_disk_takes_not_one_block_more_until_it_is_emptied(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        _write(disk.path / "file", 4096)
    disk.empty()
    _write(disk.path / "file", 1 << 20)


def test_a_write_to_a_frozen_disk_waits_for_the_thaw_and_then_succeeds(disk: Disk, tmp_path: Path) -> None:
    disk.freeze()
    file = disk.path / "file"
    writer = Process(["dd", "if=/dev/zero", f"of={file}", "count=1"], tmp_path / "log")
    wait_until(lambda: _waits(writer.pid), 10, "the writer waits uninterruptibly")
    disk.thaw()
    assert writer.wait(10) == 0
    assert file.stat().st_size == 512


def _waits(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"


def test_what_a_killed_run_left_frozen_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = (
        "import os, sys, pathlib; sys.path.insert(0, 'tests'); from lab.disks import Disk;"
        f"disk = Disk(pathlib.Path({str(tmp_path)!r}), 'in-left', 16); disk.freeze(); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", killed], cwd=root, check=False)
    assert list(tmp_path.glob("*.img")) != []
    Disk(tmp_path / "next", "in-next", 16).close()
    assert list(tmp_path.glob("*in-left*")) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_a_spoilt_disk_is_read_only_until_it_is_mended_and_keeps_what_it_had(disk: Disk) -> None:
    kept = disk.path / "kept"
    _write(kept, 4096)
    disk.spoil()
    with pytest.raises(OSError, match="Read-only"):
        _write(disk.path / "file", 4096)
    disk.mend()
    _write(disk.path / "file", 4096)
    assert kept.stat().st_size == 4096
