"""A subnet's pools as bit masks per /24 block, so that 256 addresses are tried by one `&`.

The law of this file: bit n of a block's mask is the address `block * 256 + n`. What a revision of the configuration
decides is worked out once; a block in the middle of a huge pool only when somebody looks at it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from everlease.core.model import ACTIVE, Config, Pool, Subnet
from everlease.core.situation import View

KEPT_MASKS = 4096
"""Masks kept per pool: all of a /12, about half a megabyte."""


class PoolPlan:
    """One pool: `mask(block)` is what it may hand out (its ranges less the configuration's reservations)."""

    __slots__ = ("_ends", "_masks", "_reserved", "count", "first", "last", "pool")

    def __init__(self, pool: Pool, reserved: dict[int, int]) -> None:
        self.pool = pool
        self.first = pool.first >> 8
        self.last = pool.last >> 8
        self.count = self.last - self.first + 1
        self._ends = [end for _, end in pool.ranges]
        self._reserved = reserved
        self._masks: dict[int, int] = {}

    def mask(self, block: int) -> int:
        """The pool's addresses in a block."""
        known = self._masks.get(block)
        if known is None:
            known = self._work_out(block) & ~self._reserved.get(block, 0)
            if len(self._masks) < KEPT_MASKS:
                self._masks[block] = known
        return known

    def _work_out(self, block: int) -> int:
        base, mask = block << 8, 0
        for start, end in self.pool.ranges[bisect_left(self._ends, base) :]:
            if start > base + 255:
                break
            low, high = max(start, base) - base, min(end, base + 255) - base
            mask |= span(low, high)
        return mask

    def open_blocks(self, view: View, space: str, start: int) -> Iterator[int]:
        """Blocks that are not full, from block `start` on and round to it again; 256 full ones cost one look."""
        for low, high in ((start, self.last), (self.first, start - 1)):
            for region in range(low >> 8, (high >> 8) + 1 if low <= high else 0):
                base = region << 8
                open_ = ~view.full(space, region) & span(max(low - base, 0), min(high - base, 255))
                while open_:
                    lowest = open_ & -open_
                    yield base + lowest.bit_length() - 1
                    open_ ^= lowest


class SubnetPlan:
    """A subnet's pools that are open to new clients, planned; `size` = how many addresses they hold together."""

    __slots__ = ("pools", "size")

    def __init__(self, subnet: Subnet) -> None:
        reserved: dict[int, int] = {}
        for address in subnet.reserved:
            reserved[address >> 8] = reserved.get(address >> 8, 0) | 1 << (address & 255)
        self.pools = tuple(PoolPlan(pool, reserved) for pool in subnet.pools if pool.state == ACTIVE)
        self.size = sum(end - start + 1 for each in self.pools for start, end in each.pool.ranges)


def span(low: int, high: int) -> int:
    """The mask of bits low..high, inclusive."""
    return ((2 << (high - low)) - 1) << low


def plan_of(config: Config, subnet: Subnet) -> SubnetPlan:
    """The plan of a subnet, made when first asked for."""
    plans = config.derived.plans
    plan = plans.get(subnet.id)
    if plan is None:
        plan = plans[subnet.id] = SubnetPlan(subnet)
    return plan
