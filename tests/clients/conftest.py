"""One office for all tests of real clients: starting it takes longer than most of what they do in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.office import Office
from everlease.lab.netns import Lab


@pytest.fixture(scope="package")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Three nodes that serve."""
    with Lab(tmp_path_factory.mktemp("office")) as laboratory:
        yield Office(laboratory)
