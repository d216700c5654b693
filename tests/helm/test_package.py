"""The chart as Helm packs it: nothing to complain about, nothing missing, and rendered as it was agreed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import helm_python
import pytest
import yaml

from checkout import ROOT
from everlease import __version__
from helm.chart import CHART, NAMESPACE, RELEASE, texts
from helm.test_objects import CASES, NEWEST, OLDEST

GOLDEN = Path(__file__).parent / "golden"
KEPT = ["broadcast-document", "relay-document", "relay-shared", "relay-internal-etcd", "relay-cert-manager"]


@pytest.mark.parametrize("case", CASES)
def test_a_strict_lint_finds_nothing(case: str) -> None:
    for version in (OLDEST, NEWEST) if "most" in case else (NEWEST,):
        report = helm_python.lint(CHART, CASES[case], strict=True, kube_version=f"v{version}.0", namespace=NAMESPACE)
        assert report["errors"] == []
        assert [each for each in report["messages"] if each["severity"] > 1] == []


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(helm_python.package(CHART, destination=tmp_path_factory.mktemp("package")))


def test_the_package_has_the_programs_version_and_says_where_it_runs(package: Path) -> None:
    assert package.name == f"everlease-{__version__}.tgz"
    with helm_python.Chart.load(package) as chart:
        assert chart.metadata["appVersion"] == __version__
        assert chart.metadata["kubeVersion"] == f">={OLDEST}.0-0"


def test_the_package_holds_what_the_chart_is_made_of_and_no_links(package: Path) -> None:
    with tarfile.open(package) as archive:
        members = {each.name: each for each in archive.getmembers()}
    assert all(each.isfile() for each in members.values())
    assert {"everlease/values.schema.json", "everlease/README.md", "everlease/templates/NOTES.txt"} <= set(members)
    files = {name.removeprefix("everlease/files/") for name in members if name.startswith("everlease/files/")}
    dashboards = {f"grafana/{path.name}" for path in (ROOT / "deploy" / "grafana").glob("*.json")}
    assert files == {"prometheus/alerts.yaml", "prometheus/recording.yaml"} | dashboards


@pytest.mark.parametrize("case", ["broadcast-most", "relay-most"])
def test_the_package_renders_what_the_folder_renders(package: Path, case: str) -> None:
    with helm_python.Chart.load(package) as chart:
        assert chart.render(CASES[case], name=RELEASE, namespace=NAMESPACE) == texts(CASES[case])


@pytest.mark.parametrize("case", KEPT)
def test_manifests_are_as_they_were_agreed(case: str, request: pytest.FixtureRequest) -> None:
    rendered = "".join(
        f"# {name.removeprefix('everlease/templates/')}\n{text.strip()}\n---\n"
        for name, text in sorted(texts(CASES[case]).items())
        if name.endswith(".yaml") and text.strip()
    )
    path = GOLDEN / f"{case}.yaml"
    if request.config.getoption("--rewrite-manifests", default=False):
        path.write_text(rendered)
    assert list(yaml.safe_load_all(path.read_text())) == list(yaml.safe_load_all(rendered))
    assert path.read_text() == rendered, "run: ./tests/run.sh helm --rewrite-manifests"
