"""Who answers: every candidate hears the same packet, and each computes alone whether it is the one to speak.

The law of this file: with the same candidates and the same count of copies, one node answers the first copy, two the
second and all the third. A node that is alive but mute or deaf costs its clients one retransmission. While the
candidates change the first copy may have two answers, never none: whoever answered before goes on for a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from everlease.core.situation import BUCKETS, Peers, Situation

Order = tuple[tuple[str, ...], ...]


@lru_cache(maxsize=256)
def rendezvous(names: frozenset[str]) -> Order:
    """For each bucket 0..255 the names, owner first (highest random weight of name and bucket).

    A node that comes or goes moves only its own buckets.
    """
    return tuple(
        tuple(sorted(names, key=lambda name: (_weight(name, bucket), name), reverse=True)) for bucket in range(BUCKETS)
    )


def _weight(name: str, bucket: int) -> bytes:
    return blake2b(name.encode(), digest_size=8, salt=bucket.to_bytes(2, "big")).digest()


def owned_mask(order: Sequence[Sequence[str]], me: str) -> int:
    """Bit mask of the buckets that `me` owns: where it comes first in `rendezvous` order."""
    return sum(1 << bucket for bucket, names in enumerate(order) if names and names[0] == me)


def may_answer(situation: Situation, bucket: int, selected: str | None = None) -> bool:
    """Whether this node answers a packet of this bucket, heard `copies` times.

    selected: the member that the client names as its server, or None; it comes first if it is a candidate.
    """
    if situation.answer_all or situation.copies >= 3:
        return True
    peers = situation.peers
    if situation.copies > 1:
        first = peers.me in rank(peers, bucket, selected)[: situation.copies]
    elif selected in peers.names:  # nearly every packet is a first copy: no ranking is written down for it (1.5 us)
        return selected == peers.me
    else:
        first = peers.order[bucket][:1] == (peers.me,)
    return first or (peers.lately >> bucket & 1 == 1 and selected not in peers.names)


def rank(peers: Peers, bucket: int, selected: str | None = None) -> tuple[str, ...]:
    """The candidates in the order in which they answer, for people."""
    order = peers.order[bucket]
    if selected is not None and selected in peers.names:
        return (selected, *(name for name in order if name != selected))
    return order


NOBODY = ""
"""Where `Peers.identifiers` names no single member: a service-wide identifier, shared by several."""


def selected_member(situation: Situation, identifier: int) -> str | None:
    """The member to which a server identifier belongs; None if to none of them.

    RFC 2131 section 4.1: each of a server's addresses identifies it. NOBODY: shared, the rendezvous order decides.
    """
    name = situation.peers.identifiers.get(identifier)
    if name == NOBODY:
        return NOBODY
    if identifier == situation.local or any(address == identifier for address, _ in situation.interface):
        return situation.peers.me  # whoever had the address before
    return name
