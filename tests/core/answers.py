"""What a node sent, as the tests of the core read it."""

from __future__ import annotations

from core.world import Commit, Reply
from everlease.wire import v4

A = "10.77.20.9"
SERVER = "10.77.0.2"
RELAY = "10.77.0.200"


def replied(answer: v4.Packet | str) -> v4.Packet:
    assert isinstance(answer, v4.Packet), answer
    return answer


def sent(action: object) -> Reply:
    if isinstance(action, Commit):
        assert action.then is not None
        return action.then
    assert isinstance(action, Reply), action
    return action


def number(packet: v4.Packet, code: int) -> int:
    return int.from_bytes(packet.options[code], "big")


def told(answer: v4.Packet | str) -> int:
    """The lifetime that a client is told."""
    return number(replied(answer), 51)


def walk(payload: bytes) -> list[int]:
    """Codes in the options field, in order; fails without an END."""
    codes, position = [], v4.HEADER_LENGTH
    while payload[position] != v4.END:
        codes.append(payload[position])
        position += 2 + payload[position + 1]
    assert not any(payload[position + 1 :])
    return codes
