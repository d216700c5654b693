"""One network for each file of tests; what runs in it is each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from everlease.lab.netns import Lab
from relaymode.fabric import Fabric


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fabric]:
    """Relay, edge, workers with etcd, and empty pods."""
    with Lab(tmp_path_factory.mktemp("relaymode")) as lab:
        yield Fabric(lab)
