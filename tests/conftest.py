"""Fixtures for every test: real etcd, real networks.

A missing tool, or missing root, fails the test with one line that says so; nothing is skipped.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from admin.three import three, three_nodes  # noqa: F401  (fixtures: once for all folders)
from everlease.lab.etcd import ALL_PORTS, PORTS, EtcdCluster, EtcdOptions
from everlease.lab.netns import Lab
from lab.scope import EtcdScope

_scopes = itertools.count(1)


NETWORK = {"root", "lab"}
"""Marker and fixture of tests that make networks."""

PATIENT = {
    "admin",
    "badinput",
    "clients",
    "console",
    "lab",
    "logs",
    "operate",
    "quickstart",
    "readme",
    "relaymode",
    "runtime",
    "startup",
}
"""Folders whose tests wait for what they ask for, however long it takes on a busy machine; elsewhere such a test, or
such a file, has the marker `patient`."""

LONGEST = (
    "simulate/test_seeds.py",
    "build/test_build.py",
    "clients/test_life.py",
    "readme/test_documents.py",
    "console/test_page.py",
    "store/test_member_faults.py",
    "quickstart/test_story.py",
    "admin/test_python_client.py",
    "relaymode/test_services.py",
    "store/test_users.py",
    "cluster/test_stopped.py",
)
"""Files that take longest (100 to 25 s): begun last, one of them would keep a worker busy when the others are done."""


def pytest_configure() -> None:
    """Workers beside each other have ports of their own: a node binds its own a second after they were found free."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = ALL_PORTS[number * len(ALL_PORTS) // workers : (number + 1) * len(ALL_PORTS) // workers]
    os.environ[PORTS] = f"{share[0]}-{share[-1]}"


def pytest_itemcollected(item: pytest.Function) -> None:
    """Marks what makes networks and minds how long something takes: it wants the machine for itself."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    marks = {mark.name for mark in item.iter_markers()}
    if NETWORK & {*item.fixturenames, *marks} and folder not in PATIENT and "patient" not in marks:
        item.add_marker(pytest.mark.alone)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers begin with the longest files (with `--no-loadscope-reorder`; else they begin with many short tests)."""
    if hasattr(config, "workerinput"):
        turns = {Path(__file__).parent / name: turn for turn, name in enumerate(LONGEST)}
        items.sort(key=lambda item: turns.get(item.path, len(LONGEST)))


@pytest.fixture(autouse=True)
def log_as_nobody_configured() -> Iterator[None]:
    """A test that configures the log leaves no level behind that hides another test's lines."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def etcd_single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """One member for the whole session."""
    with EtcdCluster(tmp_path_factory.mktemp("etcd"), members=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def etcd_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Three members for the whole session: never stop or pause one of these, `start_etcd` is for that."""
    with EtcdCluster(tmp_path_factory.mktemp("etcd"), members=3) as cluster:
        yield cluster


@pytest.fixture
def etcd(etcd_single: EtcdCluster) -> EtcdScope:
    """The session's single member with a prefix that no other test uses."""
    return EtcdScope(etcd_single, f"/test-{next(_scopes)}")


@pytest.fixture
def etcd3_members(etcd_cluster: EtcdCluster) -> EtcdScope:
    """The session's three members with a prefix that no other test uses."""
    return EtcdScope(etcd_cluster, f"/test-{next(_scopes)}")


@pytest.fixture
def start_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., EtcdCluster]]:
    """A test's own cluster, to kill, pause and fill: `start_etcd(members=3, options=EtcdOptions(...))`."""
    started: list[EtcdCluster] = []

    def start(members: int = 3, options: EtcdOptions | None = None) -> EtcdCluster:
        folder = tmp_path_factory.mktemp("etcd")
        started.append(EtcdCluster(folder, members, options=options or EtcdOptions()))
        return started[-1].start()

    yield start
    for cluster in started:
        cluster.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Namespaces, switches and processes for one test, gone at its end."""
    with Lab(tmp_path / "lab") as laboratory:
        yield laboratory
