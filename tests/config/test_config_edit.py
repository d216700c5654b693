"""config.edit: one state in a document's text, and nothing else."""

from __future__ import annotations

import pytest
from config_documents import address, large

from everlease.config.edit import NotEditable, set_state
from everlease.config.load import load

BLOCK = """\
# a head
subnets:
  - id: 1  # one
    prefix: 10.0.0.0/24
    pools:
      - range: 10.0.0.8-10.0.0.15   # left
        classes: []
      - {range: 10.0.0.64/28, state: active}
  - {id: 2, prefix: 10.1.0.0/24}
  # a foot
"""


@pytest.mark.parametrize(
    ("subnet", "pool", "old", "new"),
    [
        (1, "", "  - id: 1  # one\n", "  - id: 1  # one\n    state: draining\n"),
        (1, "10.0.0.8", "10.0.0.15   # left\n", "10.0.0.15   # left\n        state: draining\n"),
        (1, "10.0.0.64", "state: active}", "state: draining}"),
        (2, "", "{id: 2,", "{id: 2, state: draining,"),
    ],
)
def test_only_the_state_s_own_place_is_touched(subnet: int, pool: str, old: str, new: str) -> None:
    found = set_state(BLOCK, subnet, address(pool) if pool else 0, "draining")
    assert found == BLOCK.replace(old, new)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_stay_as_they_are(newline: str) -> None:
    found = set_state(BLOCK.replace("\n", newline), 1, 0, "disabled")
    assert found == set_state(BLOCK, 1, 0, "disabled").replace("\n", newline)


def test_json_stays_json_on_one_line() -> None:
    text = '{"subnets": [{"id": 1, "prefix": "10.0.0.0/24", "description": "caf\u00e9"}]}'
    assert set_state(text, 1, 0, "draining") == text.replace('"id": 1,', '"id": 1, "state": "draining",')


def test_back_to_active_is_written_over_what_stands_there() -> None:
    drained = set_state(BLOCK, 1, 0, "draining")
    assert load(set_state(drained, 1, 0, "active")).subnets[1].state == "active"
    assert "state: active\n    prefix" in set_state(drained, 1, 0, "active")


@pytest.mark.parametrize(
    "text",
    [
        "x: &a {id: 1, prefix: 10.0.0.0/24}\nsubnets: [*a]\n",
        "subnets: [&a {id: 1, prefix: 10.0.0.0/24}, *a]\n",
        "x: &s [{id: 1, prefix: 10.0.0.0/24}]\nsubnets: *s\n",
        "s: &s active\nsubnets: [{id: 1, prefix: 10.0.0.0/24, state: *s}]\n",
        "subnets: [{id: &i 1, prefix: &p 10.0.0.0/24}]\n",
        '{"subnets": [{"id": 1, "name": "\\ud83d\\ude00"}]}\n',
        "subnets: [{id: 2}]\n",
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(NotEditable):
        set_state(text, 1, 0, "draining")


def test_a_subnet_in_the_middle_of_a_large_document_is_found() -> None:
    text = large(200, 5)
    found = set_state(text, 137, 0, "disabled")
    assert [each.id for each in load(found).subnets.values() if each.state != "active"] == [137]
    assert len(found) == len(text) + len("\n  state: disabled")
