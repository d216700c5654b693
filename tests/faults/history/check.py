"""Judge a history: `check(history)` for all invariants, `holds(history, "I1", ...)` in a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from faults.history.checks import ALL
from faults.history.events import Gap
from faults.history.model import History, Violation

FROZEN_WATCH = "F15"
"""I22, the view is a cache: while the watch is frozen the other invariants hold as well."""

SHOWN = 20


def check(history: History, *ids: str) -> list[Violation]:
    """Every violation of these invariants (default: of all), in the order of time."""
    found = [violation for id_ in ids or ALL if id_ in ALL for violation in ALL[id_](history)]
    if not ids or "I22" in ids:
        found += _with_a_frozen_watch(history, found if not ids else check(history))
    return sorted(found, key=lambda violation: violation.at)


def _with_a_frozen_watch(history: History, found: list[Violation]) -> Iterator[Violation]:
    frozen = [(since, until) for fault, since, until in history.windows if fault.id == FROZEN_WATCH]
    for violation in found:
        if violation.id != "I22" and any(since <= violation.at <= until for since, until in frozen):
            yield Violation("I22", violation.at, f"with a frozen watch: {violation.id}, {violation.what}")


def unproved(history: History) -> list[str]:
    """Why the history may be silent about something: what the recorder missed."""
    return [gap.what for gap in history.of(Gap)]


def holds(history: History, *ids: str) -> None:
    """Fail with what is violated, or with what was missed."""
    wrong = [*map(str, check(history, *ids)), *(f"not recorded: {what}" for what in unproved(history))]
    assert not wrong, "\n".join([f"{len(wrong)} violations", *wrong[:SHOWN]])


def summary(history: History) -> str:
    """What there is, in a line."""
    kinds = Counter(type(event).__name__.lower() for event in history.events)
    packets = Counter(packet.kind for packet in history.packets)
    told = ", ".join(f"{count} {kind}" for kind, count in (*sorted(kinds.items()), *sorted(packets.items())))
    return f"{history.end - (history.events[0].at if history.events else 0.0):.0f} s: {told}"
