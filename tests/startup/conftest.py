"""One host for all tests of a module: a start that is refused must leave nothing that the next one could meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from everlease.lab.netns import Lab
from startup.starting import Host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A machine with etcd and no node."""
    with Lab(tmp_path_factory.mktemp("startup")) as lab:
        yield Host(lab)
