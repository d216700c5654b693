"""What a change of configuration does, for whom: one line for each thing, in the operator's words and values.

The law of this file: it tells what clients of a subnet, a class or a reservation get instead of what; and it goes in
steps short enough for a node that serves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final, TypeAlias

from everlease.config import ranges
from everlease.config.levels import duration
from everlease.config.options import OptionTable
from everlease.config.values import identifier as identifier_octets
from everlease.config.values import show
from everlease.core.lifecycle import INFINITE
from everlease.core.model import SEND_NEVER, Config, Network, OptionValue, Parameters, Pool, Reservation, Subnet
from everlease.wire import options4

Lines: TypeAlias = Iterator[str | None]
"""Lines for people; None where the loop may turn."""

NAMED: Final = 10
"""Reservations of one subnet that are named; the others are counted."""

LONGEST: Final = 120
"""Characters of a value."""

STRIDE: Final = 100
"""Reservations, or subnets, looked at between two turns of the loop: well under a millisecond."""

_ETHERNET: Final = b"\x01"
_ETHERNET_SIZE: Final = 7

_SEND: Final = ("", " (always)", " (never)")
_PLAIN: Final = (
    "name", "description", "labels", "link", "relays", "strict_relays", "trust_option_82", "state", "unknown_clients",
    "allocator", "client_identity", "space", "exclude",
)  # fmt: skip
_TIMES: Final = frozenset(
    ("valid_lifetime", "min_valid_lifetime", "max_valid_lifetime", "renew_time", "rebind_time", "offer_lifetime",
     "affinity", "decline_probation", "grace")
)  # fmt: skip

_Key: TypeAlias = tuple[str, bytes, int]
_Said: TypeAlias = Callable[[Parameters], bool]


def changes(old: Config | None, new: Config) -> Lines:
    """What it means to go from `old` (None: nothing yet) to `new`."""
    if old is None:
        counts = f"subnets: {len(new.subnets)}, classes: {len(new.classes)}"
        yield f"the first configuration; {counts}"
        return
    yield from _Comparison(old, new).lines()


def identifier(reservation: Reservation) -> str:
    """Whom a reservation is for, as people write it."""
    behind = f" behind {show(reservation.relay)}" if reservation.relay else ""
    return f"{reservation.kind} {octets_text(reservation.kind, reservation.value)}{behind}"


def octets_text(kind: str, octets: bytes) -> str:
    """An identifier's value as it may be written in a document."""
    if kind == "hw-address":
        text = octets[1:].hex(":")
        return text if octets[:1] == _ETHERNET and len(octets) == _ETHERNET_SIZE else f"{octets[0]}/{text}"
    text = octets.decode("ascii", errors="replace")
    if text.isprintable() and _reads_as(text, octets):
        return text
    return f"0x{octets.hex()}"


def _reads_as(text: str, octets: bytes) -> bool:
    try:
        return identifier_octets(text) == octets
    except ValueError:
        return False


@dataclass(slots=True)
class _Comparison:
    old: Config
    new: Config

    def lines(self) -> Lines:
        old, new = self.old, self.new
        yield from self._everywhere()
        for name in ("cluster", "limits"):
            yield from _fields(name, getattr(old, name), getattr(new, name))
        yield from self._classes()
        yield from self._networks()
        for number, subnet in old.subnets.items():
            if number not in new.subnets:
                yield from self._subnet(subnet, None)
            yield None
        for number, subnet in new.subnets.items():
            yield from self._subnet(old.subnets.get(number), subnet)
            yield None

    # --- levels above the subnets -------------------------------------------------------------------------------------

    def _everywhere(self) -> Lines:
        for line, said in self._parameters(self.old.parameters, self.new.parameters):
            ruled = yield from self._ruled(said)
            count = len(self.new.subnets)
            yield f"everywhere: {line}" + (f" (in {count - ruled} of {count} subnets)" if ruled else "")

    def _ruled(self, said: _Said) -> Generator[None, None, int]:
        """Subnets that do not inherit it from the document, because they or their shared network say it."""
        found = 0
        for place, subnet in enumerate(self.new.subnets.values(), 1):
            found += said(subnet.parameters) or said(self.new.network_of[subnet.id].parameters)
            if place % STRIDE == 0:
                yield None
        return found

    def _classes(self) -> Lines:
        before, after = ({each.name: each for each in one.classes} for one in (self.old, self.new))
        yield from (f"class {name} is new" for name in after if name not in before)
        yield from (f"class {name} is removed" for name in before if name not in after)
        for name in [name for name in after if name in before]:
            if before[name].match != after[name].match:
                yield f"class {name}: other clients match"
            if before[name].action != after[name].action:
                yield f"class {name}: action {_word(before[name].action)} -> {_word(after[name].action)}"
            yield from self._level(f"class {name}", before[name].parameters, after[name].parameters)

    def _networks(self) -> Lines:
        before, after = (yield from _shared(self.old)), (yield from _shared(self.new))
        yield from (f"shared network {name} is new" for name in after if name not in before)
        yield from (f"shared network {name} is removed" for name in before if name not in after)
        for name in [name for name in after if name in before]:
            ids = [", ".join(str(each.id) for each in one[name].subnets) for one in (before, after)]
            if ids[0] != ids[1]:
                yield f"shared network {name}: subnets {ids[0]} -> {ids[1]}"
            yield from self._level(f"shared network {name}", before[name].parameters, after[name].parameters)

    # --- a subnet -----------------------------------------------------------------------------------------------------

    def _subnet(self, old: Subnet | None, new: Subnet | None) -> Lines:
        if old is None and new is not None:
            held = f"; reservations: {len(new.reservations)}" if new.reservations else ""
            yield f"{_named(new)} is new: pools {_pools(new)}{held}"
        elif new is None and old is not None:
            yield f"{_named(old)} is removed"
        elif old is not None and new is not None:
            yield from self._changed(old, new)

    def _changed(self, old: Subnet, new: Subnet) -> Lines:
        where = f"subnet {new.id}"
        if (old.prefix, old.length) != (new.prefix, new.length):
            yield f"{where}: prefix {_prefix(old)} -> {_prefix(new)}"
        for name in _PLAIN:
            yield from _value(where, name, getattr(old, name), getattr(new, name))
        yield from self._pools(where, old, new)
        yield from self._level(where, old.parameters, new.parameters)
        yield from self._reservations(where, old.reservations, new.reservations)

    def _pools(self, where: str, old: Subnet, new: Subnet) -> Lines:
        before, after = ({(pool.first, pool.last): pool for pool in one.pools} for one in (old, new))
        if before.keys() != after.keys():
            yield f"{where}: pools {_pools(old)} -> {_pools(new)}"
        for span in [span for span in after if span in before]:
            here = f"{where}, pool {ranges.text(span)}"
            for name in ("state", "classes"):
                yield from _value(here, name, getattr(before[span], name), getattr(after[span], name))
            yield from self._level(here, before[span].parameters, after[span].parameters)

    def _reservations(self, where: str, old: Mapping[_Key, Reservation], new: Mapping[_Key, Reservation]) -> Lines:
        """Named as far as there are few; a subnet may have tens of thousands."""
        told = [0, 0]
        for place, key in enumerate([*new, *(key for key in old if key not in new)], 1):
            before, after = old.get(key), new.get(key)
            if before != after:
                told[0] += 1
                if told[0] <= NAMED:
                    yield from self._reservation(where, before, after)
                else:
                    told[1] += 1
            if place % STRIDE == 0:
                yield None
        if told[1]:
            yield f"{where}: {told[1]} more reservations"

    def _reservation(self, where: str, old: Reservation | None, new: Reservation | None) -> Lines:
        if old is None and new is not None:
            yield f"{where}: reservation {_kept(new)} is new"
        elif new is None and old is not None:
            yield f"{where}: reservation {_kept(old)} is removed"
        elif old is not None and new is not None:
            here = f"{where}, reservation {identifier(new)}"
            for name in ("address", "hostname"):
                yield from _value(here, name, getattr(old, name), getattr(new, name))
            yield from self._level(here, old.parameters, new.parameters)

    # --- parameters ---------------------------------------------------------------------------------------------------

    def _level(self, where: str, old: Parameters, new: Parameters) -> Lines:
        if old != new:
            yield from (f"{where}: {line}" for line, _ in self._parameters(old, new))

    def _parameters(self, old: Parameters, new: Parameters) -> Iterator[tuple[str, _Said]]:
        """Each difference, and what tells whether a level says the same thing."""
        for name in (each.name for each in fields(Parameters) if each.name != "options"):
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                yield f"{_key(name)} {_word(before, name)} -> {_word(after, name)}", _says(name)
        for code in sorted(old.options.keys() | new.options.keys()):
            was, now = old.options.get(code), new.options.get(code)
            if was != now:
                known = options4.by_code.get(code)
                label = self.new.option_names.get(code) or (known.name if known else str(code))
                line = f"option {label} {_option(self.old, code, was)} -> {_option(self.new, code, now)}"
                yield line, _sends(code)


def _shared(config: Config) -> Generator[None, None, dict[str, Network]]:
    """The shared networks by name; most networks are of one subnet and have none."""
    found = {}
    for place, each in enumerate(config.networks, 1):
        if each.name:
            found[each.name] = each
        if place % (10 * STRIDE) == 0:
            yield None
    return found


def _says(name: str) -> _Said:
    return lambda level: getattr(level, name) is not None


def _sends(code: int) -> _Said:
    return lambda level: code in level.options


def _option(config: Config, code: int, value: OptionValue | None) -> str:
    if value is None:
        return "(not said)"
    if value.send == SEND_NEVER:
        return "(never)"
    kind = OptionTable.of(config.option_names, config.option_types).kind(code)
    shown = options4.Option(code, "", kind, 0).show(value.data)
    return _cut(", ".join(map(str, shown)) if isinstance(shown, list | tuple) else str(shown)) + _SEND[value.send]


def _fields(where: str, old: object, new: object) -> Lines:
    """Field by field of two values of one dataclass."""
    for each in fields(old):  # type: ignore[arg-type]
        yield from _value(where, each.name, getattr(old, each.name), getattr(new, each.name))


def _value(where: str, name: str, old: object, new: object) -> Lines:
    if old != new:
        yield f"{where}: {_key(name)} {_word(old, name)} -> {_word(new, name)}"


def _key(name: str) -> str:
    return name.replace("_", "-")


def _word(value: Any, name: str = "") -> str:
    if value is None or value in ("", b"", frozenset(), ()) or (name in ("address", "next_server") and value == 0):
        return "(none)"
    if name in ("address", "next_server"):
        return show(value)
    if name in _TIMES:
        return "infinite" if value == INFINITE else duration(value)
    if name == "relays":
        return _cut(", ".join(map(show, sorted(value))))
    if name == "exclude":
        return _cut(", ".join(map(ranges.text, value)))
    if name == "ping_check":
        return f"on, {value.timeout:g} s" if value.enabled else "off"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return _cut(", ".join(f"{key}: {one}" for key, one in value.items())) or "(none)"
    if isinstance(value, frozenset):
        return _cut(", ".join(sorted(value)))
    return _cut(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _kept(reservation: Reservation) -> str:
    return identifier(reservation) + (f" at {show(reservation.address)}" if reservation.address else "")


def _named(subnet: Subnet) -> str:
    return f"subnet {subnet.id} ({_prefix(subnet)})"


def _prefix(subnet: Subnet) -> str:
    return f"{show(subnet.prefix)}/{subnet.length}"


def _pools(subnet: Subnet) -> str:
    def span(pool: Pool) -> str:
        return ranges.text((pool.first, pool.last))

    more = f" and {len(subnet.pools) - 4} more" if len(subnet.pools) > 4 else ""
    return (", ".join(span(pool) for pool in islice(subnet.pools, 4)) or "(none)") + more
