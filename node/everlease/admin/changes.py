"""What another configuration would change, for whom: lines for people, and the live leases that it would orphan.

The law of this file: only what changed is looked at, and nothing holds the loop: call these in slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from everlease.admin.convert import dotted
from everlease.core.lifecycle import BOUND
from everlease.core.model import Config, Reservation, Subnet
from everlease.core.query import pool_at
from everlease.core.select import subnet_of
from everlease.store.view import View

MOST_LINES: Final = 200
"""Lines of an answer; a change of 10,000 subnets has one cause."""

_BESIDE: Final = frozenset(("pools", "reservations", "reserved", "exclude", "parameters"))
_Key = tuple[str, bytes, int]
_STRIDE: Final = 500
"""Blocks of 256 addresses between two turns of the loop: 0.1 ms where there is nothing."""


@dataclass(slots=True)
class Orphans:
    """Live leases that would lie outside every pool and reservation: how many by subnet, and an example of each."""

    counts: dict[int, int] = field(default_factory=dict)
    examples: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def lines(self) -> list[str]:
        """One for each subnet."""
        return [
            f"{count} {'lease' if count == 1 else 'leases'} of subnet {number} would lie outside every pool, "
            f"such as {dotted(self.examples[number])}"
            for number, count in sorted(self.counts.items())
        ]


def changes(old: Config | None, new: Config) -> Iterator[str | None]:
    """Lines that say what is different; None where the loop should turn."""
    if old is None:
        yield f"the first configuration; number of subnets: {len(new.subnets)}, of classes: {len(new.classes)}"
        return
    for name in ("parameters", "cluster", "limits"):
        yield from _differences(name, getattr(old, name), getattr(new, name))
    yield from _classes(old, new)
    for number in sorted(old.subnets.keys() | new.subnets.keys()):
        yield from _subnet(old.subnets.get(number), new.subnets.get(number))
        yield None


def orphans(old: Config | None, new: Config, view: View, found: Orphans) -> Iterator[None]:
    """Count into `found`; let the loop turn at each step."""
    looked = 0
    for subnet in list(old.subnets.values()) if old else ():
        if _same_places(subnet, new.subnets.get(subnet.id)):
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
    if row is None or row.state != BOUND or not _has_place(subnet, address):
        return
    target = subnet_of(new, address)
    if target is None or target.space != subnet.space or not _has_place(target, address):
        found.counts[subnet.id] = found.counts.get(subnet.id, 0) + 1
        found.examples.setdefault(subnet.id, address)


def _has_place(subnet: Subnet, address: int) -> bool:
    return subnet.holds(address) and (address in subnet.reserved or pool_at(subnet, address) is not None)


def _same_places(old: Subnet, new: Subnet | None) -> bool:
    return new is not None and (
        (old.space, old.prefix, old.length) == (new.space, new.prefix, new.length)
        and [pool.ranges for pool in old.pools] == [pool.ranges for pool in new.pools]
        and old.reserved.keys() == new.reserved.keys()
    )


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _classes(old: Config, new: Config) -> Iterator[str]:
    before = {each.name: each for each in old.classes}
    after = {each.name: each for each in new.classes}
    yield from (f"class {name} is new" for name in after if name not in before)
    yield from (f"class {name} is removed" for name in before if name not in after)
    yield from (f"class {name} changes" for name in after if name in before and before[name] != after[name])


def _subnet(old: Subnet | None, new: Subnet | None) -> Iterator[str]:
    if old is None and new is not None:
        yield f"subnet {new.id} ({_prefix(new)}) is new"
    elif new is None and old is not None:
        yield f"subnet {old.id} ({_prefix(old)}) is removed"
    elif old is not None and new is not None and old != new:
        yield from _changed(old, new)


def _changed(old: Subnet, new: Subnet) -> Iterator[str]:
    where = f"subnet {new.id}"
    if (old.prefix, old.length) != (new.prefix, new.length):
        yield f"{where}: prefix {_prefix(old)} -> {_prefix(new)}"
    for each in fields(Subnet):
        if each.name not in _BESIDE and each.name not in ("prefix", "length"):
            yield from _difference(f"{where}: {each.name}", getattr(old, each.name), getattr(new, each.name))
    if [pool.ranges for pool in old.pools] != [pool.ranges for pool in new.pools]:
        yield f"{where}: pools {_pools(old)} -> {_pools(new)}"
    elif old.pools != new.pools:
        yield f"{where}: parameters or classes of its pools"
    yield from _reservations(where, old.reservations, new.reservations)
    yield from _differences(f"{where}: parameters", old.parameters, new.parameters)


def _reservations(where: str, old: Mapping[_Key, Reservation], new: Mapping[_Key, Reservation]) -> Iterator[str]:
    added, removed = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    changed = sum(1 for key, value in new.items() if key in old and old[key] != value)
    if added or removed or changed:
        yield f"{where}: reservations: {added} new, {removed} removed, {changed} changed"


def _differences(what: str, old: object, new: object) -> Iterator[str]:
    """Field by field of two values of one dataclass."""
    for each in fields(old):  # type: ignore[arg-type]
        before, after = getattr(old, each.name), getattr(new, each.name)
        if each.name == "options":
            codes = sorted(code for code in before.keys() | after.keys() if before.get(code) != after.get(code))
            if codes:
                yield f"{what}: options {', '.join(map(str, codes))}"
        else:
            yield from _difference(f"{what}: {each.name}", before, after)


def _difference(what: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        yield f"{what.replace('_', '-')} {_word(old)} -> {_word(new)}"


def _word(value: object) -> str:
    if value is None or value in ("", frozenset()):
        return "(none)"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _prefix(subnet: Subnet) -> str:
    return f"{dotted(subnet.prefix)}/{subnet.length}"


def _pools(subnet: Subnet) -> str:
    return ", ".join(f"{dotted(pool.first)}-{dotted(pool.last)}" for pool in subnet.pools[:4]) or "(none)"
