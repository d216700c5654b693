"""What a seed will do: the setting, when which fault begins and ends, and what clients do of their own accord.

Law: a plan is made from the seed alone, before anything runs; leaving one entry out changes no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from simulate.documents import Setting, setting_of
from simulate.faults import EVERY, Make, clock_drifts, clock_steps, restored

BEGIN: Final = 2.0
CHAOS: Final = (5.0, 12.0)
"""Seconds in which things go wrong."""

LIVES: Final = ("start", "reboot", "reboot", "release", "leave", "decline", "release")


@dataclass(frozen=True, slots=True)
class Entry:
    """make: the fault; seed: of its choices; begin, end: seconds."""

    make: Make
    seed: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Life:
    """What a client does at a time: one of LIVES."""

    guest: int
    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """until: when everything is mended."""

    setting: Setting
    entries: tuple[Entry, ...]
    lives: tuple[Life, ...]
    until: float


def plan_of(seed: int, only: frozenset[str] = frozenset()) -> Plan:
    """The plan of a seed. only: ids of the faults to choose from, empty = all."""
    chance = Random(f"plan {seed}")
    setting = setting_of(chance)
    until = BEGIN + chance.uniform(*CHAOS)
    makes = [make for name, make, weight in EVERY for _ in range(weight) if not only or name in only]
    if setting.nodes < 3:  # of two clocks nobody can say which one is wrong
        makes = [make for make in makes if make not in (clock_steps, clock_drifts)]
    chosen = [chance.choice(makes) for _ in range(chance.choice((1, 1, 2, 2, 3, 4)))] if makes else []
    if restored in chosen:
        chosen = [restored]
    entries = tuple(_entry(make, chance, until) for make in chosen)
    lives = tuple(
        Life(chance.randrange(setting.guests), chance.uniform(BEGIN, until), chance.choice(LIVES))
        for _ in range(chance.randint(0, 5))
    )
    return Plan(setting, entries, lives, until)


def _entry(make: Make, chance: Random, until: float) -> Entry:
    begin = chance.uniform(BEGIN, BEGIN + (until - BEGIN) * 0.7)
    end = min(begin + chance.choice((0.5, 1.5, 3.0, 6.0, 12.0)) * chance.uniform(0.7, 1.3), until)
    return Entry(make, chance.getrandbits(32), begin, end)
