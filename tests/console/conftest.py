"""One cluster of three nodes with clients, and one browser on a node's host, for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.browser import Browser
from console.stage import Stage
from everlease.lab.netns import Lab


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Lab(tmp_path_factory.mktemp("console")) as lab:
        yield Stage(lab).start()


@pytest.fixture(scope="package")
def browser(stage: Stage) -> Iterator[Browser]:
    """On node0's own host."""
    found = stage.browser(0)
    yield found
    found.close()


@pytest.fixture
def pictures() -> Path:
    """Where screenshots of this run stay."""
    return Path(__file__).parents[2] / "artifacts" / "console"
