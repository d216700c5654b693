"""A subnet as a map: one letter for each address, a string of 256 letters for each /24.

The law of this file: a letter says what an address counts as, by the same bits that the metrics count, and nothing of
whom it belongs to. One block is a slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from everlease.core.model import Subnet
from everlease.store.leases import DECLINE, ENDED, GIVEN_BACK, GRACE, LEASED, OFFER
from everlease.store.view import View

FREE, RESERVED, OUTSIDE = "f", "r", "."
LETTERS: Final[dict[int | None, str]] = {
    LEASED: "l", GRACE: "g", OFFER: "o", DECLINE: "d", GIVEN_BACK: FREE, ENDED: FREE,
}  # fmt: skip

PAGE: Final = 64
"""Blocks of one answer: 16,384 addresses, some 5 ms of work in 64 slices."""


def first_block(subnet: Subnet) -> int:
    """The number (address >> 8) of its first /24."""
    return subnet.prefix >> 8


def last_block(subnet: Subnet) -> int:
    """Of its last one."""
    return (subnet.prefix | (0xFFFFFFFF >> subnet.length)) >> 8


def block_map(view: View, subnet: Subnet, block: int) -> str:
    """256 letters; those of a longer prefix than /24 lie at their places, the others are outside."""
    pool = _mask(subnet, block)
    reserved = view.reserved(subnet.space, block)
    for number in range(256):
        if (block << 8 | number) in subnet.reserved:
            reserved |= 1 << number
    table, letters = view.table(subnet.space), []
    taken = table.taken(block)
    for number in range(256):
        bit = 1 << number
        if taken & bit and subnet.holds(block << 8 | number):
            letters.append(LETTERS.get(table.standing(block << 8 | number), OUTSIDE))
        else:
            letters.append(RESERVED if reserved & bit else FREE if pool & bit else OUTSIDE)
    return "".join(letters)


def maps(view: View, subnet: Subnet, block: int) -> Iterator[tuple[int, str]]:
    """(block, letters) of at most `PAGE` blocks from `block` on, those with nothing in them left out."""
    for each in range(block, min(block + PAGE, last_block(subnet) + 1)):
        letters = block_map(view, subnet, each)
        if letters != OUTSIDE * 256:
            yield each, letters


def _mask(subnet: Subnet, block: int) -> int:
    mask = 0
    for pool in subnet.pools:
        for first, last in pool.ranges:
            low, high = max(first, block << 8), min(last, block << 8 | 255)
            if low <= high:
                mask |= ((1 << (high - low + 1)) - 1) << (low & 255)
    return mask
