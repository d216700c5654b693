"""What the keeper writes below `/x/keeper/`, as JSON: who keeps, who is being defragmented, who took the last snapshot.

Law: a reader ignores fields that it does not know, and takes what it cannot read for nothing at all: none of this is a
matter of safety. Times are cluster time, seconds UTC.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)


class Tenure(msgspec.Struct, omit_defaults=True, frozen=True):
    """The node that keeps, proved by `sequence`, which counts up; boot: of its process.

    quota: the smallest member's, bytes, 0 = none; fullness: of the fullest member, share of its quota; trouble: what is
    wrong with the store, "" = nothing; moves: (when, member id that was left) of the last changes of leadership.
    """

    node: str
    boot: str
    sequence: int
    quota: int = 0
    fullness: float = 0.0
    trouble: str = ""
    moves: tuple[tuple[float, int], ...] = ()


class Stopped(msgspec.Struct, omit_defaults=True, frozen=True):
    """The fence of a defragmentation: the member (id) that is being stopped, by whom, since when."""

    member: int
    node: str
    boot: str
    at: float


class Taken(msgspec.Struct, omit_defaults=True, frozen=True):
    """The last snapshot that was finished: by which node, when it was begun, its bytes and name; at 0 = there is none.

    taker: who is taking the next one, "" = nobody; begun: since when.
    """

    node: str = ""
    at: float = 0.0
    bytes: int = 0
    name: str = ""
    taker: str = ""
    begun: float = 0.0


encode = msgspec.json.encode


def decode(kind: type[R], value: bytes | None) -> R | None:
    """A record, or None for what is not one."""
    try:
        return msgspec.json.decode(value or b"", type=kind)
    except msgspec.MsgspecError:
        return None
