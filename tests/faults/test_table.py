"""The operators' table of failures and the fault lab name the same scenarios."""

from __future__ import annotations

from checkout import ROOT
from faults.scenarios import SCENARIOS

ALONE = {"F7", "F24", "F24-long", "F27", "drill", "drill-long"}
"""Scenarios that are tests of their own: test_store_lost.py, test_drill.py."""


def rows() -> list[str]:
    lines = (ROOT / "docs" / "failures.md").read_text().splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| fault |")]


def test_every_row_names_the_scenario_that_proves_it_and_every_scenario_has_a_row() -> None:
    named = [row.rsplit("|", 2)[1].split(",") for row in rows()]
    assert all(any(name.strip() for name in names) for names in named)
    assert {name.strip() for names in named for name in names} == {each.id for each in SCENARIOS} | ALONE


def test_what_runs_in_ci_is_short() -> None:
    assert 4 <= sum(each.short for each in SCENARIOS) <= 5
