"""How full a subnet is, in time that does not depend on how many leases there are.

The law of this file: the states of a subnet's addresses add up to its size. Its size is that of its pools, and the
reserved addresses outside of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from everlease.core.model import Config, Subnet
from everlease.store.leases import DECLINE, ENDED, GIVEN_BACK, GRACE, LEASED, OFFER
from everlease.store.view import View

ROW_STATES: Final = {
    "leased": LEASED, "grace": GRACE, "offered": OFFER, "declined": DECLINE, "released": GIVEN_BACK, "ended": ENDED,
}  # fmt: skip
"""What a lease record counts as -> its place in `view.usage`."""

STRIDE: Final = 1000
"""Reservations looked at between two turns of the loop: about half a millisecond."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Addresses of one subnet. reserved: kept by a reservation, and not leased."""

    size: int
    free: int
    leased: int
    grace: int
    offered: int
    declined: int
    reserved: int

    def states(self) -> Iterator[tuple[str, int]]:
        """(label value of `state`, addresses)."""
        for name in ("free", "leased", "grace", "offered", "declined", "reserved"):
            yield name, getattr(self, name)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What does not change with a lease. reserved: mask of reserved addresses by /24 block.

    dynamic: addresses of the pools that no reservation keeps.
    """

    space: str
    size: int
    dynamic: int
    reserved: Mapping[int, int]


class Usages:
    """Usage of every subnet of one configuration; `prepare` it first, whenever the configuration is another one."""

    def __init__(self) -> None:
        self._config: Config | None = None
        self._plans: dict[int, _Plan] = {}

    def prepare(self, config: Config) -> Iterator[None]:
        """Learn the sizes of all subnets; let the loop turn at each step."""
        if config is self._config:
            return
        plans: dict[int, _Plan] = {}
        looked = 0
        for subnet in config.subnets.values():
            plans[subnet.id] = _plan(subnet)
            looked += 10 + len(subnet.reserved)
            if looked > STRIDE:
                looked = 0
                yield
        self._config, self._plans = config, plans

    def of(self, view: View, number: int) -> Usage:
        """The usage of a subnet of the configuration that was prepared."""
        plan = self._plans[number]
        leased, grace, offered, declined, _, _ = view.usage.of(number)
        idle = sum((mask & ~view.taken(plan.space, block)).bit_count() for block, mask in plan.reserved.items())
        free = max(plan.size - leased - grace - offered - declined - idle, 0)
        return Usage(plan.size, free, leased, grace, offered, declined, idle)

    def dynamic(self, number: int) -> int:
        """Addresses of a subnet of that configuration that a client without a reservation may get, taken or free."""
        return self._plans[number].dynamic


def _plan(subnet: Subnet) -> _Plan:
    ranges = sorted(each for pool in subnet.pools for each in pool.ranges)
    starts = [first for first, _ in ranges]
    size = dynamic = sum(last - first + 1 for first, last in ranges)
    masks: dict[int, int] = {}
    for address in subnet.reserved:
        masks[address >> 8] = masks.get(address >> 8, 0) | 1 << (address & 255)
        place = bisect_right(starts, address) - 1
        outside = place < 0 or address > ranges[place][1]
        size += outside
        dynamic -= not outside
    return _Plan(subnet.space, size, dynamic, masks)
