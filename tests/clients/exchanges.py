"""What a client asked and what came back, put together from its packets.

Law: a reply belongs to the last message before it with its xid and hardware address; what the client makes of it is
of no interest here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from everlease.core.identity import client_key
from everlease.lab.processes import wait_until
from everlease.wire import v4
from lab.capture import Captured
from lab.clients import Client

EVERYBODY = 0xFFFFFFFF


@dataclass(slots=True)
class Exchange:
    """One message of a client and the replies to it."""

    asked: Captured
    replies: list[Captured] = field(default_factory=list)

    @property
    def message(self) -> v4.Packet:
        """What was asked, parsed."""
        return packet_of(self.asked)

    @property
    def by_unicast(self) -> bool:
        """To one server, not to everybody."""
        return self.asked.destination != EVERYBODY

    @property
    def kinds(self) -> list[str]:
        """Of the replies."""
        return [reply.kind for reply in self.replies]

    def __str__(self) -> str:
        return "\n    ".join(map(str, [self.asked, *self.replies]))


def packet_of(captured: Captured) -> v4.Packet:
    """The packet of a frame that parsed."""
    assert captured.packet is not None, captured.payload.hex()
    return captured.packet


def exchanges(client: Client, kind: str, start: int = 0) -> list[Exchange]:
    """Those that began with a kind of message, from the client's packet number `start` on."""
    found: list[Exchange] = []
    open_: dict[tuple[int, bytes], Exchange] = {}
    for captured in client.capture.packets[start:]:
        if captured.packet is None:
            continue
        key = (captured.packet.xid, captured.packet.chaddr)
        if captured.sent:
            open_[key] = Exchange(captured)
            found.append(open_[key])
        elif key in open_:
            open_[key].replies.append(captured)
    return [each for each in found if each.asked.kind == kind]


def last_ack(client: Client) -> Captured:
    """The newest ACK that was for this client; its kernel may have the address before our capture has the packet."""
    return wait_until(lambda: _acks(client), 5, f"{client.program}'s ACK is captured")[-1]


def _acks(client: Client) -> list[Captured]:
    return [reply for each in exchanges(client, "REQUEST") for reply in each.replies if reply.kind == "ACK"]


def key_of(client: Client) -> bytes:
    """The client key, from what it sent first."""
    return client_key(packet_of(client.sent("DISCOVER")[0]), "client-id")


def option(captured: Captured, code: int) -> int:
    """An option's value as a number; -1 = absent."""
    value = packet_of(captured).options.get(code)
    return -1 if value is None else int.from_bytes(value, "big")
