"""Processes of the laboratory: each has a log file, can be paused and killed, and never outlives the run.

Law: whatever is started here is in its own process group and dies with us: by `stop`, at exit, and, should we be
killed outright, by the kernel (PR_SET_PDEATHSIG through setpriv; so start processes from a thread that stays).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")
_living: set[Process] = set()


class LabError(Exception):
    """The laboratory could not do what the test asked: a missing tool, a process that never became ready."""


class Place(Protocol):
    """Where a process runs: on the machine's loopback, or in a network namespace."""

    name: str

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in this place."""
        ...

    def call(self, function: Callable[[], T]) -> T:
        """Run a short function in this place; sockets that it opens belong to the place for ever."""
        ...


class Loopback:
    """The machine itself; only for programs that listen on 127.0.0.1."""

    name = "loopback"

    def command(self, argv: Sequence[str]) -> list[str]:
        """`argv` as it is."""
        return list(argv)

    def call(self, function: Callable[[], T]) -> T:
        """Just call it."""
        return function()


class Process:
    """One program with its log file. `argv` is run as it is: ask a `Place` for the command line."""

    def __init__(self, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.argv = list(argv)
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self._popen.pid
        _living.add(self)

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group; nothing happens if it is gone."""
        if self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def pause(self) -> None:
        """SIGSTOP: the process is there, and answers nobody."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._popen.wait()
        _living.discard(self)

    def stop(self, patience: float = 5.0) -> int:
        """SIGTERM, after `patience` seconds SIGKILL; returns the exit code."""
        self.resume()
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        _living.discard(self)
        return self._popen.wait()

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit code; LabError with the log's end after `timeout` seconds."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{self.argv[0]} still runs after {timeout} s\n{self.tail()}") from late

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def need(*tools: str) -> None:
    """Raise LabError with one line that names every missing program."""
    missing = [tool for tool in tools if shutil.which(tool) is None and not Path(tool).exists()]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}; ./tests/run.sh installs what the tests need")


def run(argv: Sequence[str], timeout: float = 30.0) -> str:
    """Run a short command and return what it printed; LabError with its error output if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wait_until(condition: Callable[[], T | None], timeout: float, what: str, every: float = 0.05) -> T:
    """Call `condition` until its answer is true, and return that; LabError `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise LabError(f"not within {timeout} s: {what}")
        time.sleep(every)


def kill_all() -> None:
    """End every process that was started here; harmless to call twice."""
    for process in list(_living):
        process.kill()


atexit.register(kill_all)
