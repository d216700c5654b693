"""The match language of `client-classes` -> predicates of `core.classify`.

The law of this file: an operand is octets before a packet is seen, written in the words that suit its fact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from everlease.config import values
from everlease.config.options import OptionTable
from everlease.config.problems import Path, Report, did_you_mean
from everlease.core import classify
from everlease.core.classify import OPERATORS, Predicate
from everlease.wire import kinds, options4, relay4
from everlease.wire.scalars import shown

LONGEST_PATTERN: Final = 256
_COMBINATIONS: Final = ("all", "any", "not")
_RELAY_FACTS: Final = frozenset(relay4.NAMES.values())
_FACTS: Final = ("hw-address", "htype", "client-id", "giaddr", "link", "circuit-id", "remote-id")
_OPTION_FACT: Final = re.compile(r"option-(\d{1,3})", re.ASCII)
_REPEATED_REPEAT: Final = re.compile(rb"[*+}]\)[*+{]")

Encode = Callable[[Any], bytes]


class MatchCompiler:
    """Reads matches; what is wrong goes to the report, and such a match holds for nobody."""

    def __init__(self, options: OptionTable, report: Report) -> None:
        self._options = options
        self._report = report

    def compile(self, match: Mapping[str, Any], path: Path) -> Predicate:
        """The predicate of one `match`."""
        return classify.all_of(self._parts(match, path))

    def _parts(self, match: Any, path: Path) -> list[Predicate]:
        if not isinstance(match, Mapping) or not match:
            self._report.add(path, "write all, any, not, or a test like {hw-address: {prefix: '02:00:5e'}}")
            return []
        return [self._part(key, value, (*path, key)) for key, value in match.items()]

    def _part(self, key: str, value: Any, path: Path) -> Predicate:
        if key == "not":
            return classify.negate(classify.all_of(self._parts(value, path)))
        if key not in _COMBINATIONS:
            return classify.all_of(self._tests(key, value, path))
        if not isinstance(value, list) or not value:
            self._report.add(path, f"write a list of tests under {key}")
            return classify.any_of(())
        parts = (classify.all_of(self._parts(one, (*path, place))) for place, one in enumerate(value))
        return classify.all_of(parts) if key == "all" else classify.any_of(parts)

    def _tests(self, fact: str, value: Any, path: Path) -> list[Predicate]:
        name = ""
        encode: Encode = values.identifier
        with self._report.at(path):
            name, encode = self._fact(fact)
        if not name:
            return []
        if not isinstance(value, Mapping):
            value = {"in" if isinstance(value, list) else "equals": value}
        tests = []
        for operator, operand in value.items():
            with self._report.at((*path, operator)):
                tests.append(_test(name, operator, operand, encode))
        return tests

    def _fact(self, fact: str) -> tuple[str, Encode]:
        """A fact's name in `core.facts`, and how its operands are written."""
        own: dict[str, tuple[str, Encode]] = {
            "hw-address": (fact, lambda value: values.hardware(value)[1:]),
            "htype": (fact, kinds.UINT8.encode),
            "client-id": (fact, values.identifier),
            "giaddr": (fact, kinds.IP.encode),
            "link": (fact, _text),
        }
        if fact in own:
            return own[fact]
        if fact in _RELAY_FACTS:
            return fact, values.identifier
        numbered = _OPTION_FACT.fullmatch(fact)
        try:
            code = self._options.known(numbered[1] if numbered else fact)
        except ValueError:
            near = did_you_mean(fact, [*_FACTS, *_RELAY_FACTS, *_COMBINATIONS, *options4.by_name])
            known_facts = f"; known are {', '.join(_FACTS)}, and options by name or code"
            raise ValueError(f'there is no fact "{fact}"{near or known_facts}') from None
        kind = self._options.kind(code)
        known = options4.by_code.get(code)
        return known.name if known else f"option-{code}", _text if kind is kinds.STRING else kind.encode


def _test(fact: str, operator: str, operand: Any, encode: Encode) -> Predicate:
    if operator not in OPERATORS:
        near = did_you_mean(operator, OPERATORS)
        raise ValueError(f'there is no operator "{operator}"{near}; known are {", ".join(OPERATORS)}')
    if operator == "present":
        if not isinstance(operand, bool):
            raise ValueError("write present: true or present: false")
        return classify.test(fact, operator, operand)
    if operator == "in":
        if not isinstance(operand, list) or not operand:
            raise ValueError("write a list of values, like in: [7, 9]")
        return classify.test(fact, operator, [encode(one) for one in operand])
    if operator == "regex":
        return classify.test(fact, operator, _pattern(operand))
    if operator == "equals":
        return classify.test(fact, operator, encode(operand))
    return classify.test(fact, operator, _piece(fact, operator, operand, encode))


def _piece(fact: str, operator: str, operand: Any, encode: Encode) -> bytes | tuple[bytes, ...]:
    """The operand of prefix, suffix or contains: part of a value, so not always one itself."""
    if fact == "hw-address":
        return _digits(operator, str(operand))
    if encode in (_text, values.identifier):
        return encode(operand)
    return values.identifier(operand)


def _digits(operator: str, text: str) -> bytes | tuple[bytes, ...]:
    """Part of a hardware address: hex digits in any grouping, even half an octet at the open end."""
    digits = re.sub("[:.-]", "", text)
    if not re.fullmatch("[0-9a-fA-F]{1,32}", digits):
        raise ValueError(
            f"{shown(text)} is not the beginning or the end of a hardware address; write one like '02:00:5e'"
        )
    if len(digits) % 2 == 0:
        return bytes.fromhex(digits)
    if operator == "contains":
        raise ValueError(f"{shown(text)} has half an octet; write whole ones")
    halves = "0123456789abcdef"
    return tuple(bytes.fromhex(digits + half if operator == "prefix" else half + digits) for half in halves)


def _text(value: Any) -> bytes:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise ValueError(f"{shown(value)} is not text; put it in quotes")
    return str(value).encode(errors="surrogateescape")


def _pattern(value: Any) -> bytes:
    pattern = _text(value)
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the pattern is longer than {LONGEST_PATTERN} octets")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"{shown(value)} is not a regular expression: {problem}") from None
    if _REPEATED_REPEAT.search(pattern):
        raise ValueError(
            f"{shown(value)} repeats a repetition: a client could keep a node busy for hours; write it flat"
        )
    return pattern
