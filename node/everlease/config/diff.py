"""What a change of configuration does: to subnets, pools and options, and to leases that live.

The law of this file: it counts every lease and shows a few, in steps short enough for a node that serves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias

from everlease.config import ranges
from everlease.config.values import show
from everlease.core.model import Config, OptionValue, Parameters, Subnet
from everlease.wire import options4

Held: TypeAlias = tuple[str, int, int, bytes]
"""A live lease: space, address, subnet id, client key (a tag octet, then what identifies the client)."""

EXAMPLES: Final = 10

NO_SUBNET: Final = "in no subnet any more"
NO_POOL: Final = "outside every pool"
RESERVED: Final = "reserved for another client"

_SEND: Final = ("requested", "always", "never")
_PLAIN: Final = (
    "name", "description", "labels", "link", "relays", "strict_relays", "trust_option_82", "state", "unknown_clients",
    "allocator", "client_identity", "space", "exclude",
)  # fmt: skip


@dataclass(slots=True)
class Orphans:
    """Leases of one fate: how many, and the first few."""

    count: int = 0
    examples: list[Held] = field(default_factory=list)

    def add(self, lease: Held) -> None:
        """Count a lease."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(lease)


@dataclass(slots=True)
class Difference:
    """What a change does.

    added, removed: subnet ids. changed: subnet id -> lines like `pools: 10.1.0.0-10.1.0.99 removed`.
    general: lines about the document, its classes and shared networks. orphans: by NO_SUBNET, NO_POOL, RESERVED.
    """

    added: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    changed: dict[int, list[str]] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    orphans: dict[str, Orphans] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the change does nothing."""
        return not (self.added or self.removed or self.changed or self.general or self.orphans)


def difference(old: Config | None, new: Config, leases: Iterable[Held]) -> Difference:
    """What it means to go from `old` (None: nothing yet) to `new` while these leases live."""
    result = Difference()
    deque(difference_steps(old, new, leases, result), maxlen=0)
    return result


def difference_steps(old: Config | None, new: Config, leases: Iterable[Held], result: Difference) -> Iterator[None]:
    """`difference` in short steps (for `aside.run`), into `result`."""
    before: Mapping[int, Subnet] = old.subnets if old is not None else {}
    for number, subnet in new.subnets.items():
        if number not in before:
            result.added.append(number)
        else:
            lines = _subnet_lines(before[number], subnet, new.option_names)
            lines += yield from _reservation_lines(before[number], subnet)
            if lines:
                result.changed[number] = lines
        yield
    for number in before:
        if number not in new.subnets:
            result.removed.append(number)
        yield
    if old is not None:
        result.general += _general_lines(old, new)
    yield from _orphans(new, leases, result)


def _orphans(new: Config, leases: Iterable[Held], result: Difference) -> Iterator[None]:
    prefixes: dict[tuple[str, int], dict[int, Subnet]] = {}
    for subnet in new.subnets.values():
        prefixes.setdefault((subnet.space, subnet.length), {})[subnet.prefix >> (32 - subnet.length)] = subnet
        yield
    for lease in leases:
        fate = _fate(_subnet_of(prefixes, lease[0], lease[1]), lease)
        if fate:
            result.orphans.setdefault(fate, Orphans()).add(lease)
        yield


def _subnet_of(prefixes: Mapping[tuple[str, int], Mapping[int, Subnet]], space: str, address: int) -> Subnet | None:
    for (named, length), table in prefixes.items():
        if named == space and (found := table.get(address >> (32 - length))) is not None:
            return found
    return None


def _fate(subnet: Subnet | None, lease: Held) -> str:
    """Why the client cannot keep the address, or "". A reservation by another identifier is taken for its own."""
    if subnet is None:
        return NO_SUBNET
    address, client = lease[1], lease[3]
    reservation = subnet.reserved.get(address)
    if reservation is not None:
        by_client = reservation.kind in ("hw-address", "client-id")
        return RESERVED if by_client and client[1:] != reservation.value else ""
    inside = any(first <= address <= last for pool in subnet.pools for first, last in pool.ranges)
    return "" if inside else NO_POOL


def _general_lines(old: Config, new: Config) -> list[str]:
    lines = _parameter_lines(old.parameters, new.parameters, new.option_names)
    for name in ("cluster", "limits"):
        if getattr(old, name) != getattr(new, name):
            lines.append(f"{name}: {getattr(old, name)} -> {getattr(new, name)}")
    lines += _set_lines(
        "client-classes", {one.name: one for one in old.classes}, {one.name: one for one in new.classes}
    )
    named_before, named_now = (
        {one.name: (one.parameters, sorted(subnet.id for subnet in one.subnets)) for one in config.networks if one.name}
        for config in (old, new)
    )
    return lines + _set_lines("shared-networks", named_before, named_now)


def _subnet_lines(old: Subnet, new: Subnet, names: Mapping[int, str]) -> list[str]:
    lines = []
    if (old.prefix, old.length) != (new.prefix, new.length):
        lines.append(f"prefix: {show(old.prefix)}/{old.length} -> {show(new.prefix)}/{new.length}")
    for name in _PLAIN:
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            lines.append(f"{name.replace('_', '-')}: {_plain(name, before)} -> {_plain(name, now)}")
    pools_before, pools_now = ({ranges.text((pool.first, pool.last)): pool for pool in one.pools} for one in (old, new))
    lines += _set_lines("pools", pools_before, pools_now)
    lines += _parameter_lines(old.parameters, new.parameters, names)
    return lines


def _reservation_lines(old: Subnet, new: Subnet) -> Generator[None, None, list[str]]:
    """Counted one by one: a subnet may have tens of thousands."""
    added = changed = removed = 0
    for key, reservation in new.reservations.items():
        added += key not in old.reservations
        changed += key in old.reservations and old.reservations[key] != reservation
        yield
    for key in old.reservations:
        removed += key not in new.reservations
        yield
    counts = ((added, "added"), (removed, "removed"), (changed, "changed"))
    text = ", ".join(f"{count} {what}" for count, what in counts if count)
    return [f"reservations: {text}"] if text else []


def _plain(name: str, value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(show(address) for address in sorted(value)) or "none"
    if name == "exclude" and isinstance(value, tuple):
        return ", ".join(ranges.text(span) for span in value) or "none"
    return "none" if value in (None, "") else str(value)


def _set_lines(what: str, old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    lines = [f"{what}: {name} added" for name in new if name not in old]
    lines += [f"{what}: {name} removed" for name in old if name not in new]
    return lines + [f"{what}: {name} changed" for name in new if name in old and old[name] != new[name]]


def _parameter_lines(old: Parameters, new: Parameters, names: Mapping[int, str]) -> list[str]:
    lines = []
    for name in (one.name for one in fields(Parameters) if one.name != "options"):
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            lines.append(f"{name.replace('_', '-')}: {_said(name, before)} -> {_said(name, now)}")
    for code in sorted(old.options.keys() | new.options.keys()):
        before, now = old.options.get(code), new.options.get(code)
        if before != now:
            known = options4.by_code.get(code)
            label = names.get(code) or (known.name if known else str(code))
            lines.append(f"option {label}: {_option(code, before)} -> {_option(code, now)}")
    return lines


def _said(name: str, value: object) -> str:
    if isinstance(value, int) and name == "next_server":
        return show(value)
    return "not said" if value is None else value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _option(code: int, value: OptionValue | None) -> str:
    if value is None:
        return "not said"
    send = f" ({_SEND[value.send]})" if value.send else ""
    return f"{options4.show(code, value.data) if value.data else ''}{send}".strip()
