"""Text -> plain values that remember where they stood. YAML and JSON alike, for JSON is read as YAML.

The law of this file: whatever the text is, the answer is a tree or `InvalidDocument`. Depth, size and aliases are
bounded before anything is built, and nothing here calls itself. Only null, true, false and plain decimal numbers are
more than text: a MAC is no sexagesimal number, `no` is no boolean, and 1.10 keeps its nought.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import yaml

from everlease.config.problems import MOST_KEPT, Finding, InvalidDocument, Path, Problem, path_text

Tree: TypeAlias = "Map | List | str | int | bool | None"

DEEPEST: Final = 32
"""Twice what the schema can use (a match within a match within a class)."""

LARGEST: Final = 64 << 20
"""Characters: ten times a document of 10,000 subnets and 100,000 reservations."""

MOST_NODES: Final = 8_000_000
"""Values, those that aliases repeat counted each time."""

_MERGE: Final = "<<\0"
"""Stands for the plain key <<, which takes over another mapping (https://yaml.org/type/merge.html)."""

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_STRING_TAGS: Final = ("!", "tag:yaml.org,2002:str")
_SURROGATES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


class Map(dict[str, "Tree"]):
    """A mapping; `marks` holds for each key where it stands, `here` where the mapping starts."""

    __slots__ = ("here", "marks")

    def __init__(self, here: int) -> None:
        super().__init__()
        self.here = here
        self.marks: dict[str, int] = {}


class List(list["Tree"]):
    """A list; `marks` holds for each element where it stands, `here` where the list starts."""

    __slots__ = ("here", "marks")

    def __init__(self, here: int) -> None:
        super().__init__()
        self.here = here
        self.marks: list[int] = []


class _Mark(Protocol):
    line: int
    column: int


@dataclass(slots=True)
class _Frame:
    """A collection that is being filled. weight: values in it; height: levels in it."""

    value: Map | List
    anchor: str | None
    key: str | None = None
    mark: int = 0
    weight: int = 1
    height: int = 1


def read(text: str) -> tuple[Map, list[Finding]]:
    """The document's tree, and what is wrong with it that does not prevent reading (keys given twice).

    Raises InvalidDocument for text that is not one mapping in YAML or JSON, or beyond the bounds.
    """
    if len(text) > LARGEST:
        raise _invalid(0, f"the document has {len(text):,} characters; at most {LARGEST:,} are read")
    if text.lstrip()[:1] == "{":
        text = _SURROGATES.sub(_join_surrogates, text)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        words = ", ".join(filter(None, (problem.context, problem.problem)))
        raise _invalid(_pack(mark), f"this is not YAML: {words}") from None
    except (yaml.YAMLError, UnicodeEncodeError) as problem:
        raise _invalid(0, f"this is not text: {' '.join(str(problem).split())}") from None
    return builder.document(), builder.findings


def locate(tree: Tree, path: Path) -> tuple[int, int]:
    """Line and column, from 1, of a path; of the innermost part of it that is there, if it is not."""
    mark = tree.here if isinstance(tree, Map | List) else 0
    for part in path:
        if isinstance(tree, Map) and part in tree:
            mark, tree = tree.marks[str(part)], tree[str(part)]
        elif isinstance(tree, List) and isinstance(part, int) and part < len(tree):
            mark, tree = tree.marks[part], tree[part]
        else:
            break
    return (mark >> 16) + 1, (mark & 0xFFFF) + 1


def located(tree: Tree, findings: list[Finding]) -> InvalidDocument:
    """The error that lists these findings, each with its place."""
    return InvalidDocument(
        Problem(path_text(finding.path), *locate(tree, finding.path), finding.message) for finding in findings
    )


class _Builder:
    """Takes the parser's events, one by one."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Tree, int, int]] = {}
        self._root: Tree = None
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """One event, in the text's order."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            mark = _pack(event.start_mark)
            self._open(Map(mark), mark, event)
        elif isinstance(event, yaml.SequenceStartEvent):
            mark = _pack(event.start_mark)
            self._open(List(mark), mark, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _invalid(_pack(event.start_mark), "a second document starts here; write one document")

    def document(self) -> Map:
        """What was read, if it is a mapping."""
        if not self._documents or self._root is None:
            raise _invalid(0, "the document is empty; start with `schema: 1` and `subnets:`")
        if not isinstance(self._root, Map):
            raise _invalid(0, "the document is not a mapping; start with `schema: 1` and `subnets:`")
        return self._root

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark = _pack(event.start_mark)
        if event.tag is not None and event.tag not in _STRING_TAGS:
            raise _invalid(mark, f"the tag {event.tag} is not supported; write the plain value")
        value: Tree = event.value
        if event.implicit[0] and event.tag is None:
            value = _resolve(event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        plain = event.value == _MERGE[:2] and event.implicit[0] and event.tag is None
        self._place(value, mark, 1, 0, raw=_MERGE if plain else event.value)

    def _open(self, value: Map | List, mark: int, event: yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            raise _invalid(mark, f"the tag {event.tag} is not supported; write the plain value")
        if len(self._stack) >= DEEPEST:
            raise _invalid(mark, f"brackets are nested deeper than {DEEPEST} levels; no key needs that")
        frame = _Frame(value, event.anchor)
        frame.mark = mark
        self._stack.append(frame)

    def _close(self) -> None:
        frame = self._stack.pop()
        if isinstance(frame.value, Map) and _MERGE in frame.value:
            _merge(frame.value)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, frame.weight, frame.height)
        self._place(frame.value, frame.value.here, frame.weight, frame.height)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark = _pack(event.start_mark)
        found = self._anchors.get(event.anchor or "")
        if found is None:
            raise _invalid(
                mark, f"*{event.anchor} names nothing that is complete above it; define &{event.anchor} first"
            )
        value, weight, height = found
        self._place(value, mark, weight, height)

    def _place(self, value: Tree, mark: int, weight: int, height: int, raw: str | None = None) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.weight += weight
        frame.height = max(frame.height, height + 1)
        if frame.weight > MOST_NODES:
            raise _invalid(mark, f"more than {MOST_NODES:,} values, counting what aliases repeat; write it out shorter")
        if len(self._stack) + height > DEEPEST:
            raise _invalid(mark, f"aliases nest deeper than {DEEPEST} levels; no key needs that")
        if isinstance(frame.value, List):
            frame.value.append(value)
            frame.value.marks.append(mark)
        elif frame.key is None:
            self._key(frame, frame.value, value, mark, raw)
        else:
            frame.value[frame.key] = value
            frame.key = None

    def _key(self, frame: _Frame, target: Map, value: Tree, mark: int, raw: str | None) -> None:
        if isinstance(value, Map | List):
            raise _invalid(mark, "a mapping or a list cannot be a key; write a word")
        key = str(value) if raw is None else raw
        if key in target and len(self.findings) < MOST_KEPT:
            first = (target.marks[key] >> 16) + 1
            self.findings.append(Finding(self._path(key), f"given twice, first in line {first}; keep one of them"))
        frame.key = key
        target.marks[key] = mark

    def _path(self, key: str) -> Path:
        return (*self._outer(), key)

    def _outer(self) -> Iterator[str | int]:
        for frame in self._stack[:-1]:
            yield len(frame.value) if isinstance(frame.value, List) else frame.key or ""


def _merge(target: Map) -> None:
    """`<<: *name`, or a list of them: what the mapping does not say itself is taken from there, the first one first."""
    mark, found = target.marks.pop(_MERGE), target.pop(_MERGE)
    for source in found if isinstance(found, List) else (found,):
        if not isinstance(source, Map):
            raise _invalid(mark, "<< takes a mapping, or a list of mappings: write <<: *name")
        for key, value in source.items():
            if key not in target:
                target[key] = value
                target.marks[key] = source.marks[key]


def _resolve(text: str) -> Tree:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _NUMBER.fullmatch(text) else text


def _pack(mark: _Mark | None) -> int:
    return mark.line << 16 | min(mark.column, 0xFFFF) if mark else 0


def _join_surrogates(match: re.Match[str]) -> str:
    """JSON writes what lies beyond the first plane as two escapes; YAML knows none of them."""
    high, low = int(match[2], 16), int(match[3], 16)
    return match[1] + chr(0x10000 + (high - 0xD800 << 10) + (low - 0xDC00))


def _invalid(mark: int, message: str) -> InvalidDocument:
    return InvalidDocument([Problem("", (mark >> 16) + 1, (mark & 0xFFFF) + 1, message)])
