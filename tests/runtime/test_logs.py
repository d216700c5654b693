"""A log line never blocks the loop: when nobody reads, lines are dropped and counted (F28)."""

from __future__ import annotations

import io
import json
import threading
import time

from everlease import logs
from everlease.runtime.counters import Counters


class Stuck(io.StringIO):
    """A pipe that nobody reads, until `freed` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.freed = threading.Event()

    def write(self, text: str) -> int:
        self.freed.wait(10.0)
        return super().write(text)


def test_a_stuck_reader_costs_lines_and_no_time() -> None:
    stream, counters = Stuck(), Counters()
    lines = logs.Lines(stream, counters.lose_line)
    began = time.monotonic()
    for number in range(logs.WAITING + 500):
        lines.msg(str(number))
    assert time.monotonic() - began < 5.0  # not ten seconds for each line
    assert counters.log_lost >= 499
    stream.freed.set()
    lines.close()


def test_lines_are_json_with_the_nodes_name_and_debug_is_left_out() -> None:
    stream, counters = io.StringIO(), Counters()
    lines = logs.configure("info", "n1", counters.lose_line, stream)
    logs.get().debug("not this")
    logs.get().info("state", state="serving")
    lines.close()
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["state"], said["node"], said["level"]) == ("state", "serving", "n1", "info")
