"""The rows of one address space by address, in a dict for each /16.

Law: no step takes longer because there are more rows. A dict of a million that grows moves all of them at once, and
held the loop for 60 ms; one of a /16 takes 2 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from everlease.core.lifecycle import Row

T = TypeVar("T")

_NOTHING: dict[int, Row] = {}


class Rows(Mapping[int, Row]):
    """Address -> row. It may change while it is walked: what is added or taken away meanwhile is met or not."""

    __slots__ = ("_regions",)

    def __init__(self) -> None:
        self._regions: dict[int, dict[int, Row]] = {}

    def region(self, address: int) -> dict[int, Row]:
        """The rows of the /16 in which an address lies; to change them."""
        region = self._regions.get(address >> 16)
        if region is None:
            region = self._regions[address >> 16] = {}
        return region

    def __getitem__(self, address: int) -> Row:
        return self._regions.get(address >> 16, _NOTHING)[address]

    def get(self, address: int, default: T | None = None) -> Row | T | None:  # type: ignore[override]
        """The row of an address, or `default`."""
        return self._regions.get(address >> 16, _NOTHING).get(address, default)

    def reach(self, first: int, most: int) -> int:
        """Last address of a range from `first` on with about `most` rows; where there are none it reaches far.

        Rows that lie close together in a mostly empty /16 may be more, but not many times as many.
        """
        number = first >> 16
        count = len(self._regions.get(number, _NOTHING))
        if count:
            return min(first + max((most << 16) // count, most), number + 1 << 16) - 1
        later = (each for each, region in self._regions.items() if each > number and region)
        return (min(later, default=1 << 16) << 16) - 1

    def __iter__(self) -> Iterator[int]:
        for region in list(self._regions.values()):
            yield from list(region)

    def __len__(self) -> int:
        return sum(map(len, self._regions.values()))
