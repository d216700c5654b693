"""What happened lately, as one node saw it: a pure comparison of two looks at the cluster, and a bounded ring.

The law of this file: an event names nodes, members, links and revisions, never a client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from everlease.runtime.lifeline import DEGRADED, EXTENDING, SERVING

KEPT: Final = 500
"""Events: a link that flaps once a second fills it in eight minutes, and then the newest ones count."""

PAGE: Final = 200
"""Events of one answer."""

GOOD, NOTE, WARN, BAD = "good", "note", "warn", "bad"
"""How grave an event is."""

_GRAVITY: Final = {SERVING: GOOD, EXTENDING: WARN, DEGRADED: BAD}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node. skips: (node, place) that it passes over; age is not here: it changes with every look."""

    state: str
    reason: str
    fresh: bool
    links: frozenset[str] = frozenset()
    skips: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """One look. nodes: by name; members: endpoint -> whether it answers; alarms: (endpoint, alarm).

    rogues: link -> servers seen there that are no members.
    """

    nodes: Mapping[str, NodeFacts] = field(default_factory=dict)
    members: Mapping[str, bool] = field(default_factory=dict)
    alarms: frozenset[tuple[str, str]] = frozenset()
    keeper: str = ""
    trouble: str = ""
    config: int = 0
    config_error: str = ""
    rogues: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """kind: node | takeover | configuration | store | rogue; gravity: good | note | warn | bad; subject: whom."""

    kind: str
    gravity: str
    subject: str
    text: str


def differences(before: Facts, after: Facts) -> Iterator[Event]:
    """What happened between two looks."""
    for name in sorted({*before.nodes, *after.nodes}):
        yield from _node(name, before.nodes.get(name), after.nodes.get(name))
    for member in sorted({*before.members} & {*after.members}):
        if before.members[member] != after.members[member]:
            up = after.members[member]
            yield Event("store", GOOD if up else WARN, member, "answers again" if up else "does not answer")
    yield from _store(before, after)
    if after.config != before.config:
        yield Event("configuration", NOTE, f"revision {after.config}", "in force on this node")
    if after.config_error != before.config_error:
        words = after.config_error or "the newest revision is in force again"
        yield Event("configuration", BAD if after.config_error else GOOD, "this node", words)
    for link in sorted({*before.rogues, *after.rogues}):
        if (count := after.rogues.get(link, 0)) != before.rogues.get(link, 0):
            words = f"{count} DHCP server{'s' * (count > 1)} that {'is' if count == 1 else 'are'} no member"
            yield Event("rogue", BAD, link, words) if count else Event("rogue", GOOD, link, "only members answer again")


def _node(name: str, before: NodeFacts | None, after: NodeFacts | None) -> Iterator[Event]:
    if after is None:
        yield Event("node", NOTE, name, "its presence is gone")
        return
    if before is None:
        yield Event("node", NOTE, name, f"seen for the first time: {after.state}")
    elif before.state != after.state:
        why = f": {after.reason}" if after.reason and after.state != SERVING else ""
        yield Event("node", _GRAVITY.get(after.state, NOTE), name, f"{before.state} → {after.state}{why}")
    was = before or NodeFacts(after.state, "", True, after.links)
    if was.fresh != after.fresh:
        words = "its presence changes again" if after.fresh else "its presence does not change any more"
        yield Event("node", GOOD if after.fresh else BAD, name, words)
    for link in sorted(was.links - after.links):
        yield Event("node", WARN, name, f"does not serve link {link} any more")
    for link in sorted(after.links - was.links):
        yield Event("node", NOTE, name, f"serves link {link}")
    for node, place in sorted(after.skips - was.skips):
        words = f"passed over on {place}: {name} had to answer its clients"
        yield Event("takeover", WARN, node, words)
    for node, place in sorted(was.skips - after.skips):
        yield Event("takeover", NOTE, node, f"asked again on {place}")


def _store(before: Facts, after: Facts) -> Iterator[Event]:
    for member, alarm in sorted(after.alarms - before.alarms):
        yield Event("store", BAD, member, f"has raised the alarm {alarm}")
    for member, alarm in sorted(before.alarms - after.alarms):
        yield Event("store", GOOD, member, f"alarm {alarm} is over")
    if after.keeper != before.keeper and after.keeper:
        yield Event("store", NOTE, after.keeper, "keeps the store")
    if after.trouble != before.trouble:
        yield Event("store", WARN if after.trouble else GOOD, "store", after.trouble or "nothing is wrong any more")


class Timeline:
    """The last `KEPT` events, numbered from 1."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, float, Event]] = deque(maxlen=KEPT)
        self._last = 0

    def add(self, at: float, events: Iterable[Event]) -> None:
        """at: seconds UTC."""
        for event in events:
            self._last += 1
            self._events.append((self._last, at, event))

    def page(self, after: int) -> dict[str, Any]:
        """At most `PAGE` events after a number, oldest first. `next`: what to ask for next; `more`: there is more."""
        rest = [each for each in self._events if each[0] > after]
        found = [
            {"number": number, "time": at, "kind": e.kind, "gravity": e.gravity, "subject": e.subject, "text": e.text}
            for number, at, e in rest[:PAGE]
        ]
        return {"events": found, "next": found[-1]["number"] if found else after, "more": len(rest) > PAGE}
