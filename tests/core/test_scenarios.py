"""Each file in `scenarios/` is played and must read as it was written. `--rewrite` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.transcript import SCENARIOS, play


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])
def test_a_scenario_goes_as_its_transcript_says(path: Path, request: pytest.FixtureRequest) -> None:
    written = path.read_text()
    played = play(written)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(played)
    else:
        assert played == written


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 10
