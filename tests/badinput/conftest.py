"""One node for all packets of this folder: what an earlier one has spoilt is seen by the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from badinput.besieged import Besieged
from everlease.lab.netns import Lab


@pytest.fixture(scope="package")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """A node that serves a link and relays."""
    with Lab(tmp_path_factory.mktemp("besieged")) as lab:
        yield Besieged(lab)
