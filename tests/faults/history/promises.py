"""Promises: what each ACK tells a client, and how long the client may rely on it.

Law: a client's validity begins when the ACK reaches it, for before it may not use the address, and ends a lifetime
after it *sent* the REQUEST (RFC 2131 section 4.4.1), the last copy, which is the latest end that a client may work out;
or when it gives the address up itself: RELEASE, DECLINE, or a REQUEST that takes the offer of another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from everlease.core.lifecycle import INFINITE
from faults.history.events import Packet
from faults.history.model import History, by_client


@dataclass(slots=True)
class Promise:
    """One ACK. asked: when the REQUEST that it answers was sent; until: end of the validity, UTC seconds."""

    ack: Packet
    asked: float
    until: float

    @property
    def end(self) -> float:
        """The end that the client was told, whatever it does itself."""
        lifetime = self.ack.lifetime
        return float("inf") if lifetime == INFINITE else self.asked + lifetime

    def __str__(self) -> str:
        ack = self.ack
        return f"{ack.address} for {ack.lifetime} s to {ack.client} ({ack.mac}) by {ack.node} at {ack.at:.3f}"


@lru_cache(maxsize=1)
def promises(history: History) -> list[Promise]:
    """Every promise, in the order of time."""
    released = history.marks("released")
    everybody = by_client(history.packets).values()
    made = [promise for packets in everybody for promise in _of_client(history, packets, released)]
    return sorted(made, key=lambda promise: promise.ack.at)


def _of_client(history: History, packets: list[Packet], released: list[tuple[float, str]]) -> Iterable[Promise]:
    made = list(_made(history, packets))
    farewells = [packet for packet in packets if packet.kind in ("RELEASE", "DECLINE", "REQUEST")]
    farewells = [packet for packet in farewells if packet.kind != "REQUEST" or packet.server]
    for promise in made:
        since, own = promise.asked, promise.ack.address  # an answer to who has left meanwhile promises nothing
        ends = [packet.at for packet in farewells if packet.at >= since and _gives_up(packet, own)]
        ends += [at for at, address in released if address == own and at >= since]
        promise.until = max(min([promise.end, *ends]), promise.ack.at)
    return made


def _made(history: History, packets: list[Packet]) -> Iterator[Promise]:
    for packet in packets:
        if packet.kind == "ACK" and packet.lifetime >= 0:
            request = history.asked(packet)
            yield Promise(packet, request.at if request is not None else packet.at, packet.at)


def _gives_up(packet: Packet, address: str) -> bool:
    if packet.kind == "RELEASE":
        return packet.ciaddr == address
    return (packet.address == address) == (packet.kind == "DECLINE")
