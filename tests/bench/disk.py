"""The disk under the measurement: a durable ACK waits for it, so its fdatasync is printed beside the rates."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.capture import percentile
from everlease.lab.processes import LabError

_BLOCK = b"\0" * 4096
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})


@dataclass(frozen=True)
class Disk:
    """File system type, and fdatasync of a 4 KiB append in milliseconds."""

    filesystem: str
    p50_ms: float
    p99_ms: float


def filesystem(path: Path, mountinfo: str) -> str:
    """The type of the file system that holds `path`, from the text of /proc/self/mountinfo (proc(5))."""
    best, kind = -1, "unknown"
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split()[4].replace("\\040", " "))
        if path.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), after.split()[0]
    return kind


def measure(folder: Path, samples: int = 200) -> Disk:
    """Time `samples` appends with fdatasync in `folder`; LabError where nothing would reach a disk."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = filesystem(folder.resolve(), Path("/proc/self/mountinfo").read_text())
    if kind in _IN_MEMORY:
        raise LabError(f"{folder} is on {kind}: no disk, no durability, no comparison; use --data on a real disk")
    times = _append(folder / "fdatasync", samples)
    return Disk(kind, percentile(times, 0.5) * 1e3, percentile(times, 0.99) * 1e3)


def _append(file: Path, samples: int) -> list[float]:
    times = []
    with file.open("wb", buffering=0) as handle:
        for _ in range(samples):
            handle.write(_BLOCK)
            start = time.perf_counter()
            os.fdatasync(handle.fileno())
            times.append(time.perf_counter() - start)
    file.unlink()
    return times
