"""The program as somebody at a terminal of a certain width sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path


def at_terminal(*words: str, width: int = 80, answer: str = "", **environment: str) -> tuple[int, str]:
    """(exit code, all that was written, colours included). answer: what is typed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    command = [str(Path(sys.executable).with_name("everlease")), *words]
    clean = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**clean, "TERM": "xterm-256color", **environment}
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the last of the other side is closed
            break
        written += piece
    os.close(ours)
    return process.wait(30), written.decode().replace("\r\n", "\n")


def bare(text: str) -> str:
    """Without what a terminal acts upon."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
