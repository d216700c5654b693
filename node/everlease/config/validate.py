"""Tree -> Document. What does not fit the schema becomes findings, and what is left still gets its meaning checked.

The law of this file: one run shows everything. Parts with an error are cut out, the rest goes on; paths are always
those of the text as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from everlease.config.problems import MOST_KEPT, Finding, Path, did_you_mean
from everlease.config.reservations import KINDS
from everlease.config.schema import (
    ClientClass,
    Cluster,
    Document,
    Limits,
    PingCheck,
    Pool,
    Reservation,
    SharedNetwork,
    Subnet,
)
from everlease.wire.scalars import shown

ROUNDS: Final = 8
"""Cutting a part out can show an error above it, one level at a time; the schema is four levels deep."""

_PLACES: Final[dict[type[BaseModel], str]] = {
    Document: "at the top of the document",
    SharedNetwork: "under shared-networks",
    Subnet: "in a subnet",
    Pool: "in a pool",
    Reservation: "in a reservation",
    ClientClass: "under client-classes",
    Cluster: "under cluster",
    Limits: "under limits",
    PingCheck: "under ping-check",
}
"""Where a key that stands in the wrong mapping may belong."""

_KIND_WORDS: Final = {
    "list_type": "write a list, or leave the key out",
    "dict_type": "write a mapping of keys to values",
    "model_type": "write a mapping of keys to values",
    "model_attributes_type": "write a mapping of keys to values",
    "bool_type": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "string_type": "write text",
    "string_too_short": "write at least one character",
    "too_short": "name at least one",
}


_NOTHING: Final = Document()


@dataclass(slots=True)
class Validated:
    """What could be read: the document without its broken parts, findings, and the way back to the text's paths."""

    document: Document
    findings: list[Finding]
    removed: dict[Path, list[int]] = field(default_factory=dict)

    def original(self, path: Path) -> Path:
        """A path in `document` as a path in the text."""
        found: Path = ()
        for part in path:
            if isinstance(part, int):
                for gone in self.removed.get(found, ()):
                    part += gone <= part  # noqa: PLW2901 - the position moves up over each part cut out before it
            found = (*found, part)
        return found


def validate(tree: Mapping[str, Any]) -> Validated:
    """Read a tree as a Document; never raises for what stands in it."""
    result = Validated(_NOTHING, [])
    kept: Any = tree
    for _ in range(ROUNDS):
        try:
            result.document = Document.model_validate(kept)
            return result
        except ValidationError as refused:
            errors = refused.errors(include_url=False)
        seen = {finding.path for finding in result.findings}
        result.findings += [
            finding for finding in (_finding(error, result) for error in errors[:MOST_KEPT]) if finding.path not in seen
        ]
        kept = _cut(kept, [_target(error) for error in errors], result)
    return result


def _finding(error: ErrorDetails, result: Validated) -> Finding:
    path = result.original(_place(error))
    return Finding(path, _message(error))


def _message(error: ErrorDetails) -> str:
    kind, given = error["type"], error["input"]
    last = str(error["loc"][-1]) if error["loc"] else ""
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(last, _keys(error["loc"][:-1]))
    if kind == "missing":
        return f'"{last}" is missing'
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        choices = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ",").split(",")]
        return f"{shown(given)} is not possible; write {' or '.join(choices)}{did_you_mean(str(given), choices)}"
    if kind in _KIND_WORDS:
        misfit = "" if isinstance(given, dict | list) else f"{shown(given)} does not fit; "
        return misfit + _KIND_WORDS[kind]
    if kind == "string_pattern_mismatch":
        return f"{shown(given)} has characters or a length that are not allowed; it must match {context['pattern']}"
    return f"{error['msg'].replace('Input should', 'the value should')}; given was {shown(given)}"


def _unknown_key(key: str, known: list[str]) -> str:
    homes = [place for model, place in _PLACES.items() if key in _aliases(model)]
    if homes:
        return f'"{key}" has no meaning here; write it {" or ".join(homes)}'
    return f'unknown key "{key}"{did_you_mean(key, known) or "; known are " + ", ".join(sorted(known))}'


def _aliases(model: type[BaseModel]) -> list[str]:
    return [str(info.alias) for info in model.model_fields.values()]


def _keys(path: Path) -> list[str]:
    """The keys that the mapping at `path` may have, by the schema."""
    return _aliases(_model_at(path))


def _model_at(path: Path) -> type[BaseModel]:
    model: type[BaseModel] = Document
    for part in path:
        if isinstance(part, int):
            continue  # a list's model is that of its elements
        fields = {info.alias: info.annotation for info in model.model_fields.values()}
        model = _model(fields.get(str(part)))
    return model


def _model(annotation: Any) -> type[BaseModel]:
    if get_origin(annotation) in (list, Union, UnionType):
        return next(found for found in map(_model, get_args(annotation)) if found is not Document)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else Document


def _target(error: ErrorDetails) -> Path:
    """What to cut out: the value itself; the whole mapping when a required key of it is missing or wrong."""
    path = _place(error)
    while len(path) > 1 and isinstance(path[-2], int) and (_is_required(path) or path[-1] in KINDS):
        path = path[:-1]
    return path


def _place(error: ErrorDetails) -> Path:
    """Where an error is, without pydantic's mark for "the key itself"."""
    return tuple(part for part in error["loc"] if part != "[key]")


def _is_required(path: Path) -> bool:
    fields = {info.alias: info for info in _model_at(path[:-1]).model_fields.values()}
    return path[-1] in fields and fields[str(path[-1])].is_required()


def _cut(tree: Any, targets: list[Path], result: Validated) -> Any:
    cuts: dict[Any, Any] = {}
    for target in targets:
        node = cuts
        for part in target[:-1]:
            node = node.setdefault(part, {})
            if node is None:
                break
        else:
            node[target[-1]] = None
    return _without(tree, cuts, (), result)


def _without(tree: Any, cuts: dict[Any, Any], path: Path, result: Validated) -> Any:
    """A copy of the tree along the cuts; the rest is shared."""
    if isinstance(tree, Mapping):
        return {
            key: _without(value, cuts[key], (*path, key), result) if cuts.get(key) else value
            for key, value in tree.items()
            if cuts.get(key, True) is not None
        }
    if not isinstance(tree, list):
        return tree
    kept = []
    gone: list[int] = []
    for position, value in enumerate(tree):
        if cuts.get(position, True) is None:
            gone.append(int(result.original((*path, position))[-1]))
        else:
            kept.append(_without(value, cuts[position], (*path, position), result) if position in cuts else value)
    if gone:
        where = result.original(path)
        result.removed[where] = sorted([*result.removed.get(where, ()), *gone])
    return kept
