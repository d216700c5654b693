"""One place of a document edited as text: the state of a subnet, or of one of its pools. Comments and order stay.

The law of this file: what comes out reads as the same document but for that one value, or nothing comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from everlease.config import text as texts
from everlease.config.problems import InvalidDocument, Path
from everlease.config.values import address_range
from everlease.errors import ConfigError

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STATE: Final = "state"
_ALIAS: Final = "it is written as an alias (*name); edit the document by hand"


class NotEditable(ConfigError):
    """The place cannot be edited without risk; edit the document by hand."""


@dataclass(slots=True)
class _Scalar:
    """A word of the text. start, end: characters; column: of its first one; quote: "" or the one it is written in."""

    value: str
    start: int
    end: int
    column: int
    quote: str


@dataclass(slots=True)
class _Node:
    """A collection. flow: written in brackets; entries: (key, value) of a mapping, (None, value) of a list."""

    flow: bool
    mapping: bool
    entries: list[tuple[_Scalar | None, _Value]] = field(default_factory=list)


_Value: TypeAlias = "_Node | _Scalar | None"


def set_state(text: str, subnet: int, pool: int, state: str) -> str:
    """The text with `state` of a subnet by its id (pool 0), or of its pool whose first address is `pool`.

    Raises NotEditable, InvalidDocument.
    """
    before, _ = texts.read(text)
    way = _way(before, subnet, pool)
    after = _replaced(text, _Walk(text).mapping(way), state)
    _prove(before, after, way, state)
    return after


def _way(tree: texts.Map, subnet: int, pool: int) -> Path:
    """The path of the subnet's mapping, or of the pool's."""
    for place, entry in enumerate(_listed(tree, "subnets")):
        if isinstance(entry, texts.Map) and entry.get("id") == subnet:
            way: Path = ("subnets", place)
            return (*way, "pools", _pool(entry, pool)) if pool else way
    raise NotEditable(f"the document has no subnet {subnet}")


def _pool(entry: texts.Map, first: int) -> int:
    for place, each in enumerate(_listed(entry, "pools")):
        if isinstance(each, texts.Map) and address_range(each.get("range"))[0] == first:
            return place
    raise NotEditable("the subnet has no such pool")


def _listed(tree: texts.Map, key: str) -> texts.List:
    found = tree.get(key)
    return found if isinstance(found, texts.List) else texts.List(0)


def _replaced(text: str, node: _Node, state: str) -> str:
    for key, value in node.entries:
        if key is not None and key.value == _STATE and value is not None:
            assert isinstance(value, _Scalar)
            return text[: value.start] + _quoted(state, value.quote) + text[value.end :]
    key, value = _beside(node)
    line = f"{_quoted(_STATE, key.quote)}: {_quoted(state, key.quote)}"
    if node.flow:
        return f"{text[: value.end]}, {line}{text[value.end :]}"
    end = text.find("\n", value.end)
    end = len(text) if end < 0 else end
    newline = "\r\n" if text[end - 1 : end] == "\r" else "\n"
    end -= len(newline) - 1
    return f"{text[:end]}{newline}{' ' * key.column}{line}{text[end:]}"


def _beside(node: _Node) -> tuple[_Scalar, _Scalar]:
    """The first plain pair of a mapping: the state is written behind it."""
    for key, value in node.entries:
        if key is not None and isinstance(value, _Scalar):
            return key, value
    raise NotEditable("there is no plain place for `state` in it; write it by hand")


def _quoted(word: str, quote: str) -> str:
    return f"{quote}{word}{quote}"


def _prove(before: texts.Map, text: str, way: Path, state: str) -> None:
    """Read it again: the one value differs, and nothing else."""
    try:
        after, twice = texts.read(text)
    except InvalidDocument as broken:
        raise NotEditable(f"it cannot be edited safely, write `state` by hand ({broken})") from None
    if twice or not _same(before, after, way, state):
        raise NotEditable(
            "this part of the document is shared by an alias (*name), or not plain; write `state` by hand"
        )


def _same(before: Any, after: Any, way: Path, state: str) -> bool:
    """Whether all is equal but for the state of the mapping at the end of the way."""
    if not way:
        return bool(after.get(_STATE) == state and before | {_STATE: ""} == after | {_STATE: ""})
    step = way[0]
    keys = range(len(before)) if isinstance(before, list) else before
    if len(before) != len(after) or not _same(before[step], after[step], way[1:], state):
        return False
    return all(before[key] == after[key] for key in keys if key != step)


class _Walk:
    """Goes through the parser's events down to one mapping, which alone is built."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)

    def mapping(self, way: Path) -> _Node:
        """The mapping at the end of a way through keys and positions. Raises NotEditable."""
        try:
            while not isinstance(event := next(self._events), yaml.MappingStartEvent):
                pass
            for step in way:
                event = self._key(step) if isinstance(step, str) else self._element(event, step)
            found = self._build(event)
        except (yaml.YAMLError, StopIteration) as problem:
            raise NotEditable(f"it cannot be read as YAML: {' '.join(str(problem).split())}") from None
        if not isinstance(found, _Node) or not found.mapping:
            raise NotEditable(_ALIAS)
        return found

    def _key(self, wanted: str) -> yaml.Event:
        """The value of a key of the mapping that has just begun; what stands before it is passed over."""
        while True:
            key = next(self._events)
            value = next(self._events)
            if isinstance(key, yaml.ScalarEvent) and key.value == wanted:
                return value
            self._skip(value)

    def _element(self, event: yaml.Event, place: int) -> yaml.Event:
        if not isinstance(event, yaml.SequenceStartEvent):
            raise NotEditable(_ALIAS)
        for _ in range(place):
            self._skip(next(self._events))
        return next(self._events)

    def _skip(self, event: yaml.Event) -> None:
        depth = int(isinstance(event, yaml.CollectionStartEvent))
        while depth:
            event = next(self._events)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)

    def _build(self, event: yaml.Event) -> _Value:
        """A value as a whole; `texts.read` has bounded how deep it goes."""
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if not isinstance(event, yaml.CollectionStartEvent):
            return None
        node = _Node(bool(event.flow_style), isinstance(event, yaml.MappingStartEvent))
        while not isinstance(event := next(self._events), yaml.CollectionEndEvent):
            key = self._build(event) if node.mapping else None
            value = self._build(next(self._events) if node.mapping else event)
            node.entries.append((key if isinstance(key, _Scalar) else None, value))
        return node


def _scalar(event: yaml.ScalarEvent) -> _Value:
    """None for a word that nothing can be written beside, or over: a block of text, one with an anchor or a tag."""
    start, end = event.start_mark, event.end_mark
    if event.style in ("|", ">") or event.anchor is not None or event.tag is not None or not start or not end:
        return None
    quote = event.style if event.style in ("'", '"') else ""
    return _Scalar(event.value, start.index, end.index, start.column, quote or "")
