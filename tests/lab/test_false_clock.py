"""A false clock is false as told, and is no other fault besides."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.false_clock import READ_EVERY, FalseClock

HANDING_OVER = """
import queue, select, threading, time

lines = queue.Queue()
threading.Thread(target=lambda: [print(line) for line in iter(lines.get, None)], daemon=True).start()
for _ in range(300):
    for _ in range(5):
        lines.put("x")
        sum(range(2000))
    select.select([], [], [], 0.005)
print("cpu", time.process_time())
"""
"""What a node does: a thread works, another one writes what it is told."""

WALL = "import time; print(time.time())"


def output(program: str, environment: dict[str, str]) -> list[str]:
    argv = [sys.executable, "-c", program]
    ended = subprocess.run(argv, env=os.environ | environment, check=True, capture_output=True, text=True)
    return ended.stdout.splitlines()


@pytest.fixture
def clock(tmp_path: Path) -> FalseClock:
    return FalseClock(tmp_path / "clock")


def test_a_false_clock_is_right_until_it_is_told_otherwise(clock: FalseClock) -> None:
    environment = clock.environment()
    assert float(output(WALL, environment)[0]) == pytest.approx(time.time(), abs=5)
    clock.set("+7200")
    assert float(output(WALL, environment)[0]) == pytest.approx(time.time() + 7200, abs=5)


def test_a_running_process_is_told_its_new_time(clock: FalseClock) -> None:
    program = "import time; print(time.time(), flush=True); input(); print(time.time())"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | clock.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        before = float(process.stdout.readline())
        clock.set("+7200")
        time.sleep(2 * READ_EVERY)
        assert float(process.communicate("\n")[0]) == pytest.approx(before + 7200, abs=10)


def test_threads_that_hand_over_to_each_other_spend_no_more_under_a_false_clock(clock: FalseClock) -> None:
    def spent(environment: dict[str, str]) -> float:
        return float(output(HANDING_OVER, environment)[-1].split()[1])

    # Eight to twelve times as much without the last line of its environment.
    assert spent(clock.environment()) < 4 * spent({})
