"""What is wrong with the store, in words: said once when it begins, once when it is over.

The law of this file: the words name the member, the cause and what is being done; a person who reads them can act.
"""

from __future__ import annotations

from typing import Final

from everlease import logs
from everlease.runtime.keeper.facts import Facts, Step, Wait
from everlease.runtime.keeper.space import CALM, WARN

_MIB: Final = 1 << 20


def trouble_of(facts: Facts, step: Step | None) -> str:
    """One line, "" = nothing is wrong."""
    parts = [_raised(facts, kind) for kind in sorted({kind for _, kind in facts.alarms})]
    if not parts and facts.fullness >= WARN:
        parts.append(_nearly_full(facts))
    if isinstance(step, Wait):
        parts.append(step.reason)
    return "; ".join(parts)


def _raised(facts: Facts, kind: str) -> str:
    named = {member.id: member.endpoint for member in facts.members}
    who = ", ".join(
        named.get(each, f"member {each:x}") for each in sorted(each for each, what in facts.alarms if what == kind)
    )
    if kind == "NOSPACE":
        return f"{who} has used up its quota (NOSPACE): etcd refuses writes until there is room"
    return (
        f"{who} has raised {kind}: compare its data with the others' before it is used again (etcdctl endpoint hashkv)"
    )


def _nearly_full(facts: Facts) -> str:
    member = max(facts.members, key=lambda each: each.fullness)
    sizes = f"{member.size / _MIB:.0f} of {member.quota / _MIB:.0f} MiB"
    return f"{member.endpoint} uses {member.fullness:.0%} of its quota ({sizes}): raise --quota-backend-bytes"


class Trouble:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._alarms: frozenset[tuple[int, str]] = frozenset()
        self._full_since = 0.0
        self._warned = False
        self._waits = ""

    def look(self, facts: Facts, step: Step | None) -> None:
        """Say what has changed."""
        self._tell_alarms(facts)
        self._tell_fullness(facts)
        waits = step.reason if isinstance(step, Wait) else ""
        if waits and waits != self._waits:
            logs.get().warning("upkeep waits", reason=waits)
        self._waits = waits

    def _tell_alarms(self, facts: Facts) -> None:
        if facts.alarms - self._alarms:
            logs.get().error("etcd has raised an alarm", reason=trouble_of(facts, None))
            self._full_since = self._full_since or facts.now
        elif self._alarms and not facts.alarms:
            logs.get().info("etcd's alarms are over", seconds=round(facts.now - self._full_since, 1))
            self._full_since = 0.0
        self._alarms = facts.alarms

    def _tell_fullness(self, facts: Facts) -> None:
        if facts.fullness >= WARN and not self._warned:
            self._warned = True
            logs.get().warning("etcd is nearly full", reason=_nearly_full(facts))
        elif facts.fullness < CALM:
            self._warned = False
