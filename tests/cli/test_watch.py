"""`cluster status --watch`: goes on while nodes come and go, and ends with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_watching_ends_with_an_interrupt_and_code_0(served) -> None:
    command = [str(Path(sys.executable).with_name("everlease")), "cluster", "status", "--watch", "-o", "json"]
    environment = {**os.environ, "EVERLEASE_SERVER": served.address, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None and process.stderr is not None
    seen = 0
    deadline = time.monotonic() + 30
    while seen < 2 and time.monotonic() < deadline:
        seen += '"observer": "n1"' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert (process.wait(20), process.stderr.read()) == (0, "")
    assert seen == 2
