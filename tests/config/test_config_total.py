"""The promise of `load`: a Config, or InvalidDocument whose problems all stand somewhere; nothing else, ever."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from everlease.config.load import InvalidDocument, load
from everlease.core.model import Config

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
DOCUMENTS = [yaml.safe_load(path.read_text()) for path in sorted(EXAMPLES.glob("*.yaml"))]
JUNK: list[Any] = [
    *(
        None,
        True,
        -1,
        0,
        1,
        2**70,
        1.5,
        "",
        "x",
        "1h",
        "infinite",
        "auto",
        "off",
        "%s",
        "\u00fc\n",
        "a" * 300,
    ),
    *("10.0.0.0/8", "10.20.0.1", "10.20.0.0-10.20.0.9", "255.255.255.255", "0/24", "02:00:00:00:00:01", "beef"),
    *([], {}, [[]], [None], {"x": 1}, {"": None}, [1, "x"], {"all": [{}]}, {"prefix": {}}),
    *({"send": "never"}, {"value": [None]}, {"hex": 5}),
]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def broken(document: Any, chance: random.Random) -> Any:
    """The document with one place changed: another value, a value from elsewhere, a key renamed, gone or doubled."""
    document = copy.deepcopy(document)
    *outer, last = chance.choice(places(document)[1:])
    node = document
    for part in outer:
        node = node[part]
    kind = chance.randrange(5)
    if kind == 0:
        node[last] = copy.deepcopy(chance.choice(JUNK))
    elif kind == 1:
        *elsewhere, final = chance.choice(places(document)[1:])
        donor = document
        for part in elsewhere:
            donor = donor[part]
        node[last] = copy.deepcopy(donor[final])
    elif kind == 2:
        del node[last]
    elif isinstance(node, list):
        node.append(copy.deepcopy(node[last]))
    else:
        node[f"{last}s"] = node.pop(last)
    return document


def outcome(text: str) -> Config | InvalidDocument:
    try:
        return load(text)
    except InvalidDocument as refused:
        return refused


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.integers(0, 2**32), st.integers(1, 6))
def test_a_document_with_random_damage_compiles_or_is_refused(document: Any, seed: int, wounds: int) -> None:
    chance = random.Random(seed)
    for _ in range(wounds):
        if places(document)[1:]:
            document = broken(document, chance)
    text = json.dumps(document)
    result = outcome(text)
    if isinstance(result, InvalidDocument):
        assert result.problems
        assert all(problem.line == 1 and 0 < problem.column <= len(text) for problem in result.problems)
        assert all(problem.message and "{other}" not in problem.message for problem in result.problems)
    else:
        assert set(result.network_of) == set(result.subnets)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.integers(0, 2**32))
def test_a_document_means_the_same_in_yaml_and_in_json(document: Any, seed: int) -> None:
    document = broken(document, random.Random(seed))
    written = [json.dumps(document, indent=2), yaml.safe_dump(document, sort_keys=False, allow_unicode=True)]
    one, other = map(outcome, written)
    if isinstance(one, Config) or isinstance(other, Config):
        assert one == other
    else:
        assert {problem.path for problem in one.problems} == {problem.path for problem in other.problems}
