"""The live leases that another configuration would leave without a place: how many, why, and a few of them.

The law of this file: only where places change is looked, in steps short enough for a node that serves.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Final

from everlease.admin.convert import dotted
from everlease.core.identity import TAG_CLIENT_ID, TAG_HARDWARE
from everlease.core.lifecycle import BOUND, Row
from everlease.core.model import DISABLED, Config, Reservation, Subnet
from everlease.core.query import pool_at
from everlease.core.select import subnet_of
from everlease.pb.admin.v1 import config_service_pb2 as pb
from everlease.store.view import View

EXAMPLES: Final = 5

NO_SUBNET: Final = "in no subnet any more"
NO_POOL: Final = "outside every pool"
RESERVED: Final = "reserved for another client"
SILENCED: Final = "in a disabled subnet or pool"

_STRIDE: Final = 250
"""Leases, or blocks of 256 addresses, looked at between two turns of the loop: under a millisecond."""

_ETHERNET_KEY: Final = 8
"""Octets of a client key made of an Ethernet address: tag, hardware type, address."""


@dataclass(slots=True)
class Orphans:
    """What is left without a place: (subnet it was granted in, reason) -> how many, and the first few addresses."""

    counts: dict[tuple[int, str], int] = field(default_factory=dict)
    examples: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def add(self, subnet: int, reason: str, address: int) -> None:
        """Count one lease."""
        self.counts[subnet, reason] = self.counts.get((subnet, reason), 0) + 1
        shown = self.examples.setdefault((subnet, reason), [])
        if len(shown) < EXAMPLES:
            shown.append(address)

    def lines(self) -> list[str]:
        """One for each subnet and reason."""
        return [
            f"{count} {'lease' if count == 1 else 'leases'} of subnet {subnet} would lie {reason}, "
            f"such as {dotted(self.examples[subnet, reason][0])}"
            for (subnet, reason), count in sorted(self.counts.items())
        ]

    def messages(self) -> list[pb.OrphanedLeases]:
        """The same for programs."""
        return [
            pb.OrphanedLeases(
                subnet=subnet, reason=reason, count=count, examples=map(dotted, self.examples[subnet, reason])
            )
            for (subnet, reason), count in sorted(self.counts.items())
        ]


def orphans(old: Config | None, new: Config, view: View, found: Orphans) -> Iterator[None]:
    """Count into `found`; let the loop turn at each step."""
    looked = 0
    for subnet in list(old.subnets.values()) if old else ():
        if (yield from _same_places(subnet, new.subnets.get(subnet.id))):
            continue
        first, last = subnet.prefix >> 8, (subnet.prefix | 0xFFFFFFFF >> subnet.length) >> 8
        for block in range(first, last + 1):
            mask = view.taken(subnet.space, block)
            looked += 1 + mask.bit_count()
            for bit in _bits(mask):
                _judge(block << 8 | bit, subnet, new, view, found)
            if looked > _STRIDE:
                looked = 0
                yield


def _judge(address: int, subnet: Subnet, new: Config, view: View, found: Orphans) -> None:
    row = view.row(subnet.space, address)
    if row is None or row.state != BOUND or not subnet.holds(address):
        return
    reason = _fate(address, row, new, view, subnet.space)
    if reason and not _fate_in(subnet, address, row, view):
        found.add(subnet.id, reason, address)


def _fate(address: int, row: Row, new: Config, view: View, space: str) -> str:
    target = subnet_of(new, address)
    if target is None or target.space != space:
        return NO_SUBNET
    return _fate_in(target, address, row, view)


def _fate_in(target: Subnet, address: int, row: Row, view: View) -> str:
    """Why the client cannot keep the address in this subnet, "" = it can."""
    if target.state == DISABLED:
        return SILENCED
    kept = target.reserved.get(address) or view.reservation_at(target.space, address)
    if kept is not None:
        return RESERVED if _is_another(kept, row.client) else ""
    pool = pool_at(target, address)
    if pool is None:
        return NO_POOL
    return SILENCED if pool.state == DISABLED else ""


def _is_another(kept: Reservation, client: bytes) -> bool:
    """Whether a reservation is certainly for somebody else; a key of another kind may be the same client's."""
    if kept.kind == "client-id":
        return client[:1] == TAG_CLIENT_ID and client[1:] != kept.value
    by_hardware = client[:1] == TAG_HARDWARE or (client[:2] == TAG_CLIENT_ID + b"\x01" and len(client) == _ETHERNET_KEY)
    return kept.kind == "hw-address" and by_hardware and client[1:] != kept.value


def _same_places(old: Subnet, new: Subnet | None) -> Generator[None, None, bool]:
    if new is None or _shape(old) != _shape(new) or len(old.reserved) != len(new.reserved):
        return False
    for place, (address, kept) in enumerate(old.reserved.items(), 1):
        other = new.reserved.get(address)
        if other is None or (kept.kind, kept.value) != (other.kind, other.value):
            return False
        if place % _STRIDE == 0:
            yield
    return True


def _shape(subnet: Subnet) -> tuple[object, ...]:
    pools = tuple((pool.ranges, pool.state == DISABLED) for pool in subnet.pools)
    return subnet.space, subnet.prefix, subnet.length, subnet.state == DISABLED, pools


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
