"""What a process has used, from /proc (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds_of(stat: str) -> float:
    """User and system time of all threads, in seconds, from the text of /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()  # the program's name may hold blanks and brackets
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_seconds(pid: int) -> float:
    """CPU time used by a process so far."""
    return cpu_seconds_of(Path(f"/proc/{pid}/stat").read_text())


def megabytes_of(status: str, row: str = "VmRSS") -> float:
    """Resident memory in MB (10^6 bytes) from the text of /proc/PID/status; `VmHWM` is the peak."""
    for line in status.splitlines():
        if line.startswith(row + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def megabytes(pid: int, row: str = "VmRSS") -> float:
    """Resident memory of a process in MB."""
    return megabytes_of(Path(f"/proc/{pid}/status").read_text(), row)
