"""The load as the test holds it: a process in a namespace, steered by a socket, whose diaries are read at its end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import LabError, Process, wait_until
from faults.client.plan import Diary, Plan

TESTS = Path(__file__).resolve().parents[2]
PLAN, DIARIES, ORDERS = "plan.json", "diaries.jsonl", "orders"
_PATIENCE = 10.0


@dataclass(frozen=True)
class Report:
    """What all clients of a load wrote down, by order of leaving."""

    diaries: Sequence[Diary]

    def coming(self, since: float = 0.0, until: float = float("inf")) -> list[Diary]:
        """Those whose first packet was sent in [since, until), UTC seconds."""
        return [diary for diary in self.diaries if diary.first_sent and since <= diary.first_sent < until]

    def bound(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """When clients were bound for the first time, in order."""
        return sorted(diary.bound_at for diary in self.diaries if since <= diary.bound_at < until and diary.bound_at)

    @staticmethod
    def needed(diaries: Sequence[Diary]) -> dict[int, int]:
        """How many clients needed so many tries of the message that took the most: {1: 990, 2: 10}."""
        return dict(sorted(Counter(diary.most for diary in diaries).items()))

    def unbound(self, before: float) -> list[Diary]:
        """Those that began before this time and never got an address."""
        return [diary for diary in self.coming(until=before) if not diary.bound_at]

    def extensions(self, since: float = 0.0, until: float = float("inf")) -> list[tuple[str, float, int, float]]:
        """Renewals, rebindings and reboots begun in [since, until): (kind, first copy sent, copies, answered or 0)."""
        return [row for diary in self.diaries for row in diary.renewals if since <= row[1] < until]


class LoadClient:
    """`LoadClient(lab, namespace, plan).start()`; at the end `stop()` returns the Report."""

    def __init__(self, lab: Lab, namespace: Namespace, plan: Plan, interface: str = "eth0") -> None:
        self._lab = lab
        self._namespace = namespace
        self._plan = plan
        self._interface = interface
        self._folder = lab.folder / f"load-{namespace.label}"
        self._process: Process | None = None

    def start(self) -> LoadClient:
        """Start the process; returns when its clients have begun to come."""
        self._folder.mkdir()
        (self._folder / PLAN).write_bytes(msgspec.json.encode(self._plan))
        if self._plan.relayed is not None:
            self._namespace.ip("route", "add", "local", self._plan.relayed.network, "dev", "lo")
        argv = [sys.executable, "-m", "faults.client", str(self._folder), self._interface]
        self._process = self._lab.start(self._namespace, *argv, log="load", PYTHONPATH=str(TESTS))
        wait_until(lambda: self._answers() or self._ended(), _PATIENCE, "the load runs")
        return self

    def counts(self) -> dict[str, int]:
        """How many clients are in each state: {"bound": 990, "selecting": 10}."""
        answer: dict[str, int] = self._order("counts")
        return answer

    def rate(self, rate: float) -> None:
        """So many new clients per second from now on."""
        self._order("rate", rate)

    def reboot(self) -> None:
        """Everybody who has an address loses power and asks for it by INIT-REBOOT, within a few seconds."""
        self._order("reboot")

    def leave(self) -> None:
        """Everybody releases and goes, 500 per second; nobody comes any more."""
        self._order("leave")

    def wait(self, condition: Callable[[dict[str, int]], bool], timeout: float, what: str) -> None:
        """Wait until the counts are so; LabError with them after `timeout` seconds."""
        try:
            wait_until(lambda: condition(self.counts()), timeout, what, every=0.2)
        except LabError as late:
            raise LabError(f"{late}: {self.counts()}") from late

    def wait_bound(self, timeout: float = 30.0) -> None:
        """Wait until everybody who is there has an address and asks for nothing (with arrivals: 99 of 100)."""
        self.wait(lambda counts: counts.get("bound", 0) >= 0.99 * sum(counts.values()) > 0, timeout, "everybody bound")

    def stop(self) -> Report:
        """End it, as a plug that is pulled; returns what was written down."""
        if self._process is None:
            raise LabError("the load was never started")
        code = self._process.stop(20.0)
        if code:
            raise LabError(f"the load ended with {code}:\n{self._process.tail()}")
        lines = (self._folder / DIARIES).read_bytes().splitlines()
        return Report([msgspec.json.decode(line, type=Diary) for line in lines])

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self._order("counts") is not None)
        return False

    def _ended(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise LabError(f"the load ended:\n{self._process.tail()}")
        return False

    def _order(self, name: str, *arguments: float) -> dict[str, int]:
        folder = os.open(self._folder, os.O_PATH)  # for a path of any length: a socket takes 108 octets
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                asking.settimeout(_PATIENCE)
                asking.connect(f"/proc/self/fd/{folder}/{ORDERS}")
                asking.sendall(json.dumps([name, *arguments]).encode() + b"\n")
                with asking.makefile() as answers:
                    answer: dict[str, int] = json.loads(answers.readline())
                    return answer
        finally:
            os.close(folder)
