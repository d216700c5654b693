"""The package as others receive it: built from a clean tree, installed where nothing else is."""

from __future__ import annotations

import re
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from checkout import ROOT, run, tracked_copy

MESSAGES = "from everlease.pb.etcd.v1 import etcd_pb2; import everlease; print(everlease.__file__)"


def empty_environment(folder: Path) -> Path:
    """A new environment's bin directory."""
    venv.create(folder, with_pip=True)
    return folder / "bin"


def install(programs: Path, *what: str | Path) -> None:
    """pip install, with the project's pins, which only narrow what the package declares."""
    pins = ROOT / "constraints.txt"
    run(programs / "pip", "install", "-q", "--disable-pip-version-check", "-c", pins, *what, cwd=programs)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout."""
    return tracked_copy(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist, and the wheel made from that sdist, in one folder."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, cwd=tree)
    return out


def only(folder: Path, pattern: str) -> Path:
    """The one file that matches."""
    (found,) = folder.glob(pattern)
    return found


def test_the_sdist_carries_the_sources_of_the_generated_code_and_not_the_code(built: Path) -> None:
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"proto/generate.py", "LICENSE", "README.md", "pyproject.toml"} <= names
    assert any(name.endswith(".proto") for name in names)
    assert not [name for name in names if name.startswith("node/everlease/pb/")]


def test_the_wheel_from_the_sdist_carries_the_generated_code_and_only_the_package(built: Path) -> None:
    with zipfile.ZipFile(only(built, "*.whl")) as archive:
        names = archive.namelist()
    assert "everlease/pb/etcd/v1/etcd_pb2.py" in names
    assert "everlease/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"everlease"}


def test_from_an_empty_environment_on_pip_installs_the_checkout_then_the_wheel_then_the_checkout_editable(
    tree: Path, built: Path, tmp_path: Path
) -> None:
    """One in the other's place: what they need is declared once, and is there after the first."""
    programs = empty_environment(tmp_path / "venv")
    for what in ([tree], ["--force-reinstall", "--no-deps", only(built, "*.whl")]):
        install(programs, *what)
        run(programs / "pip", "check")
        assert str(tmp_path) in run(programs / "python", "-c", MESSAGES, cwd=tmp_path)
        assert re.search(r"\d+\.\d+\.\d+", run(programs / "everlease", "--version", cwd=tmp_path))
    assert "everlease" in run(programs / "everlease", "--help", cwd=tmp_path)
    install(programs, "-e", tree)
    assert str(tree) in run(programs / "python", "-c", MESSAGES, cwd=tmp_path)
