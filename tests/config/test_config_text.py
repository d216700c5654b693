"""config.text: whatever the text is, the answer is a tree with places, or one clear error."""

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from everlease.config import text
from everlease.config.problems import InvalidDocument

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(st.characters(codec="utf-8"), max_size=20)
)
KEYS = st.text(st.characters(codec="utf-8"), max_size=10)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


def refusal(document: str) -> str:
    with pytest.raises(InvalidDocument) as refused:
        text.read(document)
    return str(refused.value)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
@example({"a": "\U0001f5a8"})
@example({"a": "\\ud83d\\udda8"})
def test_json_is_read_as_json_reads_it(document: dict[str, object]) -> None:
    for written in (json.dumps(document), json.dumps(document, ensure_ascii=False, indent=1)):
        if "\x7f" in written or any("\x80" <= c <= "\x9f" or c in "\ufeff\ufffe\uffff" for c in written):
            continue  # YAML wants these escaped
        assert text.read(written)[0] == document


@given(st.text(max_size=200))
@example("a: *a")
@example("&a [*a]")
@example("? [a]\n: b")
@example("\ud800: 1")
@example("- &\n")
def test_any_text_is_a_tree_or_one_error(document: str) -> None:
    try:
        tree, _ = text.read(document)
    except InvalidDocument as refused:
        assert len(refused.problems) == 1
    else:
        assert isinstance(tree, text.Map)


@pytest.mark.parametrize("bracket", ["[", "{", "- ", "{a: ", "[[[{"])
def test_20000_nested_brackets_are_one_clear_error(bracket: str) -> None:
    assert "nested deeper than 32 levels" in refusal("a: " + bracket * 20_000 if bracket != "- " else bracket * 20_000)


def test_an_alias_bomb_is_refused_before_it_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "counting what aliases repeat" in refusal("\n".join(lines))


def test_aliases_cannot_nest_deeper_than_brackets() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 40))]
    assert "aliases nest deeper" in refusal("\n".join(lines))


def test_an_alias_stands_for_its_value_and_not_for_itself() -> None:
    assert text.read("a: &x [1, 2]\nb: *x")[0] == {"a": [1, 2], "b": [1, 2]}
    assert "names nothing that is complete above it" in refusal("a: &x [*x]")


def test_a_text_beyond_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LARGEST", 10)
    assert "at most 10 are read" in refusal("a: 12345678")


@pytest.mark.parametrize(
    ("document", "fragment"),
    [
        ("", "the document is empty"),
        ("# nothing", "the document is empty"),
        ("- 1", "not a mapping"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document"),
        ("a: [1\nb: 2", "this is not YAML"),
        ("a: !!python/object:os.system x", "the tag"),
        ("a: !!binary aGk=", "the tag"),
        ("? {a: b}\n: 1", "cannot be a key"),
        ("a: \x00", "this is not"),
        ("a:\tb: c", "this is not YAML"),
    ],
)
def test_what_is_not_one_mapping_is_refused_with_its_place(document: str, fragment: str) -> None:
    assert fragment in refusal(document)


def test_a_key_given_twice_is_found_with_both_lines() -> None:
    _, findings = text.read("a: 1\nb:\n- {c: 1}\n- {c: 1, d: 2, c: 3}\na: 2\n")
    assert [(finding.path, finding.message) for finding in findings] == [
        (("b", 1, "c"), "given twice, first in line 4; keep one of them"),
        (("a",), "given twice, first in line 1; keep one of them"),
    ]


@pytest.mark.parametrize(
    "written", ["12:34:56:12:34:56", "no", "on", "1.10", "0123", "1e3", "2024-01-01", "0x0a", "11e233445566", "1_000"]
)
def test_only_null_booleans_and_plain_numbers_are_more_than_text(written: str) -> None:
    assert text.read(f"a: {written}")[0]["a"] == written


def test_null_booleans_and_plain_numbers_are_what_they_look_like() -> None:
    tree, _ = text.read("{a: ~, b: true, c: False, d: 12, e: -3, f: '12', g: null, h: !!str 5, 7: x}")
    assert tree == {"a": None, "b": True, "c": False, "d": 12, "e": -3, "f": "12", "g": None, "h": "5", "7": "x"}


def test_every_path_has_its_line_and_column() -> None:
    tree, _ = text.read("a: 1\nb:\n  - c: 2\n    d: {e: [3,\n         4]}\n")
    places = {
        ("a",): (1, 1), ("b",): (2, 1), ("b", 0): (3, 5), ("b", 0, "c"): (3, 5), ("b", 0, "d", "e", 1): (5, 10),
        ("b", 0, "missing"): (3, 5), ("missing",): (1, 1), (): (1, 1),
    }  # fmt: skip
    assert {path: text.locate(tree, path) for path in places} == places


def test_the_parser_without_c_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    document = "a: [1, {b: 'x'}]\nc: &d {e: 02:00:00:00:00:01}\nf: *d\n"
    fast = text.read(document)
    monkeypatch.setattr(text, "_Loader", yaml.SafeLoader)
    assert text.read(document) == fast


def test_a_merge_key_takes_over_what_the_mapping_does_not_say_itself() -> None:
    document = """\
x: &a {p: 1, q: 1}
y: &b {q: 2, r: 2}
z: {<<: [*a, *b], p: 0}
w: {<<: *b}
"""
    tree, twice = text.read(document)
    assert (tree["z"], tree["w"], twice) == ({"p": 0, "q": 1, "r": 2}, {"q": 2, "r": 2}, [])
    assert text.locate(tree, ("z", "r")) == (2, 14)


def test_a_merge_key_is_a_plain_word_and_names_a_mapping() -> None:
    assert text.read('{"<<": {"a": 1}}')[0] == {"<<": {"a": 1}}
    assert "write <<: *name" in refusal("a: {<<: 1}")
    assert "write <<: *name" in refusal("a: &x 1\nb: {<<: [*x]}")


def test_merges_of_merges_do_not_grow_without_bounds() -> None:
    lines = ["a0: &a0 {x: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"]
    lines += [f"a{n}: &a{n} {{y{n}: {{<<: *a{n - 1}}}, z{n}: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 10)]
    assert "counting what aliases repeat" in refusal("\n".join(lines))
