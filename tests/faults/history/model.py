"""A history in memory: its events by kind and by time, and the small questions that several checks ask of it.

Law: nothing here judges. What was recorded is never changed; what is derived is derived once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from everlease.config.load import load
from everlease.core.model import Config
from everlease.store.keys import Keys
from faults.history import events
from faults.history.events import Beat, Commit, Event, Fault, Line, Mark, Packet, Setup, Told

E = TypeVar("E", bound=Event)

CLOCKS = 0.1
"""Seconds by which cluster time may differ from this machine's, while no clock is disturbed (runtime.clock.JITTER, and
a published clock's age), and by which a packet may be captured after the instant for which it was made."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold. id: I1..I23; at: UTC seconds; what: in words, for the person who has to look."""

    id: str
    at: float
    what: str

    def __str__(self) -> str:
        return f"{self.id} at {self.at:.3f}: {self.what}"


class History:
    """Everything that was recorded, in the order of time."""

    def __init__(self, recorded: Iterable[Event]) -> None:
        self.events = sorted(recorded, key=lambda event: event.at)

    @classmethod
    def read(cls, path: Path) -> History:
        """From a file of JSON lines."""
        with path.open("rb") as lines:
            return cls(map(events.decode, lines))

    def write(self, path: Path) -> None:
        """To a file of JSON lines."""
        with path.open("wb") as lines:
            for event in self.events:
                lines.write(events.encode(event) + b"\n")

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    # --- what several checks ask --------------------------------------------------------------------------------------

    @cached_property
    def setup(self) -> Setup:
        """The first line; an empty one if there is none."""
        return next(iter(self.of(Setup)), Setup(0.0, {}, ""))

    @cached_property
    def config(self) -> Config | None:
        """The configuration at the start, compiled; None if the history has none."""
        return load(self.setup.document) if self.setup.document else None

    @cached_property
    def margin(self) -> float:
        """The cluster's clock margin, seconds."""
        return self.config.cluster.clock_margin if self.config is not None else 5.0

    @cached_property
    def keys(self) -> Keys:
        """What the commits' keys mean."""
        return Keys(self.setup.prefix)

    @cached_property
    def packets(self) -> list[Packet]:
        """Every packet."""
        return self.of(Packet)

    @cached_property
    def commits(self) -> list[Commit]:
        """Every commit, in the store's own order."""
        return sorted(self.of(Commit), key=lambda commit: commit.place)

    @cached_property
    def requests(self) -> dict[tuple[str, int], list[Packet]]:
        """What clients sent, by (client, xid)."""
        found: dict[tuple[str, int], list[Packet]] = defaultdict(list)
        for packet in self.packets:
            if not packet.is_reply:
                found[packet.client, packet.xid].append(packet)
        return found

    def asked(self, reply: Packet) -> Packet | None:
        """The last copy of the message that a reply answers: DISCOVER for an OFFER, else REQUEST."""
        kind = "DISCOVER" if reply.kind == "OFFER" else "REQUEST"
        copies = self.requests.get((reply.client, reply.xid), ())
        before = [packet for packet in copies if packet.kind == kind and packet.at <= reply.at]
        return before[-1] if before else None

    @cached_property
    def told(self) -> dict[tuple[str, str, int], list[Told]]:
        """The nodes' own lines, by (node, address, xid)."""
        found: dict[tuple[str, str, int], list[Told]] = defaultdict(list)
        for line in self.of(Told):
            found[line.node, line.address, line.xid].append(line)
        return found

    def line_of(self, ack: Packet) -> Told | None:
        """The node's line for an ACK: the nearest in time; None if it was lost (a killed node writes no more)."""
        lines = self.told.get((ack.node, ack.address, ack.xid), ())
        return min(lines, key=lambda line: abs(line.at - ack.at), default=None)

    @cached_property
    def _beats(self) -> dict[int, tuple[list[int], list[float]]]:
        """By era: revisions in order, and the latest time at which a read did not see more than that."""
        found: dict[int, tuple[list[int], list[float]]] = {}
        seen: dict[int, int] = defaultdict(int)
        for event in self.events:
            if isinstance(event, Commit):
                seen[event.era] = max(seen[event.era], event.revision)
            elif isinstance(event, Beat) and event.revision >= seen[event.era]:  # else the read was stale, and a lie
                seen[event.era] = event.revision
                revisions, times = found.setdefault(event.era, ([], []))
                revisions.append(event.revision)
                times.append(event.at)
        return found

    def not_before(self, commit: Commit) -> float:
        """A time at which the commit had not happened yet, for a read that began then did not see it; 0 = unknown."""
        revisions, times = self._beats.get(commit.era, ([], []))
        place = bisect_right(revisions, commit.revision - 1)
        return times[place - 1] if place else 0.0

    def faults_at(self, at: float) -> str:
        """The faults that were there, in words."""
        present = [f"{fault.id} {fault.what}" for fault, since, until in self.windows if since <= at <= until]
        return f" (during {', '.join(present)})" if present else ""

    @cached_property
    def windows(self) -> list[tuple[Fault, float, float]]:
        """Each fault with its beginning and its end; one that never ended lasts for ever."""
        found: list[tuple[Fault, float, float]] = []
        begun: dict[tuple[str, str], Fault] = {}
        for fault in self.of(Fault):
            if fault.begins:
                begun[fault.id, fault.what] = fault
            elif (first := begun.pop((fault.id, fault.what), None)) is not None:
                found.append((first, first.at, fault.at))
        return [*found, *((fault, fault.at, float("inf")) for fault in begun.values())]

    def marks(self, word: str) -> list[tuple[float, str]]:
        """(time, rest) of every mark that begins with this word."""
        split = [(mark.at, *mark.what.partition(" ")) for mark in self.of(Mark)]
        return [(at, rest) for at, first, _, rest in split if first == word]

    @cached_property
    def end(self) -> float:
        """When the last event was, log lines left out: their clocks may be wrong on purpose."""
        return max((event.at for event in self.events if not isinstance(event, Told | Line)), default=0.0)


def by_client(packets: Sequence[Packet]) -> dict[str, list[Packet]]:
    """Packets of each client, in the order of time."""
    found: dict[str, list[Packet]] = defaultdict(list)
    for packet in packets:
        found[packet.client].append(packet)
    return found
