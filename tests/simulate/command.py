"""The command line: many seeds; with `--seed N` one, and its trace.

Law: what a seed does depends on its number and on nothing else: not on the seeds before it, the process that runs it,
or when Python collects its garbage.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

from faults.history.check import check
from simulate.history import Recorder
from simulate.plants import PLANTS
from simulate.run import run

SEEN = ("I1", "I2", "I4", "I6", "I7", "I9", "I10", "I11", "I12", "I15")
"""What the offline checker can tell from what a recorder of packets and commits sees."""

CHUNK = 16
"""Seeds that one process runs before it collects its garbage."""


def main() -> int:
    """Exit code: 1 if an invariant did not hold."""
    options = _options()
    if options.plant:
        PLANTS[options.plant].sow()
    return _replay(options) if options.seed is not None else _many(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tests/run.sh simulate")
    parser.add_argument("--seed", type=int, help="replay one, and show its trace")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to run (1000)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument("--without", default="", help="with --seed: numbers of its faults to leave out, e.g. 0,2")
    parser.add_argument("--plant", default="", help="a bug to put into the service first (see plants.py)")
    parser.add_argument("--only", default="", help="ids of the faults to choose from, e.g. F21,F22 (all)")
    parser.add_argument(
        "--check", action="store_true", help="let the offline checker of tests/faults judge each seed, too"
    )
    parser.add_argument("--stop", action="store_true", help="stop after the first seed that fails")
    return parser.parse_args()


def _replay(options: argparse.Namespace) -> int:
    _let_the_killed_rest()
    without = frozenset(map(int, _words(options.without)))
    outcome = run(options.seed, tracing=True, without=without, only=_words(options.only))
    print("\n".join(outcome.trace))
    return bool(outcome.violations)


def _words(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))


def _chunk(
    first: int, count: int, only: frozenset[str], judged_again: bool
) -> list[tuple[int, float, str, Counter[str]]]:
    """(seed, simulated seconds, what was wrong or "", counts) of each."""
    gc.disable()
    _let_the_killed_rest()
    done = []
    for seed in range(first, first + count):
        outcome = run(seed, only=only, recorder=Recorder() if judged_again else None)
        wrong = "; ".join(f"{invariant} at {at:.3f}: {words}" for at, invariant, words in outcome.violations[:1])
        if outcome.history is not None and not wrong:
            wrong = "; ".join(map(str, check(outcome.history, *SEEN)[:1]))
        done.append((seed, outcome.seconds, wrong, Counter(outcome.counts)))
    gc.unfreeze()  # a node that has loaded its view freezes what is there
    gc.collect()
    return done


def _let_the_killed_rest() -> None:
    """Tasks of processes that were killed are collected as they are; Python would complain of each."""
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("ignore", RuntimeWarning)


def _chunks(options: argparse.Namespace) -> Iterator[list[tuple[int, float, str, Counter[str]]]]:
    last = options.first + options.seeds
    starts = range(options.first, last, CHUNK)
    counts = [min(CHUNK, last - start) for start in starts]
    fixed = repeat(_words(options.only)), repeat(options.check)
    if options.jobs == 1:
        yield from map(_chunk, starts, counts, *fixed)
        return
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("fork")) as pool:
        yield from pool.map(_chunk, starts, counts, *fixed)
        pool.shutdown(cancel_futures=True)


def _many(options: argparse.Namespace) -> int:
    started, seeds, seconds, failed = time.monotonic(), 0, 0.0, 0
    counts: Counter[str] = Counter()
    for chunk in _chunks(options):
        for seed, simulated, wrong, counted in chunk:
            seeds, seconds, counts = seeds + 1, seconds + simulated, counts + counted
            if wrong:
                failed += 1
                print(f"seed {seed}: {wrong}\n  replay it: ./tests/run.sh simulate --seed {seed}", flush=True)
        if failed and options.stop:
            break
    took = time.monotonic() - started
    print(f"{seeds} seeds, {seconds:.0f} simulated seconds in {took:.0f} s: {failed} failed")
    print("  " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    return bool(failed)
