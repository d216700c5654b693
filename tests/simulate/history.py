"""A seed's story as the fault lab records one, so that the offline checker judges it, too (`faults.history`).

Law: only what a recorder of packets and commits could have seen is told: what clients sent and what reached them, every
revision of etcd, when each fault began and ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from everlease.store.api import KeyValue
from everlease.store.records import dotted
from everlease.wire import v4
from faults.history import events, frames
from faults.history.model import History
from lab.capture import Captured
from simulate.members import Events
from simulate.world import EPOCH, World

NO_HARDWARE = (bytes(6), bytes(6))


class Recorder:
    """Everything of one seed. Give it to a world before anything happens."""

    def __init__(self) -> None:
        self._events: list[events.Event] = []
        self._captured: dict[str, list[Captured]] = {}
        self._nodes: dict[str, str] = {}
        self._era = 0

    def begin(self, nodes: dict[str, list[int]], document: str, places: dict[str, str]) -> None:
        """nodes: name -> addresses; places: wire's name -> link, "" = behind a relay."""
        told = {name: [dotted(address) for address in addresses] for name, addresses in nodes.items()}
        self._nodes = {address: name for name, addresses in told.items() for address in addresses}
        self._events.append(events.Setup(EPOCH, told, document, places))

    def packet(self, world: World, place: str, packet: v4.Packet, source: int, destination: int) -> None:
        """A client sent it, or it reached one."""
        sent = packet.op == v4.BOOTREQUEST
        self._captured.setdefault(place, []).append(
            Captured(EPOCH + world.now, sent, NO_HARDWARE, source, destination, (0, 0), v4.build(packet), packet)
        )

    def committed(self, world: World, revision: int, changed: Events) -> None:
        """One revision of etcd."""
        for event, before in changed:
            old = before.value if before is not None else None
            self._events.append(
                events.Commit(
                    EPOCH + world.now, revision, event.key.decode(), _text(event.value), _text(old), self._era
                )
            )

    def restored(self, world: World, revision: int, records: Iterable[KeyValue]) -> None:
        """Every member has begun again from a snapshot: what it holds is the first that its era shows."""
        self._era += 1
        for each in records:
            self._events.append(
                events.Commit(EPOCH + world.now, revision, each.key.decode(), _text(each.value), None, self._era)
            )

    def fault(self, world: World, number: str, words: str, *, begins: bool) -> None:
        """A fault begins or ends."""
        self._events.append(events.Fault(EPOCH + world.now, number, words, begins))

    def history(self, world: World) -> History:
        """The whole of it."""
        packets = frames.packets(self._captured, self._nodes)
        return History([*self._events, *packets, events.Mark(EPOCH + world.now, "end")])


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
