"""Arithmetic on ranges of addresses: (first, last), both inclusive, as ints.

The law of this file: a range is never empty; what is not there is no range.
"""

from __future__ import annotations

from collections.abc import Iterable

from everlease.config.values import show

Range = tuple[int, int]


def text(span: Range) -> str:
    """A range as people write it."""
    return show(span[0]) if span[0] == span[1] else f"{show(span[0])}-{show(span[1])}"


def merged(spans: Iterable[Range]) -> tuple[Range, ...]:
    """The same addresses in as few ranges as possible, in order."""
    found: list[Range] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def without(span: Range, holes: Iterable[Range]) -> tuple[Range, ...]:
    """What is left of a range; `holes` as `merged` returns them."""
    left = []
    start, end = span
    for first, last in holes:
        if last < start:
            continue
        if first > end:
            break
        if first > start:
            left.append((start, first - 1))
        start = last + 1
    if start <= end:
        left.append((start, end))
    return tuple(left)


def inside(span: Range, outer: Range) -> bool:
    """Whether every address of `span` lies in `outer`."""
    return outer[0] <= span[0] and span[1] <= outer[1]
