"""Looks at a store as values: three members, of which a test says what differs."""

from __future__ import annotations

from dataclasses import replace

from everlease.runtime.keeper.facts import Facts, Member, Step
from everlease.runtime.keeper.space import SpaceMemory, next_step

MIB = 1 << 20
NOW = 10_000.0
HEAD = 5000


def member(number: int, **more: object) -> Member:
    """Healthy: 100 of 1000 MiB, hardly anything to reclaim, quick commits. Number 1 leads."""
    usual: dict[str, object] = {
        "answers": True,
        "size": 100 * MIB,
        "in_use": 95 * MIB,
        "quota": 1000 * MIB,
        "leads": number == 1,
        "entries": 100_000,
        "commits": (0.004, 0.005, 0.004),
    }
    return Member(f"m{number}", number, **(usual | more))  # type: ignore[arg-type]


def look(*changed: Member, now: float = NOW, full: tuple[int, ...] = (), **more: object) -> Facts:
    """Members 1 to 3, those that are given instead of the healthy ones; full: ids that have raised NOSPACE."""
    members = {number: member(number) for number in (1, 2, 3)} | {each.id: each for each in changed}
    facts = Facts(
        now,
        tuple(members.values()),
        frozenset((1, 2, 3)),
        frozenset((number, "NOSPACE") for number in full),
        HEAD,
        now - 0.1,
    )
    return replace(facts, **more)  # type: ignore[arg-type]


def quiet() -> SpaceMemory:
    """Nothing was done for long, and nothing is due."""
    return SpaceMemory(compacted_at=NOW - 30)


def ask(facts: Facts, memory: SpaceMemory) -> Step | None:
    """One look, one decision."""
    memory.look(facts)
    return next_step(facts, memory)
