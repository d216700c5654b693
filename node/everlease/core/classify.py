"""The match language of client classes: predicates over facts, built by `config.match`, asked once per packet.

The law of this file: a predicate is a value. It compares, it travels between processes, and calling it reads the
facts and nothing else. Facts are octets by name; a fact that a packet does not state is absent, and fails every test
but `present: false`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

Facts: TypeAlias = Mapping[str, bytes]
Predicate: TypeAlias = Callable[[Facts], bool]

OPERATORS: Final = ("equals", "prefix", "suffix", "contains", "regex", "present", "in")


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Predicate, ...]

    def __call__(self, facts: Facts) -> bool:
        """Whether every part holds."""
        return all(part(facts) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds."""

    parts: tuple[Predicate, ...]

    def __call__(self, facts: Facts) -> bool:
        """Whether a part holds."""
        return any(part(facts) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Predicate

    def __call__(self, facts: Facts) -> bool:
        """Whether the part fails."""
        return not self.part(facts)


@dataclass(frozen=True, slots=True)
class Present:
    """The packet states the fact, or does not."""

    fact: str
    wanted: bool

    def __call__(self, facts: Facts) -> bool:
        """Whether the fact is there as wanted."""
        return (self.fact in facts) is self.wanted


@dataclass(frozen=True, slots=True)
class OneOf:
    """The fact is one of these values, octet for octet."""

    fact: str
    values: frozenset[bytes]

    def __call__(self, facts: Facts) -> bool:
        """Whether the fact is one of the values."""
        return facts.get(self.fact) in self.values


@dataclass(frozen=True, slots=True)
class Prefix:
    """The fact starts with one of these values."""

    fact: str
    values: tuple[bytes, ...]

    def __call__(self, facts: Facts) -> bool:
        """Whether the fact starts so."""
        fact = facts.get(self.fact)
        return fact is not None and fact.startswith(self.values)


@dataclass(frozen=True, slots=True)
class Suffix:
    """The fact ends with one of these values."""

    fact: str
    values: tuple[bytes, ...]

    def __call__(self, facts: Facts) -> bool:
        """Whether the fact ends so."""
        fact = facts.get(self.fact)
        return fact is not None and fact.endswith(self.values)


@dataclass(frozen=True, slots=True)
class Contains:
    """The fact holds this value somewhere."""

    fact: str
    value: bytes

    def __call__(self, facts: Facts) -> bool:
        """Whether the value is in the fact."""
        fact = facts.get(self.fact)
        return fact is not None and self.value in fact


@dataclass(frozen=True, slots=True)
class Regex:
    """The pattern is found somewhere in the fact's octets."""

    fact: str
    pattern: re.Pattern[bytes]

    def __call__(self, facts: Facts) -> bool:
        """Whether the pattern is found."""
        fact = facts.get(self.fact)
        return fact is not None and self.pattern.search(fact) is not None


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """Every part holds; one part is itself."""
    listed = tuple(parts)
    return listed[0] if len(listed) == 1 else All(listed)


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """At least one part holds; one part is itself."""
    listed = tuple(parts)
    return listed[0] if len(listed) == 1 else Any(listed)


def negate(part: Predicate) -> Predicate:
    """The part does not hold."""
    return Not(part)


def test(fact: str, operator: str, operand: object) -> Predicate:
    """One test of one fact. `operator` is one of OPERATORS.

    operand: bool for `present`; bytes for `equals`, `contains` and `regex` (a pattern of octets); bytes or a tuple of
    them for `prefix` and `suffix`; an iterable of bytes for `in`. `ValueError` for anything else, `re.error` for a
    pattern that is none.
    """
    match operator, operand:
        case "present", bool(wanted):
            return Present(fact, wanted)
        case "equals", bytes(value):
            return OneOf(fact, frozenset((value,)))
        case "in", [*values] if _octets(values):
            return OneOf(fact, frozenset(values))
        case "prefix", bytes() | tuple():
            return Prefix(fact, operand if isinstance(operand, tuple) else (operand,))
        case "suffix", bytes() | tuple():
            return Suffix(fact, operand if isinstance(operand, tuple) else (operand,))
        case "contains", bytes(value):
            return Contains(fact, value)
        case "regex", bytes(value):
            return Regex(fact, re.compile(value))
        case _:
            raise ValueError(f"{operator!r} cannot be asked with {operand!r}")


def _octets(values: list[object]) -> TypeGuard[list[bytes]]:
    return all(isinstance(value, bytes) for value in values)
